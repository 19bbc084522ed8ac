"""The arithmetic of a paired comparison.

Sources. Right-or-wrong scores: Q. McNemar, "Note on the sampling error of the difference between
correlated proportions or percentages", Psychometrika 12 (1947), as the exact binomial test on the
examples that flipped; the interval is the adjusted Wald of D. G. Bonett, R. M. Price, "Adjusted
Wald confidence interval for a difference of binomial proportions based on paired data", Journal of
Educational and Behavioral Statistics 37 (2012). Other scores: Student's t or, if they are skewed, a
bootstrap on the differences, and the sign-flip permutation test (R. A. Fisher, "The design of
experiments", 1935, section 21), its p-value corrected as B. Phipson, G. K. Smyth ask for,
"Permutation p-values should never be zero", Statistical Applications in Genetics and Molecular
Biology 9 (2010). In clusters the signs of a whole cluster flip together: within it the differences
may depend on each other as they like (A. M. Winkler et al., "Multi-level block permutation",
NeuroImage 123 (2015)).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from scipy import special

from dspex.evaluation.comparison import Flip
from dspex.evaluation.samples import ended
from dspex.evaluation.statistics import (
    Grouping,
    Interval,
    equal_scores_interval,
    is_binary,
    spread_interval,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dspex.evaluation.report import Report

__all__ = ("Pairing", "bonett_price", "mcnemar", "minimum_detectable", "permutation")

_Floats: TypeAlias = "NDArray[np.float64]"

_Z_95: Final = 1.959963984540054
_Z_80: Final = 0.8416212335729143
_ROUNDS: Final = 9_999
_EXACT: Final = 13
"""So many signs have fewer patterns than a test draws."""

_MANY: Final = 5_000
_BLOCK_CELLS: Final = 1 << 22
_MAX_FLIPS: Final = 1_000


class Pairing:
    """The two runs side by side. Examples of one are found in the other by key.

    `x` and `y` are the scores of the examples that count in both, shape (pairs,). Clusters are
    those of either report; both were told of the same examples.
    """

    def __init__(self, before: Report, after: Report) -> None:
        left, right = ended(before.columns), ended(after.columns)
        _, at_x, at_y = np.intersect1d(
            left.keys, right.keys, assume_unique=True, return_indices=True
        )
        order = np.argsort(at_x)
        at_x, at_y = at_x[order], at_y[order]
        both = ~np.isnan(left.scores[at_x]) & ~np.isnan(right.scores[at_y])
        paired, others = left.at(at_x[both]), right.at(at_y[both])
        self.x: _Floats = paired.scores
        self.y: _Floats = others.scores
        self.indices, self.keys = paired.indices, paired.keys
        clusters = others.clusters if paired.clusters is None else paired.clusters
        self.sample = Grouping.of(self.y - self.x, clusters)
        # Of those that do not count in both, what is known of either side.
        self.only_x: _Floats = np.delete(left.scores, at_x[both])
        self.only_y: _Floats = np.delete(right.scores, at_y[both])
        shared_missing = int((~both).sum())
        unmatched = len(left) + len(right) - 2 * len(at_x)
        unseen = min(before.counts.not_run, after.counts.not_run)
        self.missing = shared_missing + unmatched + unseen

    @property
    def pairs(self) -> int:
        """How many examples count in both."""
        return len(self.x)

    def facts(self, seed: int) -> dict[str, Any]:
        """Return the fields of a `Comparison`."""
        difference = self.y - self.x
        p_value, test = self._test(difference, seed)
        worst, best = self._bounds(difference)
        return {
            "pairs": self.pairs,
            "missing": self.missing,
            "clusters": self.sample.groups if self.sample.clustered else None,
            "score_before": float(self.x.mean()),
            "score_after": float(self.y.mean()),
            "difference": float(difference.mean()),
            "stderr": self.sample.stderr,
            "interval": self._interval(difference, seed),
            "p_value": p_value,
            "test": test,
            "minimum_detectable": minimum_detectable(self.sample.stderr),
            "worst_case": worst,
            "best_case": best,
            "improved": int((difference > 0).sum()),
            "worsened": int((difference < 0).sum()),
            "flipped": self._flips(difference),
        }

    @property
    def _independent_binary(self) -> bool:
        return not self.sample.clustered and is_binary(self.x) and is_binary(self.y)

    def _test(self, difference: _Floats, seed: int) -> tuple[float, str]:
        if self._independent_binary:
            return mcnemar(difference)

        p_value, test = permutation(self.sample.totals, seed)
        return p_value, f"{test}, by cluster" if self.sample.clustered else test

    def _interval(self, difference: _Floats, seed: int) -> Interval | None:
        if self._independent_binary:
            return bonett_price(difference)

        if difference.min() == difference.max():
            if not self._in_unit_range():
                return None

            return equal_scores_interval(float(difference[0]), self.sample.groups, low=-1.0)

        return spread_interval(self.sample, seed)

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


def permutation(differences: _Floats, seed: int) -> tuple[float, str]:
    """Return the p-value of "the signs are random", and the test's name.

    `differences` has shape (n,), one for each independent part: an example, or a cluster's sum. Up
    to thirteen that are not 0 are tested exactly, five thousand and more by the normal law that
    the sum of so many random signs obeys, in between with as many random patterns as make p
    certain to two digits.
    """
    changed = differences[differences != 0]
    observed = abs(float(changed.sum()))
    if len(changed) == 0:
        return 1.0, "permutation"

    if len(changed) > _MANY:
        deviation = math.sqrt(float((changed**2).sum()))
        return float(special.erfc(observed / deviation / math.sqrt(2))), "permutation, normal limit"

    if len(changed) <= _EXACT:
        patterns = np.arange(1 << len(changed))[:, None] >> np.arange(len(changed)) & 1
        return _extreme(patterns, changed) / len(patterns), "permutation, exact"

    random = np.random.default_rng(seed)
    extreme, left = 0, _ROUNDS
    while left:
        block = min(left, max(1, _BLOCK_CELLS // len(changed)))
        bits = random.integers(0, 2, size=(block, len(changed)), dtype=np.int8)
        extreme += _extreme(bits, changed)
        left -= block

    return (extreme + 1) / (_ROUNDS + 1), f"permutation, {_ROUNDS + 1:,} rounds"


def _extreme(patterns: NDArray[Any], changed: _Floats) -> int:
    """Count the patterns of signs, 0 and 1, whose sum is as far from 0 as the observed one."""
    # Rounding must not make a permutation that equals the sample look less extreme.
    threshold = abs(float(changed.sum())) * (1 - 1e-12)
    return int((np.abs((patterns * 2 - 1) @ changed) >= threshold).sum())


def minimum_detectable(stderr: float | None) -> float | None:
    """Return the difference that a run with this standard error finds at 5 % in four of five cases.

    By the normal approximation, as a power analysis of a mean goes: (z(0.975) + z(0.8)) * stderr.
    None where the error is not known, or 0 because nothing differed.
    """
    return (_Z_95 + _Z_80) * stderr if stderr else None
