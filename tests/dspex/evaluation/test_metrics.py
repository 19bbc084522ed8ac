"""Metrics: what they accept, what they refuse, and that any callable becomes one."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
from collections.abc import Awaitable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dspex.effects import Trace
from dspex.errors import EvaluationError
from dspex.evaluation.metrics import (
    F1,
    Contains,
    ExactMatch,
    PassageMatch,
    PreparedMetric,
    Score,
    contains,
    exact_match,
    f1,
    metric_name,
    normalize_answer,
    passage_match,
)
from dspex.recipe import build, recipe_of
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction


def example(answer: Any) -> Example:
    """Return a data point with this right answer."""
    return Example(question="?", answer=answer).with_inputs("question")


class TestNormalizeAnswer:
    @pytest.mark.parametrize(
        ("text", "normal"),
        [
            ("The  Eiffel Tower!", "eiffel tower"),
            ("an apple, a day", "apple day"),
            ("U.S.A.", "usa"),
            ("1,000", "1000"),
            ("1.5", "1.5"),
            ("-3", "-3"),
            ("$-3", "-3"),
            ("1990-1995", "19901995"),
            ("well-known", "wellknown"),
            ("...", "..."),
            ("The", "the"),
            ("", ""),
        ],
    )
    def test_normal_form(self, text: str, normal: str) -> None:
        """Case, articles, space and signs go; what makes a number stays."""
        assert normalize_answer(text) == normal

    def test_accents_compose(self) -> None:
        """One letter and letter plus accent are the same."""
        assert normalize_answer("caf\u00e9") == normalize_answer("cafe\u0301")

    @given(st.text())
    def test_is_a_normal_form(self, text: str) -> None:
        """Case and outer space never matter."""
        assert normalize_answer(f"  {text.strip()} ") == normalize_answer(text.strip())


class TestExactMatch:
    @pytest.mark.parametrize(
        ("right", "given", "score"),
        [
            ("Paris", "paris.", True),
            ("Paris", "London", False),
            (["Paris", "the City of Light"], "city of light", True),
            (["Paris"], "Rome", False),
            (3, 3, True),
            (3, 4, False),
            ([1, 2], [1, 2], True),
            ("1.5", "15", False),
            ("+", "-", False),
            (None, "none", True),
            ("3", 3, False),
        ],
    )
    def test_scores(self, right: Any, given: Any, score: bool) -> None:
        """Texts in their normal form, any of a list; everything else by equality."""
        assert exact_match("answer")(example(right), Prediction(answer=given)) is score

    def test_as_it_is(self) -> None:
        """Without normalization every sign counts."""
        metric = exact_match("answer", normalize=False)
        assert not metric(example("Paris"), Prediction(answer="paris"))
        assert metric(example("Paris"), Prediction(answer="Paris"))

    def test_against_another_field(self) -> None:
        """The right answer may have another name in the data."""
        row = Example(question="?", gold="x").with_inputs("question")
        assert exact_match("answer", against="gold")(row, Prediction(answer="X"))

    def test_field_missing_in_the_example(self) -> None:
        """The error names metric and field, and what there is."""
        row = Example(question="?").with_inputs("question")
        with pytest.raises(EvaluationError, match=r"ExactMatch\('answer'\).*'answer'.*'question'"):
            exact_match("answer")(row, Prediction(answer="x"))

    def test_field_missing_in_the_prediction(self) -> None:
        """A program that answers something else is named as such."""
        with pytest.raises(EvaluationError, match="this prediction does not have"):
            exact_match("answer")(example("x"), Prediction(team="x"))


class TestOthers:
    @pytest.mark.parametrize(
        ("given", "score"),
        [("It was Paris, I think", True), ("comparison", False), ("paris", True), ("", False)],
    )
    def test_contains(self, given: str, score: bool) -> None:
        """Whole words only."""
        assert contains("answer")(example("Paris"), Prediction(answer=given)) is score

    @pytest.mark.parametrize(
        ("right", "given", "score"),
        [
            ("Eiffel Tower", "the Eiffel Tower", 1.0),
            ("Paris", "Eiffel Tower is in Paris", 1 / 3),
            ("Paris", "London", 0.0),
            (["Rome", "Paris France"], "Paris", 2 / 3),
            ("x x", "x", 2 / 3),
            ([], "x", 0.0),
        ],
    )
    def test_f1(self, right: Any, given: str, score: float) -> None:
        """Overlap of words, repeated words counted once each, best of the right answers."""
        assert f1("answer")(example(right), Prediction(answer=given)) == pytest.approx(score)

    def test_passage_match(self) -> None:
        """One passage that holds a right answer is enough; a text is a single passage."""
        metric = passage_match()
        row = example(["Paris", "Lutetia"])
        assert metric(row, Prediction(context=["no", "old Lutetia was small"]))
        assert metric(row, Prediction(context="in Paris"))
        assert not metric(row, Prediction(context=["Rome", "comparison"]))


class TestValues:
    @pytest.mark.parametrize(
        "metric",
        [
            ExactMatch("answer", against="gold", normalize=False),
            Contains("answer"),
            F1("answer"),
            PassageMatch("context", against="answer"),
        ],
    )
    def test_recipe_builds_an_equal_metric(self, metric: ExactMatch) -> None:
        """A metric can be rebuilt in another process from plain data."""
        assert build(recipe_of(metric)) == metric
        assert build(metric.recipe()) == metric

    def test_text(self) -> None:
        """What stands in reports names the settings that differ from the defaults."""
        assert str(exact_match("team")) == "ExactMatch('team')"
        assert str(exact_match("a", against="b")) == "ExactMatch('a', against='b')"
        assert metric_name(f1("x")) == "F1('x')"

    def test_name_of_a_function(self) -> None:
        """A function is named by where it is defined."""
        assert metric_name(two).endswith("test_metrics.two")


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


class Team(enum.Enum):
    BILLING = "billing"


@dataclasses.dataclass(frozen=True)
class Invoice:
    due: datetime.date
    lines: tuple[int, ...]


DUE = datetime.date(2026, 1, 31)


@pytest.mark.parametrize(
    ("answer", "label", "same"),
    [
        (Team.BILLING, Team.BILLING, True),
        (Team.BILLING, "Billing", True),
        (Team.BILLING, ["network", "billing"], True),
        (Team.BILLING, "BILLING team", False),
        (DUE, "2026-01-31", True),
        (DUE, "2026-02-01", False),
        (Invoice(DUE, (1, 2)), {"due": "2026-01-31", "lines": [1, 2]}, True),
        (Invoice(DUE, (1, 2)), {"due": "2026-01-31", "lines": [2, 1]}, False),
        ((1, 2), [1, 2], True),
        (5, "5", False),
        (True, "true", False),
        (None, "None", False),
        (object(), "x", False),
    ],
)
def test_values_against_labels_from_a_file(answer: Any, label: Any, same: bool) -> None:
    """A label that JSON could hold equals the value it stands for, and nothing else."""
    judged = exact_match("a")(Example(a=label), Prediction(a=answer))
    assert judged is same
