"""TwoStep: a free answer, and its fields extracted by another model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dspex
from dspex.adapters import JSONAdapter
from dspex.errors import ParseError
from dspex.messages import Choice, Compat, Response, Sampling
from dspex.programs.predict import Predict
from dspex.programs.two_step import TwoStep, extraction_of
from dspex.signatures import Signature
from dspex.testing.models import ScriptedModel

SIGNATURE = Signature("question -> hours: int, answer", "Answer it.")
GOOD = {"hours": 3, "answer": "three"}


def predictor(strong: list[Any], cheap: list[Any], **settings: Any) -> tuple[Predict, Any, Any]:
    """Give a predictor, the model that answers and the model that extracts."""
    answering, extracting = ScriptedModel(strong), ScriptedModel(cheap)
    form = TwoStep(extracting, **settings)
    return Predict(SIGNATURE, client=answering, adapter=form), answering, extracting


async def test_two_models_are_asked() -> None:
    """The strong one freely, the cheap one for the fields of its answer."""
    predict, answering, extracting = predictor(["I think three hours."], [GOOD])
    prediction = await predict(question="How long?")

    assert dict(prediction) == GOOD
    assert "own words" in answering.requests[0].messages[-1].text
    assert "[[ ## hours" not in answering.requests[0].messages[0].text
    assert "I think three hours." in extracting.requests[0].messages[-1].text
    assert "Answer it." in extracting.requests[0].messages[0].text
    assert prediction.usage.calls == 2


async def test_repairs_go_to_the_extractor() -> None:
    """The strong model is asked once."""
    predict, answering, extracting = predictor(["Three."], [{"hours": "x", "answer": "y"}, GOOD])
    prediction = await predict(question="How long?")

    assert dict(prediction) == GOOD
    assert len(prediction.repairs) == 1
    assert (answering.calls, extracting.calls) == (1, 2)


async def test_what_cannot_be_extracted() -> None:
    """Is a ParseError like any other."""
    predict, _, extracting = predictor(["Three."], ["no", "still no"])
    with pytest.raises(ParseError, match="`hours` is missing"):
        await predict(question="How long?")

    assert extracting.calls == 2


async def test_every_sample_is_extracted() -> None:
    """By calls of their own."""
    other = {"hours": 4, "answer": "four"}
    predict, answering, extracting = predictor(["Three.", "Four."], [GOOD, other])
    prediction = await predict(question="How long?", config=Sampling(n=2))

    assert [dict(each) for each in prediction.completions] == [GOOD, other]
    assert (answering.calls, extracting.calls) == (1, 2)


async def test_one_model_for_both() -> None:
    """Without an extractor the same client does it, in the form it is told."""
    model = ScriptedModel(["Three.", '{"hours": 3, "answer": "three"}'])
    form = TwoStep(extracting=JSONAdapter())
    prediction = await Predict(SIGNATURE, client=model, adapter=form)(question="How long?")

    assert dict(prediction) == GOOD
    assert model.requests[1].response_format is not None


async def test_native_thinking_is_kept() -> None:
    """It is read from the first answer, and the extractor is not asked for it."""
    signature = Signature("question -> why: Reasoning, hours: int")
    compat = Compat(replay_reasoning=True)
    answered = Response((Choice("Three.", reasoning="hm"),))
    strong = ScriptedModel([answered], compat=compat)
    cheap = ScriptedModel([{"hours": 3}])
    predict = Predict(
        signature,
        client=strong,
        adapter=TwoStep(cheap),
        config=Sampling(reasoning_effort="low"),
    )
    prediction = await predict(question="How long?")

    assert dict(prediction) == {"why": "hm", "hours": 3}
    assert "why" not in cheap.requests[0].messages[0].text


def test_the_answer_s_name_is_free() -> None:
    """An output called `answer` keeps its name."""
    assert list(extraction_of(SIGNATURE).input_fields) == ["full_answer"]
    assert list(extraction_of(Signature("a -> b")).input_fields) == ["answer"]
    assert extraction_of(SIGNATURE) is extraction_of(SIGNATURE)


async def test_it_is_saved_with_the_program(tmp_path: Path) -> None:
    """With the extractor's name."""
    form = dspex.TwoStep("openai/small", extracting=JSONAdapter())
    program = Predict(SIGNATURE, client="openai/strong", adapter=form)
    await program.save(tmp_path / "p.json")
    again = await dspex.load(tmp_path / "p.json")

    assert isinstance(again, Predict)
    assert again.adapter == form
    assert again.digest() == program.digest()
