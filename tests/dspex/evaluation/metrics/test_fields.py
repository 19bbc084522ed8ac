"""Metrics that compare a field with the right answers."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Any

import pytest

from dspex.errors import EvaluationError
from dspex.evaluation.metrics import (
    F1,
    Contains,
    ExactMatch,
    PassageMatch,
    contains,
    exact_match,
    f1,
    metric_name,
    passage_match,
)
from dspex.recipe import build, recipe_of
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction


def example(answer: Any) -> Example:
    """Return a data point with this right answer."""
    return Example(question="?", answer=answer).with_inputs("question")


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
