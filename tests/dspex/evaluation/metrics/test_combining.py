"""Metrics made of metrics."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.effects import Trace
from dspex.errors import EvaluationError
from dspex.evaluation.metrics import (
    Minimum,
    PreparedMetric,
    Score,
    Weighted,
    all_of,
    any_of,
    exact_match,
    f1,
    judge,
    metric_name,
    minimum,
    weighted,
)
from dspex.recipe import build, recipe_of
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction

EXAMPLE = Example(question="?", answer="yes").with_inputs("question")
RIGHT = Prediction(answer="yes")


def worth(value: float, said: str | None = None) -> Any:
    """Make a metric that always gives this."""
    return lambda example, prediction: Score(value, said)


def never(example: Example, prediction: Prediction) -> float:
    """Be a metric that must not be asked."""
    raise AssertionError("asked")


async def thoughtful(example: Example, prediction: Prediction) -> float:
    """Score after thinking."""
    return 0.5


class TestScores:
    async def test_weighted(self) -> None:
        """The mean by weight, sync and async metrics alike."""
        metric = weighted({worth(1.0): 3, thoughtful: 1})
        assert (await metric(EXAMPLE, RIGHT)).value == pytest.approx(0.875)

    async def test_without_weights(self) -> None:
        """Every metric counts alike."""
        assert (await Weighted((worth(1.0), worth(0.0)))(EXAMPLE, RIGHT)).value == 0.5

    async def test_minimum(self) -> None:
        """The least."""
        assert (await minimum(worth(0.9), worth(0.2))(EXAMPLE, RIGHT)).value == 0.2

    async def test_all_of_stops_at_the_first_failure(self) -> None:
        """What is asked after a failure would be paid for in vain."""
        assert (await all_of(worth(1.0), worth(0.9))(EXAMPLE, RIGHT)).value == 0.0
        assert (await all_of(worth(0.0), never)(EXAMPLE, RIGHT)).value == 0.0
        assert (await all_of(worth(0.9), threshold=0.8)(EXAMPLE, RIGHT)).value == 1.0

    async def test_any_of_stops_at_the_first_success(self) -> None:
        """One is enough."""
        assert (await any_of(worth(1.0), never)(EXAMPLE, RIGHT)).value == 1.0
        assert (await any_of(worth(0.9), worth(0.0))(EXAMPLE, RIGHT)).value == 0.0

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
    async def test_between_the_least_and_the_most(self, values: list[float]) -> None:
        """A weighted mean lies within its parts."""
        found = (await Weighted(tuple(map(worth, values)))(EXAMPLE, RIGHT)).value
        assert min(values) - 1e-12 <= found <= max(values) + 1e-12

    async def test_nested(self) -> None:
        """Combinations combine."""
        metric = all_of(exact_match("answer"), minimum(f1("answer"), worth(1.0)))
        assert (await metric(EXAMPLE, RIGHT)).value == 1.0


class TestFeedback:
    async def test_is_kept_with_its_metric(self) -> None:
        """Each part's words, under its name."""

        def tone(example: Example, prediction: Prediction) -> Score:
            return Score(0.5, "too harsh")

        score = await minimum(tone, worth(1.0))(EXAMPLE, RIGHT)
        assert score.feedback is not None
        assert score.feedback.endswith("tone: too harsh")
        assert (await minimum(worth(1.0))(EXAMPLE, RIGHT)).feedback is None


class TestErrors:
    async def test_part_that_raises(self) -> None:
        """What a part raises is raised."""

        def broken(example: Example, prediction: Prediction) -> float:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await minimum(worth(1.0), broken)(EXAMPLE, RIGHT)

    async def test_part_that_says_nonsense(self) -> None:
        """A part that gives no number is named."""
        with pytest.raises(EvaluationError, match=r"lambda.*returned Score\(value=nan"):
            await minimum(worth(float("nan")))(EXAMPLE, RIGHT)

    def test_no_parts(self) -> None:
        """Nothing cannot be combined."""
        with pytest.raises(EvaluationError, match="AllOf needs metrics"):
            all_of()

    def test_part_that_is_no_metric(self) -> None:
        """Parts are looked at when they are combined."""
        with pytest.raises(EvaluationError, match="'accuracy' is not a metric"):
            minimum("accuracy")  # type: ignore[arg-type]  # on purpose

    @pytest.mark.parametrize("weights", [(1.0,), (0.0, 0.0), (-1.0, 2.0), (float("inf"), 1.0)])
    def test_weights(self, weights: tuple[float, ...]) -> None:
        """Weights have to fit."""
        with pytest.raises(EvaluationError, match="the weights are"):
            Weighted((worth(1), worth(2)), weights=weights)


class TestTrace:
    async def test_goes_to_those_that_want_it(self) -> None:
        """A part that requires the trace gets it, one with a default only from optimizers."""
        seen: list[object] = []

        def wants(example: Example, prediction: Prediction, trace: Trace | None) -> float:
            seen.append(trace)
            return 1.0

        def may(example: Example, prediction: Prediction, trace: Trace | None = None) -> float:
            seen.append(trace)
            return 1.0

        trace = Trace()
        plain = PreparedMetric(minimum(wants, may))
        assert plain.wants_trace
        await plain(EXAMPLE, RIGHT, trace)
        assert seen == [trace, None]
        seen.clear()
        await PreparedMetric(minimum(wants, may), fill_trace=True)(EXAMPLE, RIGHT, trace)
        assert seen == [trace, trace]
        assert not PreparedMetric(minimum(may)).wants_trace


class TestValues:
    @pytest.mark.parametrize(
        "metric",
        [
            weighted({exact_match("a"): 2, f1("b"): 1}),
            all_of(exact_match("a"), never, threshold=0.5),
            any_of(exact_match("a"), minimum(f1("b"))),
            all_of(exact_match("a"), judge("Is it polite?")),
        ],
    )
    def test_recipe_builds_an_equal_metric(self, metric: Any) -> None:
        """A combination can be rebuilt in another process from plain data."""
        assert build(recipe_of(metric)) == metric
        assert hash(build(recipe_of(metric))) == hash(metric)

    def test_part_without_a_name(self) -> None:
        """A lambda cannot be named elsewhere, and is refused by its place."""
        with pytest.raises(TypeError, match=r"metrics\[0\]"):
            recipe_of(Minimum((worth(1.0),)))

    def test_text(self) -> None:
        """Its name is made of its parts' names."""
        assert metric_name(minimum(exact_match("a"), f1("b"))) == (
            "Minimum(ExactMatch('a'), F1('b'))"
        )
