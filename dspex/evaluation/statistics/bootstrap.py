"""The bootstrap interval of a mean: bias-corrected and accelerated, seeded.

Source: B. Efron, "Better bootstrap confidence intervals", JASA 82 (1987), in the notation of
B. Efron, R. J. Tibshirani, "An introduction to the bootstrap" (1993), equations 14.9 to 14.15.
Clusters are drawn whole (A. C. Davison, D. V. Hinkley, "Bootstrap methods and their application"
(1997), section 3.8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from dspex.evaluation.statistics.intervals import LEVEL, Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dspex.evaluation.statistics.clustered import Grouping

__all__ = ("bca_interval",)

_ROUNDS: Final = 9_999
_FEWEST_ROUNDS: Final = 1_999
_MAX_DRAWS: Final = 100_000_000
_BLOCK_DRAWS: Final = 1 << 21


def bca_interval(sample: Grouping, seed: int) -> Interval | None:
    """Return the BCa interval of the mean; None if resampling shows no spread to work with.

    Cost: some 10 ns for each of `rounds * groups` draws, with up to 9,999 rounds and, from ten
    thousand groups on, as many as make a hundred million draws, at least 1,999.
    """
    means = np.sort(_resampled(sample, seed))
    observed = sample.mean
    # Half of the ties count as below, so that a mean on a coarse grid has no bias of its own.
    below = np.searchsorted(means, observed, "left") + np.searchsorted(means, observed, "right")
    share = float(below) / (2 * len(means))
    if not 0 < share < 1:
        return None

    bias = float(special.ndtri(share))
    acceleration = _acceleration(sample)
    low, high = (
        _quantile(means, bias, acceleration, float(special.ndtri(tail)))
        for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    )
    kind = "cluster bootstrap" if sample.clustered else "bootstrap"
    return Interval(low, high, f"BCa {kind}, {len(means):,} rounds")


def _resampled(sample: Grouping, seed: int) -> NDArray[np.float64]:
    """Return the means of resamples, shape (rounds,)."""
    groups = sample.groups
    rounds = min(_ROUNDS, max(_FEWEST_ROUNDS, _MAX_DRAWS // groups))
    random = np.random.default_rng(seed)
    means = np.empty(rounds)
    step = max(1, _BLOCK_DRAWS // groups)
    for start in range(0, rounds, step):
        block = means[start : start + step]
        drawn = random.integers(0, groups, size=(len(block), groups))
        block[:] = sample.totals[drawn].sum(axis=1)
        block /= sample.sizes[drawn].sum(axis=1) if sample.clustered else groups

    return means


def _acceleration(sample: Grouping) -> float:
    """Return how fast the standard error changes with the mean (14.15), from a jackknife."""
    total, count = sample.totals.sum(), sample.sizes.sum()
    without = (total - sample.totals) / (count - sample.sizes)
    departures = without.mean() - without
    square_sum = float((departures**2).sum())
    return float((departures**3).sum()) / (6 * square_sum**1.5) if square_sum else 0.0


def _quantile(means: NDArray[np.float64], bias: float, acceleration: float, z: float) -> float:
    """Return the resampled mean at the corrected level of the normal quantile `z` (14.10)."""
    level = special.ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))
    return float(np.quantile(means, float(level)))
