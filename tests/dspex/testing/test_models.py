"""ScriptedModel: answers, counters, latency, cancellation, metering, the gate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest

from dspex.effects import Effect, LiveGate, scope
from dspex.errors import DeadlineExceeded, ErrorData, ErrorKind, RateLimited
from dspex.messages import (
    Choice,
    Compat,
    Message,
    Request,
    Response,
    Sampling,
    StreamEnd,
    StreamStart,
    TextDelta,
)
from dspex.testing.models import ScriptedModel
from dspex.usage import Usage, UsageMeter

T = TypeVar("T")


def ask(text: str = "hello") -> Request:
    return Request((Message("user", text),))


class TestAnswers:
    async def test_a_list_is_answered_in_order(self) -> None:
        """Texts, fields, responses; fields are written as sections."""
        own = Response((Choice("own"),), model="m")
        model = ScriptedModel(["one", {"a": 1, "b": ["x"]}, own])

        assert (await model.complete(ask())).text == "one"
        assert (await model.complete(ask())).text == (
            '[[ ## a ## ]]\n1\n\n[[ ## b ## ]]\n["x"]\n\n[[ ## completed ## ]]'
        )
        assert await model.complete(ask()) is own

    async def test_an_empty_list_is_a_clear_failure(self) -> None:
        """It shows what was asked."""
        model = ScriptedModel([])

        with pytest.raises(AssertionError, match=r"no answer for call 1.*hello"):
            await model.complete(ask())

    async def test_a_function_sees_the_request(self) -> None:
        """Sync and async alike."""

        async def slowly(request: Request) -> str:
            await asyncio.sleep(0)
            return request.messages[-1].text.title()

        sync = ScriptedModel(lambda request: request.messages[-1].text.upper())

        assert (await sync.complete(ask())).text == "HELLO"
        assert (await ScriptedModel(slowly).complete(ask())).text == "Hello"

    async def test_errors_are_raised(self) -> None:
        """An exception in the script is what the call ends with; the next call goes on."""
        error = RateLimited(ErrorData(ErrorKind.RATE_LIMIT, "slow down"))
        model = ScriptedModel([error, "fine"])

        with pytest.raises(RateLimited) as caught:
            await model.complete(ask())

        assert caught.value is error
        assert (await model.complete(ask())).text == "fine"
        assert model.in_flight == 0

    async def test_several_choices(self) -> None:
        """As many answers are taken as one call asks for."""
        model = ScriptedModel(["a", "b", "c"])
        response = await model.complete(replace(ask(), sampling=Sampling(n=2)))

        assert [choice.text for choice in response.choices] == ["a", "b"]
        assert model.calls == 1

    async def test_a_stream_tells_the_same(self) -> None:
        """Start, pieces that join to the text, end with the response."""
        model = ScriptedModel(["line 1\nline 2"])
        events = [event async for event in model.stream(ask())]

        assert isinstance(events[0], StreamStart)
        pieces = [event.text for event in events if isinstance(event, TextDelta)]
        assert "".join(pieces) == "line 1\nline 2"
        assert isinstance(events[-1], StreamEnd)
        assert events[-1].response.text == "line 1\nline 2"


class TestCounters:
    async def test_requests_are_remembered_within_bounds(self) -> None:
        """The last ones stay."""
        model = ScriptedModel(lambda _: "x", max_requests=2)
        for text in ("a", "b", "c"):
            await model.complete(ask(text))

        assert [request.messages[0].text for request in model.requests] == ["b", "c"]
        assert model.calls == 3

    async def test_usage_is_estimated_or_given(self) -> None:
        """Four characters are a token, unless the script says otherwise."""
        estimated = await ScriptedModel(["12345678"]).complete(ask("1234"))
        given = await ScriptedModel(["x"], usage_per_call=Usage(calls=1, input_tokens=7)).complete(
            ask()
        )

        assert estimated.usage == Usage(input_tokens=1, output_tokens=2, calls=1)
        assert given.usage.input_tokens == 7

    async def test_the_meter_of_the_scope_counts(self) -> None:
        """As with a real client: usage, and calls in flight meanwhile."""
        meter = UsageMeter()
        seen: list[int] = []

        def answer(_: Request) -> str:
            seen.append(meter.in_call)
            return "x"

        model = ScriptedModel(answer)
        with scope(meter=meter):
            await model.complete(ask())
            await model.complete(ask())

        assert (meter.total.calls, meter.in_call, seen) == (2, 0, [1, 1])

    async def test_what_it_offers(self) -> None:
        """Name, capabilities and a repr with live counters."""
        model = ScriptedModel(["x"], name="p/m", compat=Compat(n=False))
        await model.complete(ask())

        assert (model.name, model.compat.n) == ("p/m", False)
        assert repr(model) == "<ScriptedModel 'p/m', 1 calls, 0 in flight>"
        assert model.statistics().max_in_flight == 1


@pytest.mark.virtual_time
class TestTime:
    async def test_calls_overlap(self) -> None:
        """Ten calls of an hour take an hour together."""
        model = ScriptedModel(lambda _: "x", latency_s=3600.0)
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(model.complete(ask()))

        assert loop.time() - began == pytest.approx(3600.0)
        assert (model.max_in_flight, model.in_flight) == (10, 0)

    async def test_a_cancelled_call_takes_no_answer(self) -> None:
        """What it would have got is the next one's."""
        model = ScriptedModel(["first", "second"], latency_s=1.0)
        task = asyncio.create_task(model.complete(ask()))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert model.in_flight == 0
        assert (await model.complete(ask())).text == "first"

    async def test_deadlines_hold(self) -> None:
        """That of the call and that of the scope, whichever is earlier."""
        model = ScriptedModel(lambda _: "x", latency_s=10.0)
        loop = asyncio.get_running_loop()

        with pytest.raises(DeadlineExceeded) as caught:
            await model.complete(ask(), timeout_s=3.0)

        assert loop.time() < 4.0 + 10.0
        assert caught.value.data.unavailable
        with scope(deadline=loop.time() + 2.0), pytest.raises(DeadlineExceeded):
            await model.complete(ask(), timeout_s=60.0)
        assert (await model.complete(ask(), timeout_s=60.0)).text == "x"


@dataclass(frozen=True)
class RecordingGate(LiveGate):
    outcomes: dict[str, Any] = field(default_factory=dict)

    async def call(self, effect: Effect[T]) -> T:
        key = effect.digest()
        if key not in self.outcomes:
            self.outcomes[key] = effect.encode(await effect.run())

        return effect.decode(self.outcomes[key])


async def test_it_goes_through_the_gate() -> None:
    """A journal sees its calls as those of a real client, and may answer them."""
    model = ScriptedModel(lambda _: "x")
    gate = RecordingGate()
    meter = UsageMeter()
    with scope(gate=gate, meter=meter):
        first = await model.complete(ask())
        second = await model.complete(ask())

    assert first == second
    assert (model.calls, meter.total.calls) == (1, 2)
