"""Examples that are run several times: from a row for each epoch to a row for each example.

An epoch that is unavailable, or was not run, is missing: nobody knows what it would have scored. An
example counts if its reducer can do without the missing ones, and the report tells how many count
with fewer epochs than asked for.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from dspex.evaluation.columns import NOT_STORED, Columns
from dspex.evaluation.outcome import Outcome, Status
from dspex.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dspex.evaluation.reducers import Reducer
    from dspex.evaluation.sink import Store

__all__ = ("FoldedStore", "Folding", "fold")

_NO_USAGE: Final = Usage()


@dataclass(frozen=True, slots=True)
class Folding:
    """How the rows of one run become those of its examples: `epochs` to each, one after another."""

    rows: Columns
    epochs: int
    reducer: Reducer

    def examples(self) -> range:
        """Return the indices of the examples that have rows."""
        return range(-(-len(self.rows) // self.epochs))

    def ended(self, index: int) -> list[int]:
        """Return the rows of one example that ended, in the order of the epochs."""
        first = index * self.epochs
        return [
            row for row in range(first, first + self.epochs) if self.rows.status(row) is not None
        ]

    def score(self, index: int) -> float | None:
        """Return what an example counts; None: it does not."""
        rows, ended = self.rows, self.ended(index)
        scores = [score for row in ended if (score := rows.score(row)) is not None]
        skipped = sum(
            rows.status(row) is Status.FAILED and rows.score(row) is None for row in ended
        )
        if not scores:
            return None

        return self.reducer.reduce(scores, self.epochs - len(scores) - skipped)

    def status(self, index: int) -> Status | None:
        """Return how an example ended as a whole; None: none of its epochs did.

        Scored if it counts and one of its epochs was; failed if nothing else happened; otherwise
        unavailable: too much is missing.
        """
        statuses = {self.rows.status(row) for row in self.ended(index)}
        if not statuses:
            return None

        if Status.SCORED in statuses:
            return Status.UNAVAILABLE if self.score(index) is None else Status.SCORED

        if statuses == {Status.FAILED} or self.score(index) is not None:
            return Status.FAILED

        return Status.UNAVAILABLE

    def is_partial(self, index: int) -> bool:
        """Tell whether an example counts although epochs of it are missing."""
        known = sum(self.rows.status(row) is not Status.UNAVAILABLE for row in self.ended(index))
        return known < self.epochs and self.score(index) is not None

    def outcome(self, epochs: list[Outcome]) -> Outcome:
        """Return the outcome of an example as a whole from those of its epochs."""
        index = epochs[0].index
        status = self.status(index)
        assert status is not None, "an example with outcomes has ended"
        shown = next((outcome for outcome in epochs if outcome.status is status), epochs[0])
        return replace(
            shown,
            status=status,
            score=self.score(index) if status is Status.SCORED else None,
            latency_s=math.fsum(outcome.latency_s for outcome in epochs) / len(epochs),
            usage=sum((outcome.usage for outcome in epochs), _NO_USAGE),
            retry=max(outcome.retry for outcome in epochs),
            epoch=0,
            epochs=tuple(epochs),
        )


def fold(folding: Folding) -> tuple[Columns, int]:
    """Return a row for each example, stored at its index, and how many count in part only."""
    columns, rows = Columns(), folding.rows
    partial = 0
    for index in folding.examples():
        status = folding.status(index)
        if status is None:
            continue

        ended = folding.ended(index)
        latency_s = math.fsum(rows.latencies[row] for row in ended) / len(ended)
        stored = all(rows.place(row) != NOT_STORED for row in ended)
        whole = Outcome(index, f"{rows.keys[ended[0]]:016x}", status, latency_s=latency_s)
        score = None if status is Status.UNAVAILABLE else folding.score(index)
        columns.set(whole, score, index if stored else NOT_STORED)
        partial += folding.is_partial(index)

    return columns, partial


class FoldedStore:
    """Reads examples as a whole, by their index, from a store that holds their epochs."""

    __slots__ = ("_folding", "_store")

    def __init__(self, folding: Folding, store: Store) -> None:
        self._folding = folding
        self._store = store

    def __repr__(self) -> str:
        return repr(self._store)

    async def put(self, outcome: Outcome) -> int:
        """Refuse: what is here has been put already."""
        raise NotImplementedError(f"{self!r} is only read")

    async def close(self) -> None:
        """Close the store behind."""
        await self._store.close()

    def read(self, numbers: Iterable[int]) -> Iterator[Outcome]:
        """Return the outcomes of the examples with these indices."""
        folding, sizes = self._folding, deque[int]()

        def places() -> Iterator[int]:
            for index in numbers:
                ended = folding.ended(index)
                sizes.append(len(ended))
                yield from map(folding.rows.place, ended)

        # One reading for all of them: a file is opened once.
        found = self._store.read(places())
        for first in found:
            yield folding.outcome([first, *islice(found, sizes.popleft() - 1)])
