"""The bootstrap, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dspex.evaluation.statistics import Grouping, bca_interval


@pytest.mark.slow
def test_against_scipy() -> None:
    """Bounds of skewed scores agree with scipy's BCa within what resampling leaves open."""
    scores = np.random.default_rng(3).beta(0.4, 3, size=60)
    ours = bca_interval(Grouping.of(scores, None), 0)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=9_999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_no_spread() -> None:
    """Equal values cannot be resampled into an interval of any width."""
    interval = bca_interval(Grouping.of(np.full(20, 0.25), None), 0)
    assert interval is None or interval.low == interval.high == 0.25


@pytest.mark.slow
def test_covers_skewed_scores_about_as_often_as_it_says() -> None:
    """Of samples of a skewed score with a known mean, most intervals hold it."""
    random = np.random.default_rng(11)
    hits = 0
    for seed in range(150):
        scores = random.exponential(0.2, size=50)
        interval = bca_interval(Grouping.of(scores, None), seed)
        assert interval is not None
        hits += interval.low <= 0.2 <= interval.high

    assert hits / 150 > 0.88
