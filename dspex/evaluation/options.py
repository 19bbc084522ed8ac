"""How an evaluation runs: its limits, checked before anything is called."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from dspex.errors import EvaluationError
from dspex.evaluation.reducers import Reduce, Reducer, reducer_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.evaluation.clusters import ClusterKey

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
    max_outage_s: float = 600.0
    epochs: int = 1
    reduce: Reduce = "mean"
    shuffle: bool = False
    seed: int = 0
    cluster: ClusterKey | None = None

    def __post_init__(self) -> None:
        for name, (fits, use) in _RULES.items():
            if not fits(getattr(self, name)):
                raise EvaluationError(f"{name} is {getattr(self, name)!r}; use {use}")

        self._check_max_errors()
        reducer_for(self.reduce, self.epochs)

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
    def reducer(self) -> Reducer:
        """What makes one score of those of an example's epochs."""
        return reducer_for(self.reduce, self.epochs)

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

    def to_dict(self) -> dict[str, Any]:
        """Return what a reader of a run's file may want to know."""
        return {
            "max_concurrency": self.max_concurrency,
            "timeout_s": self.timeout_s,
            "on_error": self.on_error,
            "failure_score": self.failure_score,
            "epochs": self.epochs,
            "reduce": str(self.reduce),
            "shuffle": self.shuffle,
            "seed": self.seed,
        }


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_timeout(value: Any) -> bool:
    return value is None or (_is_number(value) and 0 < value < math.inf)


def _is_time(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_RULES: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "max_concurrency": (_is_count, "a whole number from 1 on"),
    "timeout_s": (_is_timeout, "seconds, more than 0, or None"),
    "max_outage_s": (_is_time, "seconds from 0 on, or math.inf"),
    "on_error": (("score", "skip", "raise").__contains__, "'score', 'skip' or 'raise'"),
    "failure_score": (_is_finite, "a finite number, or on_error='skip'"),
    "epochs": (_is_count, "a whole number from 1 on"),
    "shuffle": (lambda value: isinstance(value, bool), "True or False"),
    "seed": (_is_whole, "a whole number"),
}
