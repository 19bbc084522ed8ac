"""The running totals of an evaluation: what progress shows and the report starts from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from dspex.evaluation.outcome import Outcome, Status
from dspex.usage import Usage

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
        "_mean",
        "_square_sum",
        "counted",
        "errors",
        "failed",
        "retried",
        "scored",
        "unavailable",
        "usage",
    )

    def __init__(self) -> None:
        self.scored = 0
        self.failed = 0
        self.unavailable = 0
        self.retried = 0
        self.counted = 0
        self.usage = _NO_USAGE
        self.errors: dict[str, ErrorGroup] = {}
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
    def mean(self) -> float | None:
        """The score so far."""
        return self._mean if self.counted else None

    @property
    def half_width(self) -> float | None:
        """Half the width of a rough 95 % interval of the score so far (normal approximation)."""
        if self.counted < 2:
            return None

        return 1.96 * math.sqrt(self._square_sum / (self.counted - 1) / self.counted)

    def add(self, outcome: Outcome, worth: float | None) -> None:
        """Count one outcome, worth that much in the score (None: nothing)."""
        status = outcome.status
        if status is Status.SCORED:
            self.scored += 1
        elif status is Status.FAILED:
            self.failed += 1
        else:
            self.unavailable += 1

        if outcome.failure is not None:
            self._add_error(outcome)

        if worth is not None:  # Welford's recurrence: one pass, no cancellation
            self.counted += 1
            delta = worth - self._mean
            self._mean += delta / self.counted
            self._square_sum += delta * (worth - self._mean)

        if outcome.usage is not _NO_USAGE:
            self.usage += outcome.usage

    def _add_error(self, outcome: Outcome) -> None:
        assert outcome.failure is not None
        name = self.group_name(outcome.failure.error)
        group = self.errors.setdefault(name, ErrorGroup())
        group.count += 1
        group.unavailable += outcome.status is Status.UNAVAILABLE
        if len(group.samples) < _MAX_SAMPLES:
            sample = ErrorSample(outcome.index, outcome.failure.message, outcome.correlation_id)
            group.samples.append(sample)

    def group_name(self, error: str) -> str:
        """Return the group that a class of errors is counted in: its own while there is room."""
        return error if error in self.errors or len(self.errors) < _MAX_GROUPS else _OTHERS

    def retract(self, index: int, group_name: str) -> None:
        """Take back the unavailable outcome of an example that is being run again."""
        self.unavailable -= 1
        self.retried += 1
        group = self.errors[group_name]
        group.count -= 1
        group.unavailable -= 1
        group.samples = [sample for sample in group.samples if sample.index != index]
        if group.count == 0:
            del self.errors[group_name]
