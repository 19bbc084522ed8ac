"""Look at a running tree without waiting for it: its shape, and how its children ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from supervision.slot import Ending, Slot

__all__ = (
    "Drawable",
    "draw",
    "histories",
    "mermaid",
    "walk",
)


@runtime_checkable
class Drawable(Protocol):
    """A supervisor, as far as looking goes."""

    name: str

    def slots(self) -> Sequence[Slot]:
        """Return the places of its children."""
        ...


def draw(supervisor: Drawable) -> str:
    """Return the tree from `supervisor` down as text, one line per child. Cost: O(children)."""
    return "\n".join((supervisor.name, *_lines(supervisor, "")))


def mermaid(supervisor: Drawable) -> str:
    """Return the tree from `supervisor` down as a Mermaid flowchart."""
    lines = ["flowchart TD", f'    root["{_escaped(supervisor.name)}"]']
    nodes = {id(supervisor): "root"}
    for number, (parent, slot) in enumerate(walk(supervisor)):
        nodes[id(_supervisor_in(slot))] = node = f"n{number}"
        lines.append(f'    {nodes[id(parent)]} --> {node}["{_escaped(_label(slot))}"]')

    return "\n".join(lines)


def histories(supervisor: Drawable) -> dict[str, tuple[Ending, ...]]:
    """Return how the last incarnations of each child ended, by path, oldest first."""
    return {
        f"{parent.name}/{slot.spec.id}": tuple(slot.history)
        for parent, slot in walk(supervisor)
        if slot.history
    }


def walk(supervisor: Drawable) -> Iterator[tuple[Drawable, Slot]]:
    """Yield each child from `supervisor` down, with its supervisor; parents before children."""
    for slot in list(supervisor.slots()):
        yield supervisor, slot
        below = _supervisor_in(slot)
        if below is not None:
            yield from walk(below)


def _lines(supervisor: Drawable, indent: str) -> Iterator[str]:
    slots = list(supervisor.slots())
    for slot in slots:
        last = slot is slots[-1]
        yield f"{indent}{'└── ' if last else '├── '}{_label(slot)}"
        below = _supervisor_in(slot)
        if below is not None:
            yield from _lines(below, indent + ("    " if last else "│   "))


def _supervisor_in(slot: Slot) -> Drawable | None:
    service = None if slot.child is None else slot.child.service
    return service if isinstance(service, Drawable) else None


def _label(slot: Slot) -> str:
    pid = "" if slot.pid is None else f" #{slot.pid}"
    restarts = "" if slot.generation < 2 else f", generation {slot.generation}"
    return f"{slot.spec.id}{pid} ({slot.state}{restarts})"


def _escaped(text: str) -> str:
    return text.replace('"', "#quot;")
