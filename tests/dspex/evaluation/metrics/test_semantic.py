"""Overlap in meaning."""

from __future__ import annotations

import pytest

from dspex.errors import EvaluationError
from dspex.evaluation.metrics import SemanticF1, semantic_f1
from dspex.recipe import build, recipe_of
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel

EXAMPLE = Example(question="Why?", answer="Because of rain").with_inputs("question")


def model(recall: float, precision: float) -> ScriptedModel:
    """Make a model that finds this overlap."""
    return ScriptedModel([{"reasoning": "ideas", "recall": recall, "precision": precision}])


@pytest.mark.parametrize(
    ("recall", "precision", "score"), [(1, 1, 1), (0.5, 1, 2 / 3), (0, 0, 0), (0, 1, 0)]
)
async def test_harmonic_mean(recall: float, precision: float, score: float) -> None:
    """Of recall and precision, 0 if there is nothing in common."""
    metric = semantic_f1(client=model(recall, precision))
    found = await metric(EXAMPLE, Prediction(answer="It rained"))
    assert found.value == pytest.approx(score)
    assert found.feedback == "ideas"


async def test_fields() -> None:
    """The compared fields may have other names; a missing one is named."""
    metric = semantic_f1("reply", against="gold", client=model(1, 1))
    row = Example(question="Why?", gold="rain").with_inputs("question")
    assert (await metric(row, Prediction(reply="rain"))).value == 1
    with pytest.raises(EvaluationError, match=r"SemanticF1\('reply', against='gold'\).*'gold'"):
        await metric(EXAMPLE, Prediction(reply="rain"))

    with pytest.raises(EvaluationError, match="this prediction does not have"):
        await metric(row, Prediction(answer="rain"))


def test_value() -> None:
    """It can be saved, compared and printed."""
    metric = semantic_f1("reply", client="a/b")
    assert build(recipe_of(metric)) == metric
    assert str(semantic_f1(program=SemanticF1())) == "SemanticF1('answer')"
    assert semantic_f1("a") != semantic_f1("b")
