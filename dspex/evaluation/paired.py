"""The arithmetic of a paired comparison.

Sources. Right-or-wrong scores: Q. McNemar, "Note on the sampling error of the difference between
correlated proportions or percentages", Psychometrika 12 (1947), as the exact binomial test on the
examples that flipped; the interval is the adjusted Wald of D. G. Bonett, R. M. Price, "Adjusted
Wald confidence interval for a difference of binomial proportions based on paired data", Journal of
Educational and Behavioral Statistics 37 (2012). Other scores: Student's t on the differences, and
the sign-flip permutation test (R. A. Fisher, "The design of experiments", 1935, section 21), its
p-value corrected as B. Phipson, G. K. Smyth ask for, "Permutation p-values should never be zero",
Statistical Applications in Genetics and Molecular Biology 9 (2010).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from scipy import special

from dspex.evaluation.comparison import Flip
from dspex.evaluation.statistics import (
    Interval,
    equal_scores_interval,
    is_binary,
    t_interval,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dspex.evaluation.report import Report

__all__ = ("Pairing", "bonett_price", "mcnemar", "minimum_detectable", "permutation")

_Floats: TypeAlias = "NDArray[np.float64]"

_Z_95: Final = 1.959963984540054
_Z_80: Final = 0.8416212335729143
_ROUNDS: Final = 9_999
_MANY: Final = 5_000
_BLOCK_CELLS: Final = 1 << 22
_MAX_FLIPS: Final = 1_000


class Pairing:
    """The two runs side by side. Examples of one are found in the other by key."""

    def __init__(self, before: Report, after: Report) -> None:
        keys_x, scores_x = _arrays(before)
        keys_y, scores_y = _arrays(after)
        _, at_x, at_y = np.intersect1d(keys_x, keys_y, assume_unique=True, return_indices=True)
        order = np.argsort(at_x)
        at_x, at_y = at_x[order], at_y[order]
        both = ~np.isnan(scores_x[at_x]) & ~np.isnan(scores_y[at_y])
        self.x: _Floats = scores_x[at_x[both]]
        self.y: _Floats = scores_y[at_y[both]]
        self.indices = _indices(before)[at_x[both]]
        self.keys = keys_x[at_x[both]]
        # Of those that do not count in both, what is known of either side.
        self.only_x: _Floats = np.delete(scores_x, at_x[both])
        self.only_y: _Floats = np.delete(scores_y, at_y[both])
        shared_missing = int((~both).sum())
        unmatched = len(keys_x) + len(keys_y) - 2 * len(at_x)
        unseen = min(before.counts.not_run, after.counts.not_run)
        self.missing = shared_missing + unmatched + unseen

    @property
    def pairs(self) -> int:
        """How many examples count in both."""
        return len(self.x)

    def facts(self, seed: int) -> dict[str, Any]:
        """Return the fields of a `Comparison`."""
        difference = self.y - self.x
        binary = is_binary(self.x) and is_binary(self.y)
        p_value, test = mcnemar(difference) if binary else permutation(difference, seed)
        worst, best = self._bounds(difference)
        return {
            "pairs": self.pairs,
            "missing": self.missing,
            "score_before": float(self.x.mean()),
            "score_after": float(self.y.mean()),
            "difference": float(difference.mean()),
            "interval": self._interval(difference, binary=binary),
            "p_value": p_value,
            "test": test,
            "minimum_detectable": minimum_detectable(difference),
            "worst_case": worst,
            "best_case": best,
            "improved": int((difference > 0).sum()),
            "worsened": int((difference < 0).sum()),
            "flipped": self._flips(difference),
        }

    def _interval(self, difference: _Floats, *, binary: bool) -> Interval | None:
        if binary:
            return bonett_price(difference)

        if difference.min() == difference.max():
            if not self._in_unit_range():
                return None

            return equal_scores_interval(float(difference[0]), len(difference), low=-1.0)

        return t_interval(difference)

    def _in_unit_range(self) -> bool:
        known = np.concatenate((self.x, self.y, self.only_x, self.only_y))
        known = known[~np.isnan(known)]
        return bool(((known >= 0) & (known <= 1)).all())

    def _bounds(self, difference: _Floats) -> tuple[float | None, float | None]:
        if not self._in_unit_range():
            return None, None

        # A known score of one side bounds the missing one's difference; both unknown: -1 to 1.
        x, y = (side[~np.isnan(side)] for side in (self.only_x, self.only_y))
        unknown = max(0, self.missing - len(x) - len(y))
        total = len(difference) + len(x) + len(y) + unknown
        known = float(difference.sum())
        worst = known - float(x.sum()) + float((y - 1).sum()) - unknown
        best = known + float((1 - x).sum()) + float(y.sum()) + unknown
        return worst / total, best / total

    def _flips(self, difference: _Floats) -> tuple[Flip, ...]:
        order = np.argsort(-np.abs(difference), kind="stable")[:_MAX_FLIPS]
        return tuple(
            Flip(
                int(self.indices[row]),
                f"{int(self.keys[row]):016x}",
                float(self.x[row]),
                float(self.y[row]),
            )
            for row in order
            if difference[row] != 0
        )


def _arrays(report: Report) -> tuple[NDArray[np.uint64], _Floats]:
    at = _indices(report)
    if not len(at):
        return np.empty(0, dtype=np.uint64), np.empty(0)

    keys = np.frombuffer(report.columns.keys, dtype=np.uint64)[at]
    return keys, np.frombuffer(report.columns.scores, dtype=np.float64)[at]


def _indices(report: Report) -> NDArray[np.int64]:
    return np.fromiter(report.columns.indices(), dtype=np.int64)


def bonett_price(difference: _Floats) -> Interval:
    """Return the adjusted Wald interval of the mean of differences of right-or-wrong scores."""
    count = len(difference)
    better = (int((difference > 0).sum()) + 1) / (count + 2)
    worse = (int((difference < 0).sum()) + 1) / (count + 2)
    middle = better - worse
    half = _Z_95 * math.sqrt((better + worse - middle * middle) / (count + 2))
    return Interval(max(-1.0, middle - half), min(1.0, middle + half), "Bonett-Price")


def mcnemar(difference: _Floats) -> tuple[float, str]:
    """Return the exact p-value of "as many got better as got worse", and the test's name."""
    better, worse = int((difference > 0).sum()), int((difference < 0).sum())
    tail = float(special.bdtr(min(better, worse), better + worse, 0.5)) if better + worse else 1.0
    return min(1.0, 2 * tail), "McNemar, exact"


