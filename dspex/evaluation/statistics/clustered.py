"""Samples whose members come in groups: the spread of a mean when one group tells one story.

Sources. The standard error is the cluster-robust one of E. Miller, "Adding error bars to evals",
arXiv 2411.00640 (2024), which sums residuals within each cluster before squaring; the
correction for few clusters, G / (G - 1), is that of A. C. Cameron, D. L. Miller, "A practitioner's
guide to cluster-robust inference", Journal of Human Resources 50 (2015), section II.B, for a
regression on a constant. The same authors ask for G - 1 degrees of freedom (section VI.D).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ("Grouping",)


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """A sample by its groups: the sum of the values in each, and how many they are.

    `totals` and `sizes` have shape (groups,). Without clusters each value is a group of its own, so
    that one arithmetic serves both; `clustered` tells them apart.
    """

    totals: NDArray[np.float64]
    sizes: NDArray[np.float64]
    clustered: bool

    @classmethod
    def of(cls, values: NDArray[np.float64], clusters: NDArray[np.uint64] | None) -> Self:
        """Group `values`, shape (n,), by equal `clusters`, shape (n,), if there are any."""
        if clusters is None:
            return cls(values, np.ones(len(values)), clustered=False)

        _, codes = np.unique(clusters, return_inverse=True)
        totals = np.bincount(codes, weights=values).astype(np.float64)
        return cls(totals, np.bincount(codes).astype(np.float64), clustered=True)

    @property
    def groups(self) -> int:
        """How many independent parts the sample has."""
        return len(self.totals)

    @property
    def count(self) -> int:
        """How many values there are."""
        return int(self.sizes.sum())

    @property
    def mean(self) -> float:
        """The mean over all values, whatever their group."""
        return float(self.totals.sum() / self.sizes.sum())

    @property
    def residuals(self) -> NDArray[np.float64]:
        """By how much each group's sum departs from the mean, shape (groups,)."""
        return self.totals - self.mean * self.sizes

    @property
    def stderr(self) -> float | None:
        """The standard error of the mean; None for fewer than two groups."""
        groups = self.groups
        if groups < 2:
            return None

        square_sum = float((self.residuals**2).sum())
        return math.sqrt(groups / (groups - 1) * square_sum) / self.count
