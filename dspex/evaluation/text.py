"""Figures as people read them, and rows that line up."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("count", "duration", "excerpt", "rows")

_NARROWEST: Final = 16


def duration(seconds: float) -> str:
    """Return a time with as much precision as it deserves: 340 ms, 4.2 s, 3 min 5 s, 2 h 4 min."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"

    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"

    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"

    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"

    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def count(number: int, noun: str) -> str:
    """Return "1 example", "2 examples"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def excerpt(text: str, width: int = 72) -> str:
    """Return `text` on one line, cut to `width`."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 3]}..."


def rows(title: str, pairs: Iterable[tuple[str, str]], *, width: int | None = None) -> str:
    """Return a title and one aligned line per pair; a pair without a name continues the last.

    Lines longer than `width` go on below themselves.
    """
    found = list(pairs)
    margin = max((len(name) for name, _ in found), default=0)
    lines = wrap(title, width) if width else [title]
    for name, text in found:
        room = None if width is None else max(width - margin - 4, _NARROWEST)
        first, *rest = (wrap(text, room) if room else None) or [text]
        lines.append(f"  {name:<{margin}}  {first}".rstrip())
        lines += [f"  {'':<{margin}}  {line}" for line in rest]

    return "\n".join(lines)
