"""A sample in a few figures."""

from __future__ import annotations

import math
import random
from array import array

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dspex.evaluation.statistics import (
    equal_scores_interval,
    is_skewed,
    percentiles,
    present,
    summarize,
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
            ([0.0] * 30 + [0.1, 0.9], "BCa bootstrap, 9,999 rounds"),
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


class TestSkewed:
    def test_rule_of_cochran(self) -> None:
        """The more skewed the scores, the more of them a normal mean takes."""
        assert is_skewed(np.array([0.0] * 20 + [1.0]))
        assert not is_skewed(np.array([0.0, 0.5, 1.0]))
        assert not is_skewed(np.array([0.0] * 2_000 + [1.0] * 1_000))

    def test_too_few_to_resample(self) -> None:
        """Of a handful of skewed scores the shape is not known: Student's t it is."""
        interval = summarize(np.array([0.1, 0.1, 0.1, 0.9])).interval
        assert interval is not None
        assert interval.method == "Student t"

    def test_seeded(self) -> None:
        """A seed fixes the interval, another one gives nearly the same."""
        scores = np.array([0.0] * 40 + [0.2, 0.5, 0.9])
        first, again, other = (summarize(scores, seed=seed) for seed in (1, 1, 2))
        assert first == again
        assert first.interval is not None
        assert other.interval is not None
        assert first.interval.high == pytest.approx(other.interval.high, rel=0.05)


class TestClusters:
    def test_more_room_than_independent_scores(self) -> None:
        """Clusters whose members agree are worth one observation each."""
        scores = np.repeat([0.1, 0.9, 0.4, 0.6, 0.2, 0.8], 10)
        clusters = np.repeat(np.arange(6, dtype=np.uint64), 10)
        alone, together = summarize(scores), summarize(scores, clusters)
        assert (together.clusters, together.mean) == (6, alone.mean)
        assert together.stderr == pytest.approx(summarize(scores[::10]).stderr)
        assert alone.stderr is not None
        assert together.stderr is not None
        assert together.stderr > 3 * alone.stderr
        assert together.interval is not None
        assert together.interval.method == "Student t, clustered"

    @given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
    def test_clusters_of_one_change_nothing(self, scores: list[float]) -> None:
        """Each example in a cluster of its own is the plain sample."""
        sample = np.array(scores)
        alone = summarize(sample)
        together = summarize(sample, np.arange(len(scores), dtype=np.uint64))
        assert together.mean == pytest.approx(alone.mean)
        assert together.stderr == pytest.approx(alone.stderr, abs=1e-12)

    @given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=2), st.randoms())
    def test_order_does_not_matter(
        self, rows: list[tuple[float, int]], random: random.Random
    ) -> None:
        """The figures are those of the set of scores."""
        shuffled = rows.copy()
        random.shuffle(shuffled)
        one, other = (
            summarize(np.array([s for s, _ in some]), np.array([c for _, c in some], np.uint64))
            for some in (rows, shuffled)
        )
        assert one.mean == pytest.approx(other.mean)
        assert one.stderr == pytest.approx(other.stderr, abs=1e-12)

    def test_one_cluster_says_nothing(self) -> None:
        """A single cluster has a mean and no error."""
        summary = summarize(np.array([0.0, 1.0, 1.0]), np.zeros(3, np.uint64))
        assert (summary.clusters, summary.stderr, summary.interval) == (1, None, None)

    def test_no_scores(self) -> None:
        """Nothing in no clusters."""
        assert summarize(np.array([]), np.array([], np.uint64)).clusters == 0

    def test_right_or_wrong(self) -> None:
        """The effective number of observations goes into Wilson's interval."""
        scores = np.repeat([1.0, 0.0, 1.0, 1.0], 25)
        clusters = np.repeat(np.arange(4, dtype=np.uint64), 25)
        interval = summarize(scores, clusters).interval
        assert interval is not None
        assert interval.method == "Wilson, effective sample size"
        assert 0 <= interval.low < 0.45
        assert 0.9 < interval.high <= 1

    def test_all_right(self) -> None:
        """Ten clusters without a mistake are ten observations, whatever they hold."""
        interval = summarize(np.ones(100), np.arange(100, dtype=np.uint64) % 10).interval
        expected = equal_scores_interval(1.0, 10)
        assert interval == expected

    def test_skewed_clusters_are_drawn_whole(self) -> None:
        """The bootstrap takes clusters and not examples."""
        scores = np.array([0.0] * 60 + [0.9, 0.8])
        interval = summarize(scores, np.arange(62, dtype=np.uint64) // 2).interval
        assert interval is not None
        assert interval.method.startswith("BCa cluster bootstrap")


class TestSmallThings:
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
