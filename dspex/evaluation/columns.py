"""One narrow row per run of an example: all that is kept in memory of a million outcomes.

25 bytes a row: the score, the key, where the outcome is stored, the latency, the status; 29 once
the store is larger than four gigabytes.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Final

from dspex.evaluation.outcome import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("NOT_STORED", "Columns")

NOT_STORED: Final = -1
"""In the place of an outcome that could not be kept."""

_STATUSES: Final = (None, Status.SCORED, Status.FAILED, Status.UNAVAILABLE)
_CODES: Final = {status: code for code, status in enumerate(_STATUSES) if status is not None}
_GROUP_SHIFT: Final = 2
_STATUS_MASK: Final = (1 << _GROUP_SHIFT) - 1
_CODE_LIMIT: Final = 256


class Columns:
    """What is known of each row: of each example by its index, where each is run once.

    With several epochs a run keeps a row for each of them, and its report one for each example.
    `set` may come in any order and replaces what was there. Written by one run, then only read.
    `scores` holds what each row counts, NaN where it does not; `keys` the example's key, 0 where it
    did not end; `latencies` seconds, NaN where it did not end. `clusters` holds a number for each
    example, the same within a cluster and 0 where it is not known; None where nobody asked.
    """

    __slots__ = ("_codes", "_places", "clusters", "keys", "latencies", "scores")

    def __init__(self) -> None:
        self._codes = bytearray()
        self.scores: array[float] = array("d")
        self.keys: array[int] = array("Q")
        self._places: array[int] = array("I")  # one more than the place, 0: none
        self.latencies: array[float] = array("f")
        self.clusters: array[int] | None = None

    def __len__(self) -> int:
        return len(self._codes)

    def set(
        self,
        outcome: Outcome,
        score: float | None,
        place: int,
        *,
        row: int | None = None,
        group: int = 0,
    ) -> None:
        """Write the row of one outcome.

        Args:
            outcome: what became of an example.
            score: what it is worth; None: nothing.
            place: where it is stored.
            row: which row it has; by default that of its index.
            group: a number below 64, such as that of the kind of error, which costs no memory.
        """
        index = outcome.index if row is None else row
        if index >= len(self._codes):
            self._grow(index + 1 - len(self._codes))

        self._codes[index] = _CODES[outcome.status] | group << _GROUP_SHIFT
        self.scores[index] = math.nan if score is None else score
        self.keys[index] = int(outcome.key, 16)
        try:
            self._places[index] = place + 1
        except OverflowError:
            self._places = array("Q", self._places)
            self._places[index] = place + 1

        self.latencies[index] = outcome.latency_s

    def _grow(self, more: int) -> None:
        if more == 1:  # as nearly always: outcomes come roughly in the order of the examples
            self._codes.append(0)
            self.keys.append(0)
            self._places.append(0)
            self.scores.append(math.nan)
            self.latencies.append(math.nan)
            return

        self._codes.extend(bytes(more))
        for column in (self.keys, self._places):
            column.frombytes(bytes(more * column.itemsize))

        for figures in (self.scores, self.latencies):
            figures.extend((math.nan,) * more)

    def status(self, row: int) -> Status | None:
        """Return how `row` ended; None: it did not."""
        return _STATUSES[self._codes[row] & _STATUS_MASK] if row < len(self._codes) else None

    def group(self, row: int) -> int:
        """Return the number that `set` was given."""
        return self._codes[row] >> _GROUP_SHIFT

    def score(self, row: int) -> float | None:
        """Return what `row` counts in the score; None: it does not count."""
        score = self.scores[row]
        return None if math.isnan(score) else score

    def place(self, row: int) -> int:
        """Return the number under which the outcome is stored, or NOT_STORED."""
        return self._places[row] - 1

    def forget_place(self, row: int) -> None:
        """Note that the outcome is not stored after all."""
        self._places[row] = NOT_STORED + 1

    def count(self, status: Status) -> int:
        """Return how many rows ended like that."""
        codes = range(_CODES[status], _CODE_LIMIT, _STATUS_MASK + 1)
        return sum(map(self._codes.count, codes))

    def indices(self, *statuses: Status) -> Iterator[int]:
        """Return the rows that ended in one of `statuses`, or at all; in their order."""
        wanted = {_CODES[status] for status in statuses or _CODES}
        return (row for row, code in enumerate(self._codes) if code & _STATUS_MASK in wanted)
