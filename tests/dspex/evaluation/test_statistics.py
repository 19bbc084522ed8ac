"""Intervals that hold what they promise."""

from __future__ import annotations

import math
from array import array

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dspex.evaluation.statistics import (
    equal_scores_interval,
    is_binary,
    percentiles,
    present,
    summarize,
    t_interval,
    wilson_interval,
)


class TestSummarize:
    def test_mean_and_standard_error(self) -> None:
        """Figures worked out by hand: variance 5/3 over four scores."""
        summary = summarize(np.array([1.0, 2.0, 3.0, 4.0]))
        assert summary.count == 4
        assert summary.mean == 2.5
        assert summary.stderr == pytest.approx(math.sqrt(5 / 3 / 4))

    def test_nothing(self) -> None:
        """Without scores there is no number to show."""
        summary = summarize(np.array([]))
        assert math.isnan(summary.mean)
        assert summary.stderr is None
        assert summary.interval is None

    def test_one_score_has_no_standard_error(self) -> None:
        """One score says nothing of the spread, but a right answer still bounds the share."""
        summary = summarize(np.array([1.0]))
        assert summary.stderr is None
        assert summary.interval is not None
        assert summary.interval.low < 0.25

    @pytest.mark.parametrize(
        ("scores", "method"),
        [
            ([0, 1, 1, 0], "Wilson"),
            ([1, 1, 1], "Wilson"),
            ([0.5, 0.7, 0.9], "Student t"),
            ([0.5, 0.5, 0.5], "rule of three"),
        ],
    )
    def test_chooses_the_method(self, scores: list[float], method: str) -> None:
        """Binary, graded and equal scores each get the interval that fits them."""
        interval = summarize(np.array(scores, dtype=float)).interval
        assert interval is not None
        assert interval.method == method

    def test_equal_scores_of_unknown_range(self) -> None:
        """All scores 7: how far the others may lie is not known, so nothing is claimed."""
        assert summarize(np.array([7.0, 7.0, 7.0])).interval is None

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
    def test_interval_holds_the_mean(self, scores: list[float]) -> None:
        """Whatever the scores between 0 and 1, there is an interval around their mean."""
        summary = summarize(np.array(scores))
        assert summary.interval is not None
        assert summary.interval.low - 1e-12 <= summary.mean <= summary.interval.high + 1e-12


class TestWilson:
    def test_published_values(self) -> None:
        """The example of Newcombe (1998): 81 of 263, 0.2553 to 0.3662."""
        interval = wilson_interval(81, 263)
        assert interval.low == pytest.approx(0.2553, abs=5e-5)
        assert interval.high == pytest.approx(0.3662, abs=5e-5)

    def test_all_right_is_not_certain(self) -> None:
        """Twenty of twenty leaves room for mistakes not seen yet."""
        interval = wilson_interval(20, 20)
        assert interval.high == 1.0
        assert interval.low == pytest.approx(0.8389, abs=5e-5)

    @given(st.integers(1, 500), st.data())
    def test_stays_in_range_and_mirrors(self, count: int, data: st.DataObject) -> None:
        """Bounds are shares, and right and wrong are treated alike."""
        right = data.draw(st.integers(0, count))
        interval, mirrored = wilson_interval(right, count), wilson_interval(count - right, count)
        assert 0 <= interval.low <= right / count <= interval.high <= 1
        assert interval.low == pytest.approx(1 - mirrored.high)


class TestT:
    def test_published_values(self) -> None:
        """Quantile 2.262 for nine degrees of freedom, as in the tables."""
        sample = np.arange(10, dtype=float)
        interval = t_interval(sample)
        half = 2.262157 * sample.std(ddof=1) / math.sqrt(10)
        assert interval.high - interval.low == pytest.approx(2 * half, rel=1e-6)

    @pytest.mark.slow
    def test_covers_as_often_as_it_says(self) -> None:
        """Of samples with a known mean, about 95 in 100 intervals hold it."""
        random = np.random.default_rng(7)
        samples = random.normal(0.3, 0.1, size=(2_000, 12))
        hits = sum(low.low <= 0.3 <= low.high for low in map(t_interval, samples))
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


class TestSmallThings:
    def test_is_binary(self) -> None:
        """Only 0 and 1 are right or wrong."""
        assert is_binary(np.array([0.0, 1.0]))
        assert not is_binary(np.array([0.0, 0.5]))

    def test_present_leaves_out_nan(self) -> None:
        """Rows without a value are not part of the sample."""
        assert present(array("d", [1.0, math.nan, 0.0])).tolist() == [1.0, 0.0]
        assert present(array("f"), "f4").tolist() == []

    def test_percentiles(self) -> None:
        """Hundred and one equally spaced times have their percentiles at their places."""
        figures = percentiles(np.arange(101, dtype=float))
        assert figures is not None
        assert (figures.p50, figures.p90, figures.p99, figures.max) == (50, 90, 99, 100)
        assert figures.mean == 50
        assert percentiles(np.array([])) is None
