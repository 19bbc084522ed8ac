"""How an evaluation runs: its limits, checked before anything is called."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Final, Literal, TypeAlias

from dspex.errors import EvaluationError

__all__ = ("EvaluationOptions", "OnError")

OnError: TypeAlias = Literal["score", "skip", "raise"]
"""What a failed example is worth: `failure_score`, nothing, or the end of the run."""

_FEW: Final = 20
"""A share of errors is not judged before this many examples have ended."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """The limits of one run; see `evaluate` for what each means.

    Raises:
        EvaluationError: a value is impossible; names it.
    """

    _: KW_ONLY
    max_concurrency: int = 100
    timeout_s: float | None = None
    on_error: OnError = "score"
    failure_score: float = 0.0
    max_errors: int | float | None = None
    max_outage_s: float = 120.0

    def __post_init__(self) -> None:
        if not _is_count(self.max_concurrency):
            raise EvaluationError(
                f"max_concurrency is {self.max_concurrency!r}; use a whole number from 1 on"
            )

        if self.timeout_s is not None and not (
            _is_number(self.timeout_s) and 0 < self.timeout_s < math.inf
        ):
            raise EvaluationError(
                f"timeout_s is {self.timeout_s!r}; use seconds, more than 0, or None"
            )

        if not (_is_number(self.max_outage_s) and self.max_outage_s >= 0):
            raise EvaluationError(
                f"max_outage_s is {self.max_outage_s!r}; use seconds from 0 on, or math.inf"
            )

        if self.on_error not in ("score", "skip", "raise"):
            raise EvaluationError(f"on_error is {self.on_error!r}; use 'score', 'skip' or 'raise'")

        if not (_is_number(self.failure_score) and math.isfinite(self.failure_score)):
            raise EvaluationError(
                f"failure_score is {self.failure_score!r}; use a finite number, or on_error='skip'"
            )

        self._check_max_errors()

    def _check_max_errors(self) -> None:
        limit: object = self.max_errors
        if isinstance(limit, float):
            if not 0 < limit <= 1:
                raise EvaluationError(f"max_errors is {limit!r}; a share is above 0 and at most 1")
        elif limit is not None and not _is_count(limit):
            raise EvaluationError(
                f"max_errors is {limit!r}; use a count from 1 on, a share, or None for no limit"
            )

    @property
    def worth_of_failure(self) -> float | None:
        """What a failed example counts in the score; None: it does not count."""
        return self.failure_score if self.on_error == "score" else None

    def too_many_errors(self, errors: int, finished: int) -> bool:
        """Tell whether so many examples without a score, of so many, end the run."""
        limit = self.max_errors
        if limit is None:
            return False

        if isinstance(limit, int):
            return errors >= limit

        return finished >= _FEW and errors >= limit * finished


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
