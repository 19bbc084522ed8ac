"""The parts of a program: found in its attributes, named by their place, exchanged in copies."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from dspex.signatures.encoding import is_items, is_table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

__all__ = ("every_path", "exchange", "freeze", "parts", "walk")

P = TypeVar("P")


def parts(attributes: Mapping[str, Any], kind: type[P]) -> Iterator[tuple[str, P]]:
    """Yield the direct parts of a program with their paths: `draft`, `steps[0]`, `tools['x']`."""
    for name, value in attributes.items():
        if name[:1] != "_":
            yield from _parts(name, value, kind)


def walk(root: P, kind: type[P]) -> Iterator[tuple[str, P]]:
    """Yield a program as `self`, then all below it in depth; a shared part at its first path."""
    yield "self", root
    yield from _below(root, "", kind, {id(root)})


def every_path(root: P, kind: type[P], prefix: str = "") -> Iterator[tuple[str, P]]:
    """Yield all below a program, a shared part at each of its paths."""
    for path, part in parts(vars(root), kind):
        yield f"{prefix}{path}", part
        yield from every_path(part, kind, f"{prefix}{path}.")


def freeze(value: Any, kind: type[Any]) -> Any:
    """Return an attribute whose lists and dicts of programs can no longer be changed."""
    if not _holds(value, kind):
        return value

    if is_table(value):
        table = {key: freeze(item, kind) for key, item in value.items()}
        same = all(table[key] is item for key, item in value.items())
        return value if same and isinstance(value, MappingProxyType) else MappingProxyType(table)

    if isinstance(value, kind):
        return value

    items: Collection[Any] = value
    frozen = tuple(freeze(item, kind) for item in items)
    same = all(new is old for new, old in zip(frozen, items, strict=True))
    return items if same and isinstance(items, tuple) else frozen


def exchange(value: Any, kind: type[P], swap: Callable[[P], P]) -> Any:
    """Return an attribute with every program in it put through `swap`; itself if none changed.

    It must have been frozen: only tuples and read-only dicts hold programs then.
    """
    if isinstance(value, kind):
        return swap(value)

    if not _holds(value, kind):
        return value

    if is_table(value):
        swapped = {key: exchange(item, kind, swap) for key, item in value.items()}
        same = all(swapped[key] is item for key, item in value.items())
        return value if same else MappingProxyType(swapped)

    items: Collection[Any] = value
    changed = tuple(exchange(item, kind, swap) for item in items)
    same = all(new is old for new, old in zip(changed, items, strict=True))
    return items if same else changed


def _below(program: P, prefix: str, kind: type[P], seen: set[int]) -> Iterator[tuple[str, P]]:
    for path, part in parts(vars(program), kind):
        if id(part) not in seen:
            seen.add(id(part))
            yield f"{prefix}{path}", part
            yield from _below(part, f"{prefix}{path}.", kind, seen)


def _parts(path: str, value: Any, kind: type[P]) -> Iterator[tuple[str, P]]:
    if isinstance(value, kind):
        yield path, value
    elif is_items(value) and not isinstance(value, (set, frozenset)):
        for index, item in enumerate(value):
            yield from _parts(f"{path}[{index}]", item, kind)
    elif is_table(value):
        for key, item in value.items():
            yield from _parts(f"{path}[{key!r}]", item, kind)


def _holds(value: Any, kind: type[Any]) -> bool:
    return next(_parts("", value, kind), None) is not None
