"""Intervals that need no resampling.

Sources: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA
22 (1927); recommended by L. D. Brown, T. T. Cai, A. DasGupta, "Interval estimation for a binomial
proportion", Statistical Science 16 (2001), equation 4. Zero observed cases: J. A. Hanley,
A. Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249 (1983), with its exact
bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scipy import special

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = (
    "LEVEL",
    "Interval",
    "equal_scores_interval",
    "is_binary",
    "t_interval",
    "wilson_interval",
)

LEVEL: Final = 0.95
"""How many of a hundred such intervals hold the true value."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds that hold the true value in 95 of 100 such samples, and the method behind them."""

    low: float
    high: float
    method: str


def is_binary(scores: NDArray[np.float64]) -> bool:
    """Tell whether every score is 0 or 1."""
    return bool(((scores == 0.0) | (scores == 1.0)).all())


def t_interval(mean: float, stderr: float, freedom: int, method: str = "Student t") -> Interval:
    """Return Student's 95 % interval of a mean, with `freedom` degrees of freedom, 1 or more."""
    half = float(special.stdtrit(freedom, (1 + LEVEL) / 2)) * stderr
    return Interval(mean - half, mean + half, method)


def wilson_interval(share: float, count: float, method: str = "Wilson") -> Interval:
    """Return Wilson's 95 % score interval of a proportion.

    Args:
        share: observed, 0 to 1.
        count: of how many independent observations; need not be whole.
        method: how it is called.
    """
    z = float(special.ndtri((1 + LEVEL) / 2))
    scale = 1 + z * z / count
    centre = (share + z * z / (2 * count)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    # At the ends the bound is exactly 0 or 1; rounding must not leave it a hair off.
    low = 0.0 if share == 0 else centre - half
    high = 1.0 if share == 1 else centre + half
    return Interval(low, high, method)


def equal_scores_interval(
    value: float, count: int, *, low: float = 0.0, high: float = 1.0
) -> Interval | None:
    """Return the interval of the mean when all `count` scores are `value`, within [low, high].

    With 95 % confidence at most a share 1 - 0.05 ** (1 / count) of all examples score otherwise,
    and those lie anywhere in the range. None if `value` is outside it: the range is not known.
    """
    if not low <= value <= high:
        return None

    missed = 1 - (1 - LEVEL) ** (1 / count)
    return Interval(
        value - missed * (value - low), value + missed * (high - value), "rule of three"
    )
