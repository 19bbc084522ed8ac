"""The running totals of an evaluation: what progress shows and the report starts from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from dspex.evaluation.outcome import Failure, Outcome, Status
from dspex.usage import Usage, UsageMeter

__all__ = ("ErrorGroup", "ErrorSample", "Tally")

_MAX_GROUPS: Final = 50
_MAX_SAMPLES: Final = 3
_OTHERS: Final = "(other)"
_NO_USAGE: Final = Usage()


@dataclass(frozen=True, slots=True)
class ErrorSample:
    """One example that failed, and how."""

    index: int
    message: str
    correlation_id: str


@dataclass(slots=True)
class ErrorGroup:
    """All failures of one class: how many, whether they were outages, and the first few."""

    count: int = 0
    unavailable: int = 0
    samples: list[ErrorSample] = field(default_factory=list[ErrorSample])


class Tally:
    """Counts outcomes as they come. An outcome that replaces another is announced by `retract`."""

    __slots__ = (
        "_groups",
        "_mean",
        "_meter",
        "_square_sum",
        "counted",
        "errors",
        "failed",
        "retried",
        "scored",
        "unavailable",
    )

    def __init__(self) -> None:
        self.scored = 0
        self.failed = 0
        self.unavailable = 0
        self.retried = 0
        self.counted = 0
        self.errors: dict[str, ErrorGroup] = {}
        self._groups: list[str] = []
        self._meter = UsageMeter()
        self._mean = 0.0
        self._square_sum = 0.0

    @property
    def finished(self) -> int:
        """How many examples have an outcome."""
        return self.scored + self.failed + self.unavailable

    @property
    def without_score(self) -> int:
        """How many examples did not give a score."""
        return self.failed + self.unavailable

    @property
    def usage(self) -> Usage:
        """What all of them have used."""
        return self._meter.total

    @property
    def mean(self) -> float | None:
        """The score so far."""
        return self._mean if self.counted else None

    @property
    def half_width(self) -> float | None:
        """Half the width of a rough 95 % interval of the score so far (normal approximation)."""
        if self.counted < 2:
            return None

        return 1.96 * math.sqrt(self._square_sum / (self.counted - 1) / self.counted)

    def add(self, outcome: Outcome, worth: float | None) -> int:
        """Count one outcome, worth that much in the score (None: nothing).

        Returns:
            The number of the group its error is counted in, for `retract`; 0 without an error.
        """
        status = outcome.status
        if status is Status.SCORED:
            self.scored += 1
        elif status is Status.FAILED:
            self.failed += 1
        else:
            self.unavailable += 1

        if worth is not None:  # Welford's recurrence: one pass, no cancellation
            self.counted += 1
            delta = worth - self._mean
            self._mean += delta / self.counted
            self._square_sum += delta * (worth - self._mean)

        if outcome.usage is not _NO_USAGE:
            self._meter.add(outcome.usage)

        return 0 if outcome.failure is None else self._add_error(outcome, outcome.failure)

    def _add_error(self, outcome: Outcome, failure: Failure) -> int:
        number = self._group(failure.error)
        group = self.errors.setdefault(self._groups[number], ErrorGroup())
        group.count += 1
        group.unavailable += outcome.status is Status.UNAVAILABLE
        if len(group.samples) < _MAX_SAMPLES:
            sample = ErrorSample(outcome.index, failure.message, outcome.correlation_id)
            group.samples.append(sample)

        return number

    def _group(self, error: str) -> int:
        """Return the group of a class of errors: its own while there is room."""
        groups = self._groups
        if error not in groups:
            if len(groups) >= _MAX_GROUPS:
                error = _OTHERS

            if error not in groups:
                groups.append(error)

        return groups.index(error)

    def retract(self, index: int, group: int) -> None:
        """Take back the unavailable outcome of an example that has been run again."""
        self.unavailable -= 1
        self.retried += 1
        name = self._groups[group]
        found = self.errors[name]
        found.count -= 1
        found.unavailable -= 1
        found.samples = [sample for sample in found.samples if sample.index != index]
        if found.count == 0:
            del self.errors[name]
