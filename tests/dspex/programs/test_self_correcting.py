"""SelfCorrecting: rejected answers go back with their reasons."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any, cast

import pytest

from dspex.effects import Trace, scope
from dspex.errors import AnswerRejected
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.self_correcting import SelfCorrecting, Validate
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel


def one_word(inputs: Mapping[str, Any], prediction: Prediction) -> str | None:
    words = len(prediction.answer.split())
    return None if words == 1 else f"it has {words} words, not one"


def correcting(*answers: str, **settings: Any) -> tuple[SelfCorrecting, ScriptedModel]:
    model = ScriptedModel([{"answer": answer} for answer in answers])
    program = Predict("question -> answer", client=model)
    validate = settings.pop("validate", one_word)
    return SelfCorrecting(program, validate=validate, **settings), model


class TestSelfCorrecting:
    async def test_a_good_answer_is_given_at_once(self) -> None:
        """No further call is made."""
        program, model = correcting("Paris")
        assert (await program(question="?")).answer == "Paris"
        assert model.calls == 1

    async def test_the_reason_goes_back_with_the_answer(self) -> None:
        """The model sees every answer that was rejected, and why."""
        program, model = correcting("It is Paris", "Paris it is", "Paris")
        prediction = await program(question="?")
        assert prediction.answer == "Paris"
        assert prediction.usage.calls == 3
        asked = model.requests[-1].messages[0].text
        assert "answer='It is Paris': it has 3 words, not one" in asked
        assert "answer='Paris it is'" in asked

    async def test_the_last_rejection_is_an_error(self) -> None:
        """It holds every answer with its reason, and travels between processes."""
        program, model = correcting("a b", "c d", "e f")
        with pytest.raises(
            AnswerRejected, match=r"3 answers were rejected.*e f.*2 words"
        ) as caught:
            await program(question="?")

        assert model.calls == 3
        assert [reason for _, reason in caught.value.rejected] == ["it has 2 words, not one"] * 3
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.rejected) == (str(caught.value), caught.value.rejected)

    async def test_the_last_answer_may_be_kept(self) -> None:
        """For callers to whom a poor answer is better than none."""
        program, _ = correcting("a b", "c d", max_corrections=1, on_failure="return")
        assert (await program(question="?")).answer == "c d"

    @pytest.mark.parametrize("good", [None, True])
    async def test_what_counts_as_good(self, good: bool | None) -> None:
        """None and True are no objection."""
        program, _ = correcting("a b", validate=lambda i, p: good)
        assert (await program(question="?")).answer == "a b"

    @pytest.mark.parametrize("verdict", [False, "wrong", ValueError("wrong"), ValueError()])
    async def test_what_counts_as_a_reason(self, verdict: Any) -> None:
        """False, a text, and a ValueError are objections."""

        async def validate(inputs: Mapping[str, Any], prediction: Prediction) -> str | bool | None:
            if isinstance(verdict, ValueError):
                raise verdict

            return cast("str | bool", verdict)

        program, _ = correcting("a b", validate=validate, max_corrections=0)
        with pytest.raises(AnswerRejected):
            await program(question="?")

    async def test_a_mistake_in_the_check_is_raised(self) -> None:
        """Any error but a ValueError is the check's own."""

        def broken(inputs: Mapping[str, Any], prediction: Prediction) -> str | None:
            raise KeyError("nothing")

        program, _ = correcting("a b", validate=cast("Validate", broken))
        with pytest.raises(KeyError):
            await program(question="?")

    async def test_the_trace_holds_the_last_round(self) -> None:
        """What was rejected must not become a demonstration."""
        program, _ = correcting("a b", "c")
        with scope(trace=Trace()) as here:
            await program(question="?")

        assert here.trace is not None
        assert [entry.prediction.answer for entry in here.trace] == ["c"]

    async def test_the_trace_names_the_program_s_own_predictors(self) -> None:
        """The corrected copy stands for the predictor it is a copy of."""
        program, _ = correcting("a b", "c")
        with scope(trace=Trace()) as here:
            await program(question="?")

        assert here.trace is not None
        assert [entry.predictor for entry in here.trace] == [program.named_predictors()["program"]]

    async def test_only_the_predictor_that_answered_is_corrected(self) -> None:
        """Of a pipeline the step whose outputs were rejected sees the reason."""
        model = ScriptedModel(
            [
                {"reasoning": "r", "draft": "d"},
                {"answer": "a b"},
                {"reasoning": "r", "draft": "d"},
                {"answer": "c"},
            ]
        )
        program = SelfCorrecting(Pipeline().with_client(model), validate=one_word)
        assert (await program(question="?")).answer == "c"
        drafted, polished = (model.requests[index].messages[0].text for index in (2, 3))
        assert "rejected" not in drafted
        assert "rejected" in polished

    @pytest.mark.parametrize(
        "settings", [{"max_corrections": -1}, {"on_failure": "shrug"}], ids=lambda s: next(iter(s))
    )
    def test_wrong_settings_are_refused(self, settings: dict[str, Any]) -> None:
        """When the program is built, with the value."""
        with pytest.raises(ValueError, match="got"):
            correcting("x", **settings)


class Pipeline(Program):
    def __init__(self) -> None:
        self.draft = ChainOfThought("question -> draft")
        self.polish = Predict("question, draft -> answer")

    async def forward(self, question: str) -> Prediction:
        draft = await self.draft(question=question)
        return await self.polish(question=question, draft=draft.draft)
