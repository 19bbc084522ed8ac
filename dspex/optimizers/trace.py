"""A trace whose order is the program's, also where the program's calls overlap."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, TypeAlias

from dspex.effects import Trace, current

if TYPE_CHECKING:
    from dspex.effects import TraceEntry

__all__ = ("OrderedTrace",)

_Place: TypeAlias = "tuple[tuple[int, int], ...]"


class OrderedTrace(Trace):
    """Keeps its entries where they stand in the program instead of when they finished.

    Branches of one fan-out are numbered and come in that order; what follows one another in a scope
    comes as it was met. So the entries are the same whatever the timing, as long as concurrent
    calls have scopes of their own: those of `dspex.map` have.
    """

    __slots__ = ("_places", "_ranks")

    def __init__(self, limit: int = 10_000) -> None:
        super().__init__(limit)
        self._places: list[_Place] = []
        self._ranks: dict[tuple[str, ...], dict[str, int]] = {}

    def record(self, entry: TraceEntry) -> None:
        """Insert one finished call at its place."""
        place = self._place(current().path)
        at = bisect_right(self._places, place)
        self._places.insert(at, place)
        self.entries.insert(at, entry)
        if len(self.entries) > self._limit:
            del self.entries[0], self._places[0]
            self.dropped += 1

    def _place(self, path: tuple[str, ...]) -> _Place:
        return tuple(self._rank(path[:depth], element) for depth, element in enumerate(path))

    def _rank(self, parent: tuple[str, ...], element: str) -> tuple[int, int]:
        if element.isdecimal():
            return 0, int(element)

        ranks = self._ranks.setdefault(parent, {})
        return 1, ranks.setdefault(element, len(ranks))
