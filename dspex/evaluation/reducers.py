"""From the scores of several epochs of one example to what the example counts. Pure values.

Sources: pass@k is the unbiased estimator of M. Chen et al., "Evaluating large language models
trained on code", 2021, equation 1: from n runs of which c passed, the chance that at least one of k
drawn without replacement passes.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import KW_ONLY, dataclass
from math import comb
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, runtime_checkable

from dspex.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = (
    "AtLeast",
    "Mean",
    "Median",
    "Mode",
    "PassAt",
    "Reduce",
    "Reducer",
    "at_least",
    "pass_at",
    "reducer_for",
)


@runtime_checkable
class Reducer(Protocol):
    """Makes one score of the scores of an example's epochs."""

    @property
    def min_epochs(self) -> int:
        """How many epochs it cannot do without."""
        ...

    def reduce(self, scores: Sequence[float], missing: int) -> float | None:
        """Return what the example counts; None if that cannot be told without guessing.

        Args:
            scores: of the epochs that count, in the order of the epochs.
            missing: how many more there were to be.
        """
        ...


class _AnyNumber:
    """Makes do with whatever epochs there are."""

    __slots__ = ()

    @property
    def min_epochs(self) -> int:
        """How many epochs it cannot do without."""
        return 1


@dataclass(frozen=True, slots=True)
class Mean(_AnyNumber):
    """The mean of the epochs there are."""

    def reduce(self, scores: Sequence[float], missing: int) -> float | None:
        """Return the mean."""
        return statistics.fmean(scores) if scores else None

    def __str__(self) -> str:
        return "mean"


@dataclass(frozen=True, slots=True)
class Median(_AnyNumber):
    """The median of the epochs there are; between the two in the middle where there are two."""

    def reduce(self, scores: Sequence[float], missing: int) -> float | None:
        """Return the median."""
        return float(statistics.median(scores)) if scores else None

    def __str__(self) -> str:
        return "median"


@dataclass(frozen=True, slots=True)
class Mode(_AnyNumber):
    """The most frequent score of the epochs there are; the lowest of those equally frequent."""

    def reduce(self, scores: Sequence[float], missing: int) -> float | None:
        """Return the mode."""
        counts = Counter(scores)
        return min(counts, key=lambda score: (-counts[score], score)) if counts else None

    def __str__(self) -> str:
        return "mode"


@dataclass(frozen=True, slots=True)
class PassAt:
    """The chance that at least one of `k` runs passes; a score of `threshold` or more is a pass.

    With fewer than `k` epochs the example does not count.
    """

    k: int
    _: KW_ONLY
    threshold: float = 1.0

    def __post_init__(self) -> None:
        _check_k("pass_at", self.k)

    @property
    def min_epochs(self) -> int:
        """How many epochs it cannot do without."""
        return self.k

    def reduce(self, scores: Sequence[float], missing: int) -> float | None:
        """Return the unbiased estimate from all the epochs there are."""
        runs = len(scores)
        if runs < self.k:
            return None

        passed = sum(score >= self.threshold for score in scores)
        return 1.0 - comb(runs - passed, self.k) / comb(runs, self.k)

    def __str__(self) -> str:
        return _text("pass_at", self.k, self.threshold)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """1 if at least `k` epochs pass, else 0; a score of `threshold` or more is a pass.

    An example whose missing epochs could turn the answer does not count.
    """

    k: int
    _: KW_ONLY
    threshold: float = 1.0

    def __post_init__(self) -> None:
        _check_k("at_least", self.k)

    @property
    def min_epochs(self) -> int:
        """How many epochs it cannot do without."""
        return self.k

    def reduce(self, scores: Sequence[float], missing: int) -> float | None:
        """Return 1 or 0 where that is certain."""
        passed = sum(score >= self.threshold for score in scores)
        if passed >= self.k:
            return 1.0

        return 0.0 if passed + missing < self.k else None

    def __str__(self) -> str:
        return _text("at_least", self.k, self.threshold)


Reduce: TypeAlias = Literal["mean", "median", "mode"] | Reducer
"""How the scores of an example's epochs become one."""

_NAMED: Final[dict[str, Reducer]] = {"mean": Mean(), "median": Median(), "mode": Mode()}


def pass_at(k: int, *, threshold: float = 1.0) -> PassAt:
    """Return the reducer that estimates the chance of a pass in `k` tries, as in "pass@k"."""
    return PassAt(k, threshold=threshold)


def at_least(k: int, *, threshold: float = 1.0) -> AtLeast:
    """Return the reducer that asks whether at least `k` epochs pass."""
    return AtLeast(k, threshold=threshold)


def reducer_for(reduce: object, epochs: int) -> Reducer:
    """Return what `reduce` asks for.

    Raises:
        EvaluationError: there is no such reducer, or it needs more epochs than there are.
    """
    if isinstance(reduce, Reducer):
        if epochs < reduce.min_epochs:
            raise EvaluationError(
                f"reduce={reduce} needs {reduce.min_epochs} epochs, and epochs is {epochs!r}"
            )

        return reduce

    named = _NAMED.get(reduce) if isinstance(reduce, str) else None
    if named is None:
        raise EvaluationError(
            f"reduce is {reduce!r}; use 'mean', 'median', 'mode', pass_at(k) or at_least(k)"
        )

    return named


def _check_k(name: str, k: object) -> None:
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise EvaluationError(f"{name} takes a whole number from 1 on, got {k!r}")


def _text(name: str, k: int, threshold: float) -> str:
    return f"{name}({k})" if threshold == 1.0 else f"{name}({k}, threshold={threshold:g})"
