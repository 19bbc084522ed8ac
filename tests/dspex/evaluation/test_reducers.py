"""From the scores of several epochs to one, and never by guessing."""

from __future__ import annotations

import itertools
import math
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.errors import EvaluationError
from dspex.evaluation.reducers import (
    Mean,
    Median,
    Mode,
    Reducer,
    at_least,
    pass_at,
    reducer_for,
)
from dspex.recipe import build, recipe_of

scores = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=6)


class TestNamed:
    @pytest.mark.parametrize(
        ("reducer", "given", "expected"),
        [
            (Mean(), [1.0, 0.0, 0.5], 0.5),
            (Median(), [1.0, 0.0, 0.0], 0.0),
            (Median(), [1.0, 0.0], 0.5),
            (Mode(), [1.0, 1.0, 0.0], 1.0),
            (Mode(), [1.0, 0.0], 0.0),
            (Mean(), [], None),
            (Median(), [], None),
            (Mode(), [], None),
        ],
    )
    def test_reduce(self, reducer: Reducer, given: list[float], expected: float | None) -> None:
        """Each of them, ties and nothing at all included."""
        assert reducer.reduce(given, 0) == expected

    @given(scores)
    def test_order_does_not_matter(self, values: list[float]) -> None:
        """Which epoch scored what says nothing."""
        for reducer in (Mean(), Median(), Mode(), pass_at(1), at_least(1)):
            assert reducer.reduce(values, 0) == pytest.approx(reducer.reduce(values[::-1], 0))


class TestPassAt:
    @given(scores, st.integers(1, 6))
    def test_is_the_share_of_draws_with_a_pass(self, values: list[float], k: int) -> None:
        """It equals the count over all ways to draw k of the runs."""
        found = pass_at(k).reduce(values, 0)
        if k > len(values):
            assert found is None
            return

        draws = [max(draw) >= 1.0 for draw in itertools.combinations(values, k)]
        assert found == pytest.approx(fmean(draws))

    def test_threshold(self) -> None:
        """What counts as a pass can be said."""
        assert pass_at(1, threshold=0.5).reduce([0.5, 0.2], 0) == 0.5


class TestAtLeast:
    @given(scores, st.integers(1, 6), st.integers(0, 3))
    def test_agrees_with_every_way_the_missing_could_go(
        self, values: list[float], k: int, missing: int
    ) -> None:
        """It answers exactly where the missing epochs could not turn the answer."""
        ways = {
            float(sum(score >= 1.0 for score in (*values, *rest)) >= k)
            for rest in itertools.product((0.0, 1.0), repeat=missing)
        }
        found = at_least(k).reduce(values, missing)
        assert found == (ways.pop() if len(ways) == 1 else None)


class TestReducerFor:
    @pytest.mark.parametrize("name", ["mean", "median", "mode"])
    def test_names(self, name: str) -> None:
        """Each name has its reducer."""
        assert str(reducer_for(name, 1)) == name

    @pytest.mark.parametrize("wrong", ["max", None, 3, min, math.nan])
    def test_unknown(self, wrong: Any) -> None:
        """What there is instead is listed."""
        with pytest.raises(EvaluationError, match=r"reduce is .*'median'.*pass_at\(k\)"):
            reducer_for(wrong, 1)

    @pytest.mark.parametrize("reducer", [pass_at(3), at_least(3)])
    def test_more_epochs_needed(self, reducer: Reducer) -> None:
        """A reducer that could never be computed is refused before anything is called."""
        with pytest.raises(EvaluationError, match=r"\(3\) needs 3 epochs, and epochs is 2"):
            reducer_for(reducer, 2)

    @pytest.mark.parametrize("k", [0, -1, 1.5, True, "2"])
    def test_impossible_k(self, k: Any) -> None:
        """Named with what it got."""
        for make in (pass_at, at_least):
            with pytest.raises(EvaluationError, match=r"whole number from 1 on"):
                make(k)


def test_reducers_are_values() -> None:
    """They are equal by content, speak their name, and can be built again elsewhere."""
    assert pass_at(2) == pass_at(2) != pass_at(3)
    assert str(at_least(2, threshold=0.5)) == "at_least(2, threshold=0.5)"
    assert build(recipe_of(pass_at(2, threshold=0.5))) == pass_at(2, threshold=0.5)
