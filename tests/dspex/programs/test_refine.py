"""Refine: tries one after the other, each with advice on the last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dspex.effects import Trace, scope
from dspex.errors import ErrorData, ErrorKind, ServerError
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.refine import Refine, advised
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel
from dspex.usage import Usage

ONE = Usage(calls=1, input_tokens=10, output_tokens=1)


def is_short(inputs: Mapping[str, Any], prediction: Prediction) -> float:
    """One word is wanted."""
    return float(len(prediction.answer.split()) == 1)


def refined(
    answers: list[Any], advice: list[Any], n: int = 3
) -> tuple[Refine, ScriptedModel, ScriptedModel]:
    model = ScriptedModel(answers, usage_per_call=ONE)
    adviser = ScriptedModel(advice, usage_per_call=ONE)
    program = Predict("question -> answer", client=model, max_repairs=0)
    refine = Refine(program, n, reward=is_short)
    advising = refine.adviser.with_client(adviser)
    return refine.replace({"adviser": advising}), model, adviser


def advice(**by_path: str) -> dict[str, Any]:
    return {"reasoning": "looked at it", "advice": by_path}


class TestRefine:
    async def test_a_good_first_try_needs_no_advice(self) -> None:
        """Nothing more is asked once the target is reached."""
        program, model, adviser = refined([{"answer": "Paris"}], [])
        assert (await program(question="?")).answer == "Paris"
        assert (model.calls, adviser.calls) == (1, 0)

    async def test_advice_joins_the_next_try(self) -> None:
        """The predictor that is named gets it, in its instructions and for this try alone."""
        program, model, adviser = refined(
            [{"answer": "It is Paris"}, {"answer": "Paris"}], [advice(self="Use one word.")]
        )
        prediction = await program(question="?")
        assert prediction.answer == "Paris"
        assert prediction.usage.calls == 3
        first, second = (request.messages[0].text for request in model.requests)
        assert "Use one word." not in first
        assert "Advice: Use one word." in second
        assert "One word is wanted." in adviser.requests[0].messages[-1].text
        assert "It is Paris" in adviser.requests[0].messages[-1].text

    async def test_the_best_of_all_tries_is_given(self) -> None:
        """Where none reaches the target the first of the best ones counts."""
        program, _, adviser = refined(
            [{"answer": "a b"}, {"answer": "c d"}], [advice(self="Shorter.")], n=2
        )
        assert (await program(question="?")).answer == "a b"
        assert adviser.calls == 1

    async def test_advice_that_cannot_be_read_is_done_without(self) -> None:
        """The next try is made all the same."""
        program, model, _ = refined([{"answer": "a b"}, {"answer": "c"}], ["nonsense", "nonsense"])
        assert (await program(question="?")).answer == "c"
        assert model.calls == 2

    async def test_a_failed_try_is_told_to_the_adviser(self) -> None:
        """An unreadable answer is something to give advice on."""
        program, _, adviser = refined(["what?", {"answer": "c"}], [advice(self="Mind the form.")])
        assert (await program(question="?")).answer == "c"
        assert "ended with an error" in adviser.requests[0].messages[-1].text

    async def test_an_adviser_that_is_down_is_done_without(self) -> None:
        """What was found before is not lost."""
        down = ServerError(ErrorData(ErrorKind.SERVER, "down", status=503))
        program, _, _ = refined([{"answer": "a b"}, {"answer": "c"}], [down])
        assert (await program(question="?")).answer == "c"

    async def test_the_trace_holds_the_chosen_try_by_the_predictor_it_belongs_to(self) -> None:
        """An optimizer knows the program's own predictors, not their advised copies."""
        program, _, _ = refined([{"answer": "a b"}, {"answer": "c"}], [advice(self="Shorter.")])
        with scope(trace=Trace()) as here:
            await program(question="?")

        assert here.trace is not None
        ((predictor, inputs, prediction),) = here.trace
        assert predictor is program.named_predictors()["program"]
        assert (inputs, prediction.answer) == ({"question": "?"}, "c")

    async def test_the_adviser_knows_modules_by_name_in_every_round(self) -> None:
        """Advised copies keep the names of what they are copies of."""
        program, _, adviser = refined(
            [{"answer": "a b"}] * 3, [advice(self="Shorter."), advice(self="Shorter.")]
        )
        await program(question="?")
        told = [request.messages[-1].text for request in adviser.requests]
        assert len(told) == 2
        assert all("self: {'question': '?'}" in text for text in told)

    async def test_all_tries_failed(self) -> None:
        """The provider's error is raised when there was never an answer."""
        down = ServerError(ErrorData(ErrorKind.SERVER, "down", status=503))
        program, _, _ = refined([down, down], [advice()], n=2)
        with pytest.raises(ServerError):
            await program(question="?")


class Pipeline(Program):
    def __init__(self) -> None:
        self.draft = ChainOfThought("question -> draft")
        self.polish = Predict("question, draft -> answer")

    async def forward(self, question: str) -> Prediction:
        draft = await self.draft(question=question)
        return await self.polish(question=question, draft=draft.draft)


class TestAdvised:
    def test_only_the_named_predictors_change(self) -> None:
        """The others are shared with the program that was given."""
        program = Pipeline()
        changed = advised(program, {"polish": "Be brief.", "nobody": "x", "draft": "  "})
        assert changed.draft is program.draft
        assert changed.polish.signature.instructions.endswith("Advice: Be brief.")
        assert program.polish.signature == Predict("question, draft -> answer").signature

    def test_no_advice_is_no_change(self) -> None:
        """The same program comes back."""
        program = Pipeline()
        assert advised(program, {}) is program
