"""What scores say about the program, and how sure one may be. Pure functions over arrays.

Which interval fits depends on the scores. Right-or-wrong scores get Wilson's, which stays inside
[0, 1] and does not collapse when all are right. Others get Student's t on the mean. Scores that are
all equal have no spread to estimate from: there the interval comes from how large a share of other
scores the sample could have missed.

Sources: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA
22 (1927); recommended by L. D. Brown, T. T. Cai, A. DasGupta, "Interval estimation for a binomial
proportion", Statistical Science 16 (2001). Zero observed cases: J. A. Hanley, A. Lippman-Hand, "If
nothing goes wrong, is everything all right?", JAMA 249 (1983), with its exact bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from array import array

    from numpy.typing import NDArray

__all__ = (
    "Interval",
    "Percentiles",
    "Summary",
    "equal_scores_interval",
    "is_binary",
    "percentiles",
    "present",
    "summarize",
    "t_interval",
    "wilson_interval",
)

_LEVEL: Final = 0.95


def present(column: array[float], dtype: str = "f8") -> NDArray[np.float64]:
    """Return the values of a column that are not NaN; `dtype` "f8" or "f4" as the column has it."""
    values = np.frombuffer(column, dtype=dtype) if column else np.empty(0, dtype=dtype)
    return np.asarray(values[~np.isnan(values)], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds that hold the true value in 95 of 100 such samples, and the method behind them."""

    low: float
    high: float
    method: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A sample's mean, the standard error of that mean, and its interval.

    `stderr` is None for fewer than two scores, `interval` where nothing can be said: no scores, or
    equal scores whose range is unknown.
    """

    count: int
    mean: float
    stderr: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Where times lie, in seconds."""

    mean: float
    p50: float
    p90: float
    p99: float
    max: float


def summarize(scores: NDArray[np.float64]) -> Summary:
    """Return mean, standard error and 95 % interval of `scores`, shape (n,)."""
    count = len(scores)
    if count == 0:
        return Summary(0, math.nan, None, None)

    mean = float(scores.mean())
    stderr = None if count < 2 else float(scores.std(ddof=1) / math.sqrt(count))
    return Summary(count, mean, stderr, _interval(scores))


def _interval(scores: NDArray[np.float64]) -> Interval | None:
    if is_binary(scores):
        return wilson_interval(int(scores.sum()), len(scores))

    if scores.min() == scores.max():
        return equal_scores_interval(float(scores[0]), len(scores))

    return t_interval(scores)


def is_binary(scores: NDArray[np.float64]) -> bool:
    """Tell whether every score is 0 or 1."""
    return bool(((scores == 0.0) | (scores == 1.0)).all())


def t_interval(sample: NDArray[np.float64]) -> Interval:
    """Return Student's 95 % interval of the mean of a sample of two or more."""
    count = len(sample)
    quantile = float(special.stdtrit(count - 1, (1 + _LEVEL) / 2))
    half = quantile * float(sample.std(ddof=1)) / math.sqrt(count)
    mean = float(sample.mean())
    return Interval(mean - half, mean + half, "Student t")


def wilson_interval(successes: int, count: int) -> Interval:
    """Return Wilson's 95 % score interval of a proportion."""
    z = float(special.ndtri((1 + _LEVEL) / 2))
    share = successes / count
    scale = 1 + z * z / count
    centre = (share + z * z / (2 * count)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    # At the ends the bound is exactly 0 or 1; rounding must not leave it a hair off.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == count else centre + half
    return Interval(low, high, "Wilson")


def equal_scores_interval(
    value: float, count: int, *, low: float = 0.0, high: float = 1.0
) -> Interval | None:
    """Return the interval of the mean when all `count` scores are `value`, within [low, high].

    With 95 % confidence at most a share 1 - 0.05 ** (1 / count) of all examples score otherwise,
    and those lie anywhere in the range. None if `value` is outside it: the range is not known.
    """
    if not low <= value <= high:
        return None

    missed = 1 - (1 - _LEVEL) ** (1 / count)
    return Interval(
        value - missed * (value - low), value + missed * (high - value), "rule of three"
    )


def percentiles(times_s: NDArray[np.float64]) -> Percentiles | None:
    """Return where `times_s`, shape (n,), lie; None if there are none."""
    if len(times_s) == 0:
        return None

    p50, p90, p99 = (float(value) for value in np.percentile(times_s, (50, 90, 99)))
    return Percentiles(
        mean=float(times_s.mean()),
        p50=p50,
        p90=p90,
        p99=p99,
        max=float(times_s.max()),
    )
