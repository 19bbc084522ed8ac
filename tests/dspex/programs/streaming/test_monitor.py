"""StreamMonitor: ends what goes wrong within a chunk, and goes on elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from dspex.errors import AnswerRejected
from dspex.messages import Request, StreamEvent
from dspex.programs.best_of_n import BestOfN
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.streaming import FieldChunk, StreamItem, Switched
from dspex.programs.streaming.monitor import StreamMonitor, StreamQuality
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel
from dspex.usage import Usage

ONE = Usage(calls=1, input_tokens=10, output_tokens=1)
SPAN = " ".join(f"w{n}" for n in range(20)) + "\n"


class Slow(ScriptedModel):
    """Waits before each event, on the loop's clock."""

    async def stream(
        self, request: Request, *, timeout_s: float | None = None
    ) -> AsyncIterator[StreamEvent]:
        async for event in super().stream(request, timeout_s=timeout_s):
            await asyncio.sleep(2.0)
            yield event


def predict(model: ScriptedModel) -> Predict:
    return Predict("question -> essay", client=model)


def writing(essay: str) -> Predict:
    return predict(ScriptedModel([{"essay": essay}], usage_per_call=ONE))


async def items_of(program: StreamMonitor) -> list[StreamItem]:
    async with aclosing(program.stream(question="?")) as items:
        return [item async for item in items]


class TestStreamMonitor:
    async def test_what_is_well_passes_unchanged(self) -> None:
        """Items and prediction are those of the program."""
        program = StreamMonitor(writing("All is well.\nReally."), fallback=writing("?"))
        items = await items_of(program)
        text = "".join(item.text for item in items if isinstance(item, FieldChunk))
        assert text == "All is well.\nReally."
        assert isinstance(items[-1], Prediction)
        assert not any(isinstance(item, Switched) for item in items)

    async def test_repetition_switches_within_a_chunk(self) -> None:
        """The third time is not shown; the second program goes on, and both are paid for."""
        program = StreamMonitor(writing(SPAN * 50 + "end"), fallback=writing("Short."))
        items = await items_of(program)
        (switch,) = (item for item in items if isinstance(item, Switched))
        assert "repeats 20 words 3 times" in switch.reason
        before = items[: items.index(switch)]
        shown = "".join(item.text for item in before if isinstance(item, FieldChunk))
        assert shown.count("w19") <= 3
        prediction = items[-1]
        assert isinstance(prediction, Prediction)
        assert prediction.essay == "Short."
        assert prediction.usage.calls == 2

    async def test_it_watches_a_plain_call_too(self) -> None:
        """Without a consumer of the stream the program is watched all the same."""
        program = StreamMonitor(writing(SPAN * 50 + "end"), fallback=writing("Short."))
        assert (await program(question="?")).essay == "Short."

    async def test_without_a_fallback_it_is_an_error(self) -> None:
        """The reason names the field."""
        with pytest.raises(AnswerRejected, match=r"`essay` of program repeats"):
            await StreamMonitor(writing(SPAN * 50))(question="?")

    @pytest.mark.virtual_time
    async def test_a_rate_that_is_too_slow(self) -> None:
        """Counted once the grace is over."""
        slow = predict(Slow([{"essay": "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"}]))
        program = StreamMonitor(slow, min_tokens_per_s=1.0, grace_s=5.0, fallback=writing("Fast."))
        assert (await program(question="?")).essay == "Fast."

    @pytest.mark.virtual_time
    async def test_a_rate_that_is_fast_enough(self) -> None:
        """A word every two seconds is half a word a second."""
        slow = predict(Slow([{"essay": "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"}]))
        program = StreamMonitor(slow, min_tokens_per_s=0.2, grace_s=5.0)
        assert (await program(question="?")).essay.endswith("seven")

    async def test_a_check_of_ones_own(self) -> None:
        """It sees the field so far, and its reason is told."""

        def no_apologies(quality: StreamQuality) -> str | None:
            return "it apologises" if "sorry" in quality.text else None

        program = StreamMonitor(writing("I am\nso sorry\nfor that."), check=no_apologies)
        with pytest.raises(AnswerRejected, match="it apologises"):
            await program(question="?")

    async def test_a_program_that_takes_every_error_for_an_answer(self) -> None:
        """Ended is ended, whatever the program makes of it."""

        class Calm(Program):
            def __init__(self) -> None:
                self.write = writing(SPAN * 50)

            async def forward(self, question: str) -> Prediction:
                try:
                    return await self.write(question=question)
                except Exception:
                    return Prediction(essay="never mind")

        program = StreamMonitor(Calm(), fallback=writing("Short."))
        prediction = await program(question="?")
        assert (prediction.essay, prediction.usage.calls) == ("Short.", 2)

    async def test_a_try_that_was_ended_is_one_that_failed(self) -> None:
        """BestOfN goes on with the others, and says so where there are none."""
        model = ScriptedModel([{"essay": SPAN * 50}, {"essay": "Fine."}], usage_per_call=ONE)
        best = BestOfN(StreamMonitor(predict(model)), 2, reward=lambda _, __: 1.0)
        prediction = await best(question="?")
        assert (prediction.essay, prediction.usage.calls) == ("Fine.", 2)

        model = ScriptedModel([{"essay": SPAN * 50}] * 2)
        with pytest.raises(AnswerRejected, match="the stream was ended"):
            await BestOfN(StreamMonitor(predict(model)), 2, reward=lambda _, __: 1.0)(question="?")

    async def test_monitors_may_stand_in_each_other(self) -> None:
        """Each ends its own program only."""

        def never(quality: StreamQuality) -> str | None:
            return None

        inner = StreamMonitor(writing(SPAN * 50), check=never, max_repeats=99)
        outer = StreamMonitor(inner, fallback=writing("Outer."))
        assert (await outer(question="?")).essay == "Outer."

    @pytest.mark.parametrize("settings", [{"span_tokens": 0}, {"max_repeats": 1}], ids=str)
    def test_impossible_settings(self, settings: dict[str, Any]) -> None:
        """Refused with the values."""
        with pytest.raises(ValueError, match="a repetition is"):
            StreamMonitor(writing("x"), **settings)