def permutation(difference: _Floats, seed: int) -> tuple[float, str]:
    """Return the p-value of "the signs of the differences are random", and the test's name."""
    changed = difference[difference != 0]
    observed = abs(float(changed.sum()))
    if len(changed) == 0:
        return 1.0, "permutation"

    if len(changed) > _MANY:  # the sum of so many flipped signs is normal
        deviation = math.sqrt(float((changed**2).sum()))
        return float(special.erfc(observed / deviation / math.sqrt(2))), "permutation, normal limit"

    random = np.random.default_rng(seed)
    extreme, left = 0, _ROUNDS
    while left:
        block = min(left, max(1, _BLOCK_CELLS // len(changed)))
        signs = random.integers(0, 2, size=(block, len(changed)), dtype=np.int8) * 2 - 1
        # Rounding must not make a permutation that equals the sample look less extreme.
        extreme += int((np.abs(signs @ changed) >= observed * (1 - 1e-12)).sum())
        left -= block

    return (extreme + 1) / (_ROUNDS + 1), f"permutation, {_ROUNDS + 1:,} rounds"


def minimum_detectable(difference: _Floats) -> float | None:
    """Return the difference that this many such pairs find at 5 % in four of five cases."""
    if len(difference) < 2:
        return None

    deviation = float(difference.std(ddof=1))
    return (_Z_95 + _Z_80) * deviation / math.sqrt(len(difference)) if deviation else None
