"""One narrow row per example: all that a report keeps in memory of a million outcomes.

Thirty bytes an example: the score, the key, where the outcome is stored, the latency, the status.
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


class Columns:
    """What is known of each example, by its index in the dataset.

    `set` may come in any order and replaces what was there. Written by one run, then only read.
    `scores` holds what each example counts, NaN where it does not; `keys` its key, 0 where it did
    not end; `latencies` seconds, NaN where it did not end.
    """

    __slots__ = ("_codes", "_places", "keys", "latencies", "scores")

    def __init__(self) -> None:
        self._codes = bytearray()
        self.scores: array[float] = array("d")
        self.keys: array[int] = array("Q")
        self._places: array[int] = array("q")
        self.latencies: array[float] = array("f")

    def __len__(self) -> int:
        return len(self._codes)

    def set(self, outcome: Outcome, score: float | None, place: int) -> None:
        """Write the row of one outcome: what it is worth (None: nothing) and where it is stored."""
        index = outcome.index
        if index >= len(self._codes):
            self._grow(index + 1 - len(self._codes))

        self._codes[index] = _CODES[outcome.status]
        self.scores[index] = math.nan if score is None else score
        self.keys[index] = int(outcome.key, 16)
        self._places[index] = place
        self.latencies[index] = outcome.latency_s

    def _grow(self, more: int) -> None:
        self._codes.extend(bytes(more))
        self.keys.extend([0] * more)
        self._places.extend([NOT_STORED] * more)
        for column in (self.scores, self.latencies):
            column.extend([math.nan] * more)

    def status(self, index: int) -> Status | None:
        """Return how example `index` ended; None: it did not."""
        return _STATUSES[self._codes[index]] if index < len(self._codes) else None

    def score(self, index: int) -> float | None:
        """Return what example `index` counts in the score; None: it does not count."""
        score = self.scores[index]
        return None if math.isnan(score) else score

    def place(self, index: int) -> int:
        """Return the number under which the outcome is stored, or NOT_STORED."""
        return self._places[index]

    def count(self, status: Status) -> int:
        """Return how many examples ended like that."""
        return self._codes.count(_CODES[status])

    def indices(self, *statuses: Status) -> Iterator[int]:
        """Return the examples that ended in one of `statuses`, or at all; in dataset order."""
        wanted = bytes(_CODES[status] for status in statuses or _CODES)
        return (index for index, code in enumerate(self._codes) if code in wanted)
