"""What a try needs before it is sent, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from dspex import effects
from dspex.clients.client import Client
from dspex.clients.limits.budget import Budget, LocalBudget
from dspex.config import BreakerSettings
from dspex.errors import (
    BudgetExceeded,
    CircuitOpen,
    DeadlineExceeded,
    InvalidRequest,
    ProviderError,
    RateLimited,
    ServerError,
)
from dspex.messages import (
    ImagePart,
    Message,
    Request,
    Sampling,
)
from dspex.testing import FakeReply, FakeTransport, chat_reply
from dspex.usage import UsageMeter
from tests.support.pipeline import answers, ask, at_rest, error_reply, runtime_on

pytestmark = pytest.mark.virtual_time


class TestPool:
    async def test_waiting_for_a_place_is_not_the_providers_time(self) -> None:
        """More calls than connections: they wait in line, and nobody calls it a slow provider."""
        transport = FakeTransport(answers(chat_reply("yes", delay_s=0.2)), max_connections=20)
        async with runtime_on(transport, attempt_timeout_s=2.0) as runtime:
            client = runtime.client()
            responses = await effects.map(
                lambda n: client.complete(ask(str(n))), range(600), max_concurrency=600
            )

            assert "closed" == client.endpoint.statistics().breakers["model"].state

        assert (20, 600) == (transport.max_in_flight, len(transport.requests))
        assert all(response.attempts == () for response in responses)

    async def test_the_deadline_names_the_pool(self) -> None:
        """A pool that is too small shows as such."""
        transport = FakeTransport(answers(chat_reply("yes", delay_s=60.0)), max_connections=1)
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            first = asyncio.create_task(client.complete(ask("first")))
            await asyncio.sleep(0.1)
            with pytest.raises(DeadlineExceeded) as caught:
                await client.complete(ask("second"), timeout_s=5.0)

            await first
            assert at_rest(client)

        assert "pool" == caught.value.data.stage
        assert (0, 0) == (transport.gate.in_use, transport.gate.waiting)

    async def test_who_waited_in_a_pool_that_closed_goes_to_the_next(self) -> None:
        """A restart of the connections under a queue costs those in it one try and no answer."""
        transport = FakeTransport(answers(chat_reply("yes", delay_s=1.0)), max_connections=1)
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            first = asyncio.create_task(client.complete(ask("first")))
            await asyncio.sleep(0.1)
            second = asyncio.create_task(client.complete(ask("second")))
            await asyncio.sleep(0.1)
            transport.closed = True
            await first
            transport.closed = False

            response = await second

        assert ("yes", "endpoint") == (response.text, response.attempts[0].error.kind)
        assert 0 == transport.gate.in_use


class TestBreaker:
    async def test_opens_rejects_at_once_and_recovers_by_one_probe(self) -> None:
        """An outage costs each caller nothing, and its end is found by one call."""
        down = True

        def answer(_: dict[str, Any]) -> FakeReply:
            return error_reply(500) if down else chat_reply("yes", delay_s=1.0)

        transport = FakeTransport(answer)
        settings = BreakerSettings(consecutive_failures=5, recovery_s=30.0)
        async with runtime_on(transport, max_retries=0, breaker=settings) as runtime:
            client = runtime.client()
            for n in range(5):
                with pytest.raises(ServerError):
                    await client.complete(ask(str(n)))

            with pytest.raises(CircuitOpen, match="500"):
                await client.complete(ask())

            assert 5 == len(transport.requests)

            down = False
            await asyncio.sleep(31.0)
            outcomes = await effects.map(_outcome_of(client), range(100), max_concurrency=100)

            assert (1, 99) == (outcomes.count("yes"), outcomes.count("open"))
            assert "yes" == (await client.complete(ask("after"))).text

    async def test_a_call_that_never_left_is_no_call(self) -> None:
        """What an open breaker rejected is not in the bill."""
        transport = FakeTransport(answers(error_reply(500)))
        settings = BreakerSettings(consecutive_failures=2)
        meter = UsageMeter()
        async with runtime_on(transport, max_retries=0, breaker=settings) as runtime:
            client = runtime.client()
            with effects.scope(meter=meter):
                for n in range(10):
                    with pytest.raises((ServerError, CircuitOpen)):
                        await client.complete(ask(str(n)))

        assert 2 == len(transport.requests) == meter.total.calls

    async def test_the_fault_of_a_request_is_not_held_against_the_endpoint(self) -> None:
        """A thousand bad requests do not stop the good ones."""
        transport = FakeTransport(
            lambda body: (
                error_reply(400) if body["messages"][0]["content"] == "bad" else chat_reply("yes")
            )
        )
        settings = BreakerSettings(consecutive_failures=5, min_calls=5)
        async with runtime_on(transport, breaker=settings) as runtime:
            client = runtime.client()
            for _ in range(50):
                with pytest.raises(InvalidRequest):
                    await client.complete(ask("bad"))

            assert "yes" == (await client.complete(ask("good"))).text


def _outcome_of(client: Client) -> Callable[[int], Any]:
    async def outcome(n: int) -> str:
        try:
            return (await client.complete(ask(f"probe {n}"))).text
        except CircuitOpen:
            return "open"

    return outcome


class TestRateLimits:
    async def test_requests_keep_to_the_configured_rate(self) -> None:
        """Sixty a minute are one a second after the first burst."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport, requests_per_minute=60.0) as runtime:
            began = asyncio.get_running_loop().time()
            client = runtime.client()
            await effects.map(lambda n: client.complete(ask(str(n))), range(20))
            took = asyncio.get_running_loop().time() - began

        assert 17.0 <= took <= 20.0

    async def test_a_wave_of_refusals_holds_everybody_back(self) -> None:
        """When the whole endpoint is pressed too hard, calls wait in line and not one by one."""
        transport = FakeTransport(answers(error_reply(429, **{"retry-after": "5"})))
        async with runtime_on(transport, max_retries=0) as runtime:
            client = runtime.client()
            for n in range(30):
                with pytest.raises((RateLimited, DeadlineExceeded)):
                    await client.complete(ask(str(n)), timeout_s=1.0)

            quota = client.endpoint.statistics().quota

        assert quota is not None
        assert quota.pauses >= 1
        assert len(transport.requests) <= 21


