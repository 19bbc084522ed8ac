"""Any callable becomes a metric, or is refused before the run."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from typing import Any

import numpy as np
import pytest

from dspex.effects import Trace
from dspex.errors import EvaluationError
from dspex.evaluation.metrics import PreparedMetric, Score, exact_match, metric_name
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction


def example(answer: Any) -> Example:
    """Return a data point with this right answer."""
    return Example(question="?", answer=answer).with_inputs("question")


def two(example: Any, prediction: Any) -> bool:
    """Score by two arguments."""
    return True


def three(example: Any, prediction: Any, trace: Trace | None) -> float:
    """Score by what is in the trace."""
    return 0.5 if trace is None else len(trace.entries)


def optional(example: Any, prediction: Any, trace: Trace | None = None) -> bool:
    """Be strict while optimizing, as metrics written for DSPy are."""
    return trace is None


async def slow(example: Any, prediction: Any) -> Score:
    """Score after thinking."""
    return Score(0.25, "think faster")


class Always:
    """A metric with a state."""

    def __call__(self, example: Any, prediction: Any) -> bool:
        """Score."""
        return True


async def judge(metric: Any, **options: Any) -> Score:
    """Prepare a metric and ask it once, with a trace."""
    return await PreparedMetric(metric, **options)(example("x"), Prediction(answer="x"), Trace())


class TestPreparedMetric:
    @pytest.mark.parametrize(
        ("metric", "value"),
        [(two, 1.0), (three, 0.0), (optional, 1.0), (Always(), 1.0), (exact_match("answer"), 1)],
    )
    async def test_any_shape(self, metric: Any, value: float) -> None:
        """Two arguments, three, functions and objects are all metrics."""
        assert (await judge(metric)).value == value

    async def test_async_with_feedback(self) -> None:
        """An async metric is awaited, and its words are kept."""
        assert await judge(slow) == Score(0.25, "think faster")

    async def test_optional_trace_is_filled_on_request(self) -> None:
        """Optimizers fill a trace that has a default, evaluation does not."""
        assert (await judge(optional, fill_trace=True)).value == 0.0
        assert PreparedMetric(three).wants_trace
        assert not PreparedMetric(optional).wants_trace

    @pytest.mark.parametrize(
        "value", [True, 1, 0.5, np.float32(0.5), np.float64(1), np.bool_(True), np.int64(1)]
    )
    async def test_any_number(self, value: Any) -> None:
        """Numbers of array libraries are numbers."""
        score = await judge(lambda e, p: value)
        assert type(score.value) is float
        assert score.value == value

    @pytest.mark.parametrize(
        "value",
        [None, "yes", math.nan, math.inf, [], Score(math.nan), Score("x"), np.array([1, 2])],  # type: ignore[arg-type]  # on purpose
    )
    async def test_nonsense_is_named(self, value: Any) -> None:
        """What is no number is an error with the metric's name and the value."""
        with pytest.raises((EvaluationError, ValueError), match=r"lambda|size 1"):
            await judge(lambda e, p: value)

    async def test_async_nonsense(self) -> None:
        """A metric that forgets to return is found out after it was awaited."""

        async def forgetful(example: Any, prediction: Any) -> None:
            return None

        with pytest.raises(EvaluationError, match="forgetful returned None"):
            await judge(forgetful)

    @pytest.mark.parametrize(
        "metric", [lambda: 1, lambda example: 1, lambda a, b, c, d: 1, "accuracy", None]
    )
    def test_no_metric_is_refused_before_the_run(self, metric: Any) -> None:
        """What cannot be called with example and prediction is refused at once."""
        with pytest.raises(EvaluationError, match=r"metric"):
            PreparedMetric(metric)

    @pytest.mark.parametrize("metric", [lambda *anything: True, max])
    async def test_variadic_and_builtin(self, metric: Any) -> None:
        """Functions that take anything are called with two arguments."""
        value: Awaitable[Score] = PreparedMetric(metric)(1, 2, None)
        assert (await value).value in (1, 2)


def test_name_of_a_function() -> None:
    """A function is named by where it is defined."""
    assert metric_name(two).endswith("test_prepared.two")
