"""ChainOfThought: Predict with reasoning in front."""

from __future__ import annotations

import pytest

from dspex.errors import SignatureError
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.signatures.fields import InputField, OutputField
from dspex.signatures.signature import Signature
from dspex.testing.models import ScriptedModel


class Judge(Signature):
    """Judge the claim."""

    claim: str = InputField()
    holds: bool = OutputField()


async def test_it_asks_for_reasoning_first() -> None:
    """The answer has both; the instructions are those of the signature."""
    judge = ChainOfThought(Judge, client=ScriptedModel([{"reasoning": "so", "holds": "yes"}]))
    prediction = await judge(claim="x")

    assert list(judge.signature.output_fields) == ["reasoning", "holds"]
    assert judge.signature.instructions == "Judge the claim."
    assert (prediction.reasoning, prediction.holds) == ("so", True)


def test_it_is_a_predictor_itself() -> None:
    """A lone one is `self`, with settings and copies like any other."""
    judge = ChainOfThought("a -> b", max_repairs=3)

    assert judge.named_predictors() == {"self": judge}
    assert type(judge.with_client("x/y")) is ChainOfThought
    assert judge.max_repairs == 3


def test_the_reasoning_may_be_described() -> None:
    """By a field of one's own."""
    field = OutputField(desc="in one sentence", max_length=100)

    assert ChainOfThought("a -> b", reasoning=field).signature.fields["reasoning"].desc == (
        "in one sentence"
    )


def test_two_reasonings_are_refused() -> None:
    """A signature that has the field already does not need this."""
    with pytest.raises(SignatureError, match="reasoning"):
        ChainOfThought("a -> reasoning, b")