class TestBudget:
    async def test_an_empty_purse_stops_before_the_provider(self) -> None:
        """The hundred and first call is not sent, even when all start at once."""
        transport = FakeTransport(answers(chat_reply("yes", delay_s=1.0)))
        purse = LocalBudget(Budget(calls=100))
        async with runtime_on(transport) as runtime:
            client = runtime.client()

            async def one(n: int) -> bool:
                try:
                    await client.complete(ask(str(n)))
                except BudgetExceeded:
                    return False

                return True

            with effects.scope(budget=purse):
                made = await effects.map(one, range(1_000), max_concurrency=1_000)

        assert (100, 100) == (sum(made), len(transport.requests))
        assert 100 == purse.statistics().used_calls

    async def test_what_was_set_aside_is_settled_at_its_true_size(self) -> None:
        """Nothing stays reserved after the call."""
        transport = FakeTransport(answers(chat_reply("yes", input_tokens=3, output_tokens=4)))
        purse = LocalBudget(Budget(tokens=1_000))
        async with runtime_on(transport) as runtime:
            with effects.scope(budget=purse):
                await runtime.client().complete(ask(sampling=Sampling(max_tokens=500)))

        statistics = purse.statistics()
        assert (7, 0) == (statistics.used_tokens, statistics.reserved_tokens)

    async def test_a_rejected_call_gives_everything_back(self) -> None:
        """An open breaker does not eat the budget."""
        transport = FakeTransport(answers(error_reply(500)))
        purse = LocalBudget(Budget(calls=100))
        settings = BreakerSettings(consecutive_failures=2)
        async with runtime_on(transport, max_retries=0, breaker=settings) as runtime:
            client = runtime.client()
            with effects.scope(budget=purse):
                for n in range(10):
                    with pytest.raises((ServerError, CircuitOpen)):
                        await client.complete(ask(str(n)))

        statistics = purse.statistics()
        assert (2, 0) == (statistics.used_calls, statistics.reserved_calls)

    @pytest.mark.parametrize(
        ("reply", "tokens"),
        [
            (chat_reply("late", delay_s=1e6), 1_000),
            (aiohttp.ClientPayloadError("cut"), 1_000),
            (OSError(111, "refused"), 0),
            (error_reply(500), 0),
            (error_reply(400), 0),
        ],
        ids=["timeout", "cut", "no connection", "server", "refused"],
    )
    async def test_what_may_have_been_paid_is_counted_as_paid(
        self, reply: FakeReply | Exception, tokens: int
    ) -> None:
        """A try that broke off is settled at the most it can use; a refused one cost nothing."""
        transport = FakeTransport(answers(reply))
        purse = LocalBudget(Budget(tokens=1_000_000))
        async with runtime_on(transport, max_retries=0, attempt_timeout_s=5.0) as runtime:
            with effects.scope(budget=purse), pytest.raises(ProviderError):
                await runtime.client().complete(ask(sampling=Sampling(max_tokens=1_000)))

        assert tokens <= purse.statistics().used_tokens <= tokens + 20
        assert 0 == purse.statistics().reserved_tokens

    async def test_what_could_not_be_said_costs_nothing(self) -> None:
        """A request the wire cannot carry fails with its place and is not charged."""
        transport = FakeTransport(answers(chat_reply("yes")))
        purse = LocalBudget(Budget(calls=10))
        picture = Request((Message("user", (ImagePart("http://elsewhere/x.png"),)),))
        async with runtime_on(transport, compat="deepseek") as runtime:
            with effects.scope(budget=purse), pytest.raises(InvalidRequest, match="fake/model"):
                await runtime.client().complete(picture)

        assert (0, 0) == (len(transport.requests), purse.statistics().used_calls)
