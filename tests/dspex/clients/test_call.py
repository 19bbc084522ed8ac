"""A call's deadline says where the time went, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from decimal import Decimal

import pytest

from dspex import effects
from dspex.clients.limits.spending import budget
from dspex.config import ModelPrice
from dspex.errors import (
    DeadlineExceeded,
    ProviderTimeout,
)
from dspex.messages import TextDelta
from dspex.testing import FakeReply, FakeTransport, chat_reply
from dspex.usage import Usage, UsageMeter
from tests.support.pipeline import answers, ask, at_rest, chunk, runtime_on

pytestmark = pytest.mark.virtual_time


class TestDeadlines:
    async def test_a_try_that_hangs_is_cut_and_repeated(self) -> None:
        """One attempt has its own bound, so that a lost packet does not cost the call."""
        transport = FakeTransport(answers(chat_reply("late", delay_s=1e6), chat_reply("yes")))
        async with runtime_on(transport, attempt_timeout_s=30.0) as runtime:
            response = await runtime.client().complete(ask())

        assert "yes" == response.text
        assert "timeout" == response.attempts[0].error.kind

    async def test_a_provider_that_always_hangs_is_a_timeout(self) -> None:
        """The error says in which step and after how long."""
        transport = FakeTransport(answers(chat_reply("late", delay_s=1e6)))
        async with runtime_on(transport, attempt_timeout_s=30.0) as runtime:
            with pytest.raises(ProviderTimeout, match="longer than 30 s"):
                await runtime.client().complete(ask())

            assert at_rest(runtime.client())

        assert 0 == transport.in_flight

    async def test_the_deadline_of_the_call_says_where_it_was_spent(self) -> None:
        """At three in the morning the first question is: waiting for what?"""
        transport = FakeTransport(answers(chat_reply("late", delay_s=1e6)))
        async with runtime_on(transport) as runtime:
            with pytest.raises(DeadlineExceeded, match="deadline of 5 s") as caught:
                await runtime.client().complete(ask(), timeout_s=5.0)

        assert "attempt" == caught.value.data.stage

    async def test_time_in_the_limiter_counts_and_is_named(self) -> None:
        """A rate that is too low shows as such."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport, requests_per_minute=1.0) as runtime:
            client = runtime.client()
            await client.complete(ask("first"))
            with pytest.raises(DeadlineExceeded) as caught:
                await client.complete(ask("second"), timeout_s=5.0)

            assert at_rest(client)

        assert "limiter" == caught.value.data.stage

    async def test_the_scopes_deadline_holds_for_its_calls(self) -> None:
        """A part of a program cannot take longer than the whole may."""
        transport = FakeTransport(answers(chat_reply("late", delay_s=1e6)))
        async with runtime_on(transport) as runtime:
            now = asyncio.get_running_loop().time()
            with effects.scope(deadline=now + 3.0), pytest.raises(DeadlineExceeded):
                await runtime.client().complete(ask())

            assert asyncio.get_running_loop().time() - now == pytest.approx(3.0, abs=0.1)

    async def test_a_call_without_time_is_not_sent(self) -> None:
        """What is too late before it begins costs nothing."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            await runtime.client().complete(ask("warm"))
            now = asyncio.get_running_loop().time()
            with effects.scope(deadline=now), pytest.raises(DeadlineExceeded):
                await runtime.client().complete(ask("late"))

        assert 1 == len(transport.requests)

    async def test_a_scope_without_time_left_sends_nothing(self) -> None:
        """The answer would be paid for and thrown away."""
        transport = FakeTransport(answers(chat_reply("yes", delay_s=1.0)))
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            await client.complete(ask("warm"))
            now = asyncio.get_running_loop().time()
            with effects.scope(deadline=now - 1.0), pytest.raises(DeadlineExceeded):
                await client.complete(ask("late"))

        assert 1 == len(transport.requests)

    async def test_cancelling_callers_leaves_nothing_behind(self) -> None:
        """Ten thousand cancelled calls: pool, limiter and breaker are at rest."""
        transport = FakeTransport(answers(chat_reply("late", delay_s=1e6)))
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            tasks = [asyncio.create_task(client.complete(ask(str(n)))) for n in range(10_000)]
            await asyncio.sleep(1.0)
            assert 10_000 == transport.in_flight

            for task in tasks:
                task.cancel()

            await asyncio.wait(tasks)

            assert at_rest(client)
            assert "closed" == client.endpoint.statistics().breakers["model"].state

        assert 0 == transport.in_flight


class TestGivenUp:
    """What a provider worked on when nobody waited any more: it will bill it, so it counts."""

    async def test_a_stream_that_is_closed_early_counts_what_was_asked_and_heard(self) -> None:
        """As a guess in the meter, and as the most it may have been in the purse."""
        reply = FakeReply(parts=(chunk("four"),) * 10)
        transport = FakeTransport(answers(reply))
        price = ModelPrice(input_usd_per_million_tokens=1, output_usd_per_million_tokens=10)
        meter = UsageMeter()
        async with runtime_on(transport, prices={"model": price}) as runtime:
            client = runtime.client()
            with effects.scope(meter=meter), budget(usd=1) as purse:
                async with aclosing(client.stream(ask("x" * 400))) as events:
                    async for event in events:
                        if isinstance(event, TextDelta):
                            break

            assert at_rest(client)

        assert meter.total == Usage(
            input_tokens=101, output_tokens=1, cost_usd=Decimal("0.000111"), calls=1
        )
        statistics = purse.statistics()
        assert (1, 0) == (statistics.used_calls, statistics.reserved_calls)
        assert statistics.used_usd is not None
        assert statistics.used_usd > Decimal("0.000111")

    @pytest.mark.parametrize("timeout_s", [None, 2.0])
    async def test_a_call_that_is_given_up_counts_what_was_asked(
        self, timeout_s: float | None
    ) -> None:
        """Whether its caller was cancelled or its deadline struck."""
        transport = FakeTransport(answers(chat_reply("late", delay_s=1e6)))
        meter = UsageMeter()
        async with runtime_on(transport) as runtime:
            with effects.scope(meter=meter):
                call = asyncio.create_task(
                    runtime.client().complete(ask("x" * 400), timeout_s=timeout_s)
                )

            await asyncio.sleep(1.0 if timeout_s is None else 3.0)
            call.cancel()
            await asyncio.wait([call])

        assert meter.total == Usage(input_tokens=101, cost_usd=None, calls=1)

    async def test_a_call_that_was_never_sent_counts_nothing(self) -> None:
        """It waited for its turn."""
        transport = FakeTransport(answers(chat_reply("yes")))
        meter = UsageMeter()
        async with runtime_on(transport, requests_per_minute=1.0) as runtime:
            await runtime.client().complete(ask("first"))
            with effects.scope(meter=meter):
                call = asyncio.create_task(runtime.client().complete(ask("second")))

            await asyncio.sleep(1.0)
            call.cancel()
            await asyncio.wait([call])

        assert meter.total == Usage()
