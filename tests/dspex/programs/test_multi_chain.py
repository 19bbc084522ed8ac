"""MultiChainComparison: attempts at once, one comparison."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.errors import InputError
from dspex.programs.multi_chain import MultiChainComparison
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel


def scripted(*answers: Any) -> ScriptedModel:
    return ScriptedModel(answers, latency_s=0.0)


THOUGHTS = [{"reasoning": f"way {n}", "answer": f"a{n}"} for n in range(3)]
COMPARED = {"rationale": "the second is right", "answer": "a1"}


class TestMultiChainComparison:
    async def test_attempts_are_compared(self) -> None:
        """The model sees reasoning and answer of each attempt before it answers."""
        model = scripted(*THOUGHTS, COMPARED)
        prediction = await MultiChainComparison("question -> answer", client=model)(question="?")
        assert (prediction.rationale, prediction.answer) == ("the second is right", "a1")
        asked = model.requests[-1].messages[-1].text
        assert all(f"way {n}\nSo: answer: a{n}" in asked for n in range(3))
        assert prediction.usage.calls == 4

    async def test_attempts_run_at_once_as_samples(self) -> None:
        """Three are in flight together, each with a number of its own."""
        model = ScriptedModel([*THOUGHTS, COMPARED], latency_s=0.001)
        await MultiChainComparison("question -> answer", client=model)(question="?")
        assert model.max_in_flight == 3
        assert [request.sample for request in model.requests] == [0, 1, 2, 0]
        assert [request.sampling.temperature for request in model.requests] == [0.7] * 3 + [None]

    async def test_attempts_may_be_given(self) -> None:
        """Then only the comparison is asked."""
        model = scripted(COMPARED)
        program = MultiChainComparison("question -> answer", m=2, client=model)
        chains = [Prediction(reasoning="r", answer="a"), Prediction(answer="b")]
        assert (await program(completions=chains, question="?")).answer == "a1"
        assert model.calls == 1

    async def test_as_many_attempts_as_were_announced(self) -> None:
        """The comparison's prompt has a place for each, no more and no fewer."""
        program = MultiChainComparison("question -> answer", m=2, client=scripted())
        with pytest.raises(ValueError, match="2 attempts are compared, got 1"):
            await program(completions=[Prediction(answer="a")], question="?")

    async def test_a_missing_input_is_named(self) -> None:
        """Before any model is asked."""
        with pytest.raises(InputError, match="question"):
            await MultiChainComparison("question -> answer", client=scripted())()

    def test_no_attempts(self) -> None:
        """Refused when it is built."""
        with pytest.raises(ValueError, match="m must be 1 or more"):
            MultiChainComparison("question -> answer", m=0)
