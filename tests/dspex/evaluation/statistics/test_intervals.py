"""Intervals that hold what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from dspex.evaluation.statistics import (
    equal_scores_interval,
    is_binary,
    t_interval,
    wilson_interval,
)


class TestWilson:
    def test_published_values(self) -> None:
        """The example of Newcombe (1998): 81 of 263, 0.2553 to 0.3662."""
        interval = wilson_interval(81 / 263, 263)
        assert interval.low == pytest.approx(0.2553, abs=5e-5)
        assert interval.high == pytest.approx(0.3662, abs=5e-5)

    def test_all_right_is_not_certain(self) -> None:
        """Twenty of twenty leaves room for mistakes not seen yet."""
        interval = wilson_interval(1.0, 20)
        assert interval.high == 1.0
        assert interval.low == pytest.approx(0.8389, abs=5e-5)

    @given(st.integers(1, 500), st.data())
    def test_stays_in_range_and_mirrors(self, count: int, data: st.DataObject) -> None:
        """Bounds are shares, and right and wrong are treated alike."""
        right = data.draw(st.integers(0, count))
        interval = wilson_interval(right / count, count)
        mirrored = wilson_interval((count - right) / count, count)
        assert 0 <= interval.low <= right / count <= interval.high <= 1
        assert interval.low == pytest.approx(1 - mirrored.high)

    def test_against_scipy(self) -> None:
        """The same bounds as scipy's."""
        theirs = stats.binomtest(7, 50).proportion_ci(0.95, "wilson")
        ours = wilson_interval(7 / 50, 50)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


class TestT:
    def test_against_scipy(self) -> None:
        """The same bounds as scipy's."""
        sample = np.arange(10, dtype=float)
        stderr = float(stats.sem(sample))
        theirs = stats.t.interval(0.95, 9, loc=4.5, scale=stderr)
        ours = t_interval(4.5, stderr, 9)
        assert (ours.low, ours.high) == pytest.approx(theirs)

    @pytest.mark.slow
    def test_covers_as_often_as_it_says(self) -> None:
        """Of samples with a known mean, about 95 in 100 intervals hold it."""
        random = np.random.default_rng(7)
        samples = random.normal(0.3, 0.1, size=(2_000, 12))
        errors = samples.std(axis=1, ddof=1) / math.sqrt(12)
        intervals = [t_interval(m, e, 11) for m, e in zip(samples.mean(1), errors, strict=True)]
        hits = sum(interval.low <= 0.3 <= interval.high for interval in intervals)
        assert 0.935 < hits / 2_000 < 0.965


class TestEqualScores:
    def test_rule_of_three(self) -> None:
        """For many equal scores the share that was missed is close to three over their number."""
        interval = equal_scores_interval(0.0, 1_000)
        assert interval is not None
        assert interval.low == 0
        assert interval.high == pytest.approx(3 / 1_000, rel=0.01)

    def test_shrinks_with_more_scores(self) -> None:
        """More equal scores leave less room."""
        few, many = equal_scores_interval(0.5, 10), equal_scores_interval(0.5, 100)
        assert few is not None
        assert many is not None
        assert few.low < many.low < 0.5 < many.high < few.high


def test_is_binary() -> None:
    """Only 0 and 1 are right or wrong."""
    assert is_binary(np.array([0.0, 1.0]))
    assert not is_binary(np.array([0.0, 0.5]))
