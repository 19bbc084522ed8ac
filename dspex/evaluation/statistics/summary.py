"""A sample in a few figures: its mean, how sure that is, and where times lie.

Source of the rule for skewed samples: W. G. Cochran, "Sampling techniques", 3rd edition (1977),
section 2.15: the normal approximation of a mean holds for n > 25 G1 ** 2, where G1 is Fisher's
measure of skewness. Of the effective sample size: E. L. Korn, B. I. Graubard, "Confidence intervals
for proportions with small expected number of positive counts estimated from survey data", Survey
Methodology 24 (1998), with Wilson's interval in place of the exact one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dspex.evaluation.statistics.bootstrap import bca_interval
from dspex.evaluation.statistics.clustered import Grouping
from dspex.evaluation.statistics.intervals import (
    Interval,
    equal_scores_interval,
    is_binary,
    t_interval,
    wilson_interval,
)

if TYPE_CHECKING:
    from array import array

    from numpy.typing import NDArray

__all__ = (
    "Percentiles",
    "Summary",
    "is_skewed",
    "percentiles",
    "present",
    "spread_interval",
    "summarize",
)

_FEWEST: Final = 10
"""Resampling fewer says less than assuming a shape."""

_MOST: Final = 50_000
"""From here on a mean is normal whatever the scores, and resampling takes seconds."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A sample's mean, the standard error of that mean, and its interval.

    `stderr` is None for fewer than two scores, `interval` where nothing can be said: no scores, or
    equal scores whose range is unknown. `clusters` is None where they were not asked for.
    """

    count: int
    mean: float
    stderr: float | None
    interval: Interval | None
    clusters: int | None = None


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Where times lie, in seconds."""

    mean: float
    p50: float
    p90: float
    p99: float
    max: float


def present(column: array[float], dtype: str = "f8") -> NDArray[np.float64]:
    """Return the values of a column that are not NaN; `dtype` "f8" or "f4" as the column has it."""
    values = np.frombuffer(column, dtype=dtype) if column else np.empty(0, dtype=dtype)
    return np.asarray(values[~np.isnan(values)], dtype=np.float64)


def summarize(
    scores: NDArray[np.float64], clusters: NDArray[np.uint64] | None = None, *, seed: int = 0
) -> Summary:
    """Return mean, standard error and 95 % interval of a sample.

    Args:
        scores: shape (n,).
        clusters: a number for each score, equal in one cluster, shape (n,); None: each score
            stands for itself.
        seed: of the bootstrap that skewed scores get.
    """
    if len(scores) == 0:
        return Summary(0, math.nan, None, None, None if clusters is None else 0)

    sample = Grouping.of(scores, clusters)
    return Summary(
        len(scores),
        float(scores.mean()),
        sample.stderr,
        _interval(scores, sample, seed),
        sample.groups if sample.clustered else None,
    )


def _interval(scores: NDArray[np.float64], sample: Grouping, seed: int) -> Interval | None:
    if sample.clustered and sample.groups < 2:
        return None

    if is_binary(scores) and (not sample.clustered or scores.min() != scores.max()):
        return _share_interval(sample)

    if scores.min() == scores.max():
        return equal_scores_interval(float(scores[0]), sample.groups)

    return spread_interval(sample, seed)


def _share_interval(sample: Grouping) -> Interval:
    share = sample.mean
    if not sample.clustered:
        return wilson_interval(share, sample.count)

    assert sample.stderr is not None, "there are two clusters or more"
    # Clusters may happen to balance each other, which makes none worth more than it holds.
    size = min(sample.count, share * (1 - share) / max(sample.stderr**2, 1e-300))
    return wilson_interval(share, size, "Wilson, effective sample size")


def spread_interval(sample: Grouping, seed: int) -> Interval | None:
    """Return the interval of the mean of values that differ: bootstrap if skewed, else Student's t.

    None for a single group.
    """
    stderr = sample.stderr
    if stderr is None:
        return None

    if _FEWEST <= sample.groups < _MOST and is_skewed(sample.residuals):
        resampled = bca_interval(sample, seed)
        if resampled is not None:
            return resampled

    method = "Student t, clustered" if sample.clustered else "Student t"
    return t_interval(sample.mean, stderr, sample.groups - 1, method)


def is_skewed(values: NDArray[np.float64]) -> bool:
    """Tell whether so many values, shape (n,), are too few for their mean to be normal."""
    departures = values - values.mean()
    variance = float((departures**2).mean())
    if variance == 0:
        return False

    skewness = float((departures**3).mean()) / variance**1.5
    return bool(len(values) <= 25 * skewness**2)


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
