"""One call as its caller sees it: the answer, the cache, the gate."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from dspex import effects
from dspex.effects import Effect, LiveGate
from dspex.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ServerError,
)
from dspex.messages import (
    Response,
    StreamEnd,
    StreamStart,
    TextDelta,
)
from dspex.testing import FakeReply, FakeTransport, chat_reply
from dspex.usage import UsageMeter
from tests.support.pipeline import answers, ask, at_rest, error_reply, runtime_on

pytestmark = pytest.mark.virtual_time


class TestAnswer:
    async def test_an_answer_has_text_usage_cost_and_place(self) -> None:
        """One good call, every fact about it."""
        transport = FakeTransport(
            answers(chat_reply("yes", input_tokens=1000, output_tokens=500, delay_s=2.0))
        )
        async with runtime_on(
            transport,
            api_key="sk-1",
            input_usd_per_million_tokens=1.0,
            output_usd_per_million_tokens=2.0,
        ) as runtime:
            response = await runtime.client().complete(ask())

        assert ("yes", "fake", (), False) == (
            response.text,
            response.endpoint,
            response.attempts,
            response.cached,
        )
        assert (1000, 500, 1, Decimal("0.002")) == (
            response.usage.input_tokens,
            response.usage.output_tokens,
            response.usage.calls,
            response.usage.cost_usd,
        )
        assert response.latency_s == pytest.approx(2.0)
        assert "Bearer sk-1" == transport.headers["Authorization"]
        assert "model" == transport.requests[0]["model"]

    async def test_without_a_price_the_cost_is_unknown(self) -> None:
        """None is not zero: a budget in dollars must not run on it."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            response = await runtime.client().complete(ask())

        assert response.usage.cost_usd is None

    async def test_thousands_of_calls_do_not_mix(self) -> None:
        """Each caller gets the answer to its own question."""
        transport = FakeTransport(lambda body: chat_reply(body["messages"][0]["content"]))
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(client.complete(ask(str(n)))) for n in range(2_000)]

            assert at_rest(client)

        assert [str(n) for n in range(2_000)] == [task.result().text for task in tasks]


class TestCache:
    async def test_equal_calls_ask_once(self) -> None:
        """Together or one after the other, the provider sees one request."""
        transport = FakeTransport(answers(chat_reply("yes", delay_s=1.0)))
        meter = UsageMeter()
        async with runtime_on(transport, cache=True) as runtime:
            client = runtime.client()
            with effects.scope(meter=meter):
                await effects.map(lambda _: client.complete(ask()), range(10))
                again = await client.complete(ask())

        assert (1, True) == (len(transport.requests), again.cached)
        assert (11, 10, 10) == (
            meter.total.calls,
            meter.total.cache_hits,
            meter.total.input_tokens,
        )

    async def test_samples_of_one_prompt_are_asked_separately(self) -> None:
        """Independent samples never collapse into one."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport, cache=True) as runtime:
            client = runtime.client()
            for sample in range(3):
                await client.complete(ask(sample=sample))

        assert 3 == len(transport.requests)
        assert "sample" not in transport.requests[0]

    @pytest.mark.parametrize(
        ("modes", "requests"),
        [
            (("on", "on"), 1),
            (("off", "off"), 2),
            (("off", "on"), 2),
            (("read", "on"), 2),
            (("on", "read"), 1),
            (("on", "refresh"), 2),
            (("refresh", "on"), 1),
        ],
    )
    async def test_each_mode_reads_and_writes_as_it_says(
        self, modes: tuple[Any, Any], requests: int
    ) -> None:
        """`read` never writes, `refresh` never reads, `off` does neither."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport, cache=True) as runtime:
            client = runtime.client()
            for mode in modes:
                await client.complete(ask(), cache=mode)

        assert requests == len(transport.requests)

    async def test_failures_are_not_cached(self) -> None:
        """Tomorrow the provider works again."""
        transport = FakeTransport(answers(error_reply(400), chat_reply("yes")))
        async with runtime_on(transport, cache=True) as runtime:
            client = runtime.client()
            with pytest.raises(InvalidRequest):
                await client.complete(ask())

            assert "yes" == (await client.complete(ask())).text

    async def test_a_short_deadline_of_the_first_does_not_fail_the_others(self) -> None:
        """The one who asks may leave; whoever follows takes over."""
        transport = FakeTransport(answers(chat_reply("yes", delay_s=10.0)))
        async with runtime_on(transport, cache=True) as runtime:
            client = runtime.client()
            hasty = asyncio.create_task(client.complete(ask(), timeout_s=1.0))
            await asyncio.sleep(0)
            patient = asyncio.create_task(client.complete(ask()))
            with pytest.raises(DeadlineExceeded):
                await hasty

            assert "yes" == (await patient).text

    async def test_a_retry_left_out_for_lack_of_time_is_the_leaders_own_error(self) -> None:
        """The leader cannot wait for the retry; whoever follows can, and gets the answer."""
        transport = FakeTransport(
            answers(
                FakeReply(503, b"", headers={"retry-after": "5"}, delay_s=0.1), chat_reply("yes")
            )
        )
        async with runtime_on(transport, cache=True) as runtime:
            client = runtime.client()
            hasty = asyncio.create_task(client.complete(ask(), timeout_s=1.0))
            await asyncio.sleep(0)
            patient = asyncio.create_task(client.complete(ask()))
            with pytest.raises(ServerError):
                await hasty

            assert "yes" == (await patient).text

    async def test_a_follower_does_not_count_the_leaders_tries(self) -> None:
        """A hundred callers of one failed flight are one call that was tried twice."""
        transport = FakeTransport(answers(FakeReply(503, b"", delay_s=0.1)))
        meter = UsageMeter()
        async with runtime_on(transport, cache=True, max_retries=1) as runtime:
            client = runtime.client()

            async def one(_: int) -> None:
                with pytest.raises(ServerError):
                    await client.complete(ask())

            with effects.scope(meter=meter):
                await effects.map(one, range(100))

        assert 2 == len(transport.requests)
        assert (1, 2) == (meter.total.calls, meter.total.failed_attempts)


class TestGate:
    async def test_a_job_can_answer_a_call_from_its_journal(self) -> None:
        """With another gate in the scope the provider is asked only if the gate says so."""

        class Journal(LiveGate):
            async def call(self, effect: Effect[Any]) -> Any:
                recorded = effect.encode(await effect.run())
                return effect.decode(recorded)

        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            with effects.scope(gate=Journal()):
                response = await runtime.client().complete(ask())

        assert isinstance(response, Response)
        assert ("yes", 1) == (response.text, len(transport.requests))

    async def test_in_a_job_a_stream_passes_the_gate_too(self) -> None:
        """What a job does not record it cannot replay: the answer passes whole."""
        recorded: list[Any] = []

        class Journal(LiveGate):
            async def call(self, effect: Effect[Any]) -> Any:
                recorded.append(effect.encode(await effect.run()))
                return effect.decode(recorded[-1])

        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            with effects.scope(gate=Journal()):
                events = [event async for event in runtime.client().stream(ask())]

        assert [StreamStart, TextDelta, StreamEnd] == [type(event) for event in events]
        assert 1 == len(recorded)
