"""The standard error of clustered samples, against a library that knows it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from dspex.evaluation.statistics import Grouping


def theirs(values: np.ndarray[Any, Any], clusters: np.ndarray[Any, Any]) -> float:
    """Regress on a constant, with statsmodels' cluster-robust error."""
    fit = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": True}
    )
    return float(fit.bse[0])


@pytest.mark.parametrize("seed", range(5))
def test_against_statsmodels(seed: int) -> None:
    """Clusters of uneven sizes give the error that statsmodels gives."""
    random = np.random.default_rng(seed)
    clusters = random.integers(0, 12, size=90)
    values = random.normal(clusters / 12, 0.3)
    sample = Grouping.of(values, clusters.astype(np.uint64))
    assert sample.stderr == pytest.approx(theirs(values, clusters))
    assert sample.mean == pytest.approx(values.mean())
    assert sample.count == 90


def test_by_hand() -> None:
    """Two clusters: residual sums of 1 and -1 over four values."""
    sample = Grouping.of(np.array([1.0, 1.0, 0.0, 0.0]), np.array([7, 7, 9, 9], np.uint64))
    assert sample.groups == 2
    assert sample.stderr == pytest.approx(math.sqrt(2 / 1 * 2) / 4)


def test_without_clusters() -> None:
    """Every value for itself: the usual error."""
    values = np.array([1.0, 2.0, 3.0, 4.0])
    sample = Grouping.of(values, None)
    assert not sample.clustered
    assert sample.stderr == pytest.approx(values.std(ddof=1) / 2)
    assert Grouping.of(values[:1], None).stderr is None
