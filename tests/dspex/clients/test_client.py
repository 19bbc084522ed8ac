"""The way of one call, on a scripted provider and a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import aiohttp
import orjson
import pytest

from dspex import effects
from dspex.clients.budget import Budget, LocalBudget
from dspex.clients.client import Client
from dspex.config import BreakerSettings, CacheSettings, ProviderSettings
from dspex.effects import Effect, LiveGate
from dspex.errors import (
    AuthError,
    BudgetExceeded,
    CircuitOpen,
    DeadlineExceeded,
    InvalidRequest,
    ProtocolError,
    ProviderError,
    ProviderTimeout,
    QuotaExhausted,
    RateLimited,
    ServerError,
    TransportError,
)
from dspex.messages import (
    ImagePart,
    Message,
    Request,
    Response,
    Sampling,
    StreamEnd,
    StreamStart,
    TextDelta,
)
from dspex.runtime import Runtime
from dspex.telemetry import LM_EXCEPTION, LM_RETRY, LM_START, LM_STOP
from dspex.testing import FakeReply, FakeTransport, chat_reply
from dspex.usage import UsageMeter

pytestmark = pytest.mark.virtual_time


def ask(text: str = "hi", **changes: Any) -> Request:
    return Request((Message("user", text),), **changes)


def error_reply(status: int, **headers: str) -> FakeReply:
    body = orjson.dumps({"error": {"message": f"status {status}", "type": "x", "code": None}})
    return FakeReply(status, body, headers=headers)


def runtime_on(transport: FakeTransport, *, cache: bool = False, **settings: Any) -> Runtime:
    provider = ProviderSettings(base_url="http://fake/v1", **settings)
    return Runtime(
        default="fake/model",
        providers={"fake": provider},
        session=transport.session,
        log="off",
        cache=CacheSettings() if cache else None,
    )


def answers(*replies: FakeReply | Exception) -> Callable[[dict[str, Any]], FakeReply | Exception]:
    """Return these in turn, and the last one for ever."""
    queue = list(replies)

    def answer(_: dict[str, Any]) -> FakeReply | Exception:
        return queue.pop(0) if len(queue) > 1 else queue[0]

    return answer


def at_rest(client: Client) -> bool:
    """Tell whether nothing of any call is left behind."""
    statistics = client.endpoint.statistics()
    quota = statistics.quota
    return statistics.in_flight == 0 and quota is not None and quota.waiting == 0


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


class TestRetry:
    @pytest.mark.parametrize(
        "failure",
        [
            error_reply(500),
            error_reply(503),
            error_reply(529),
            error_reply(408),
            error_reply(429),
            aiohttp.ClientConnectionError("Connector is closed"),
            aiohttp.ServerDisconnectedError(),
            aiohttp.ClientPayloadError("cut"),
            OSError(111, "refused"),
            FakeReply(200, b"<html>busy</html>"),
        ],
        ids=str,
    )
    async def test_what_passes_is_tried_again(self, failure: FakeReply | Exception) -> None:
        """One failure of the provider costs time, not the answer; the try is recorded."""
        transport = FakeTransport(answers(failure, chat_reply("yes")))
        meter = UsageMeter()
        async with runtime_on(transport) as runtime:
            with effects.scope(meter=meter):
                response = await runtime.client().complete(ask())

        assert ("yes", 1, 2) == (response.text, len(response.attempts), len(transport.requests))
        assert 1 == meter.total.failed_attempts

    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (error_reply(400), InvalidRequest),
            (error_reply(401), AuthError),
            (error_reply(404), InvalidRequest),
            (
                FakeReply(429, b'{"error": {"code": "insufficient_quota", "message": "pay"}}'),
                QuotaExhausted,
            ),
            (error_reply(429, **{"retry-after": "86400"}), Exception),
            (error_reply(500, **{"x-should-retry": "false"}), ServerError),
        ],
    )
    async def test_what_does_not_pass_fails_at_once(
        self, reply: FakeReply, error: type[Exception]
    ) -> None:
        """No time is spent on a request that stays wrong."""
        transport = FakeTransport(answers(reply))
        async with runtime_on(transport) as runtime:
            with pytest.raises(error):
                await runtime.client().complete(ask())

        assert 1 == len(transport.requests)

    async def test_waits_as_long_as_the_provider_asks(self) -> None:
        """Retry-After is a floor, jitter comes on top."""
        transport = FakeTransport(answers(error_reply(429, **{"retry-after": "7"}), chat_reply("")))
        async with runtime_on(transport) as runtime:
            response = await runtime.client().complete(ask())

        assert 7.0 <= response.latency_s < 9.0

    async def test_gives_up_with_every_try_in_the_error(self) -> None:
        """After the last retry the caller sees all that happened."""
        transport = FakeTransport(answers(error_reply(500)))
        async with runtime_on(transport, max_retries=3) as runtime:
            with pytest.raises(ServerError) as caught:
                await runtime.client().complete(ask())

        assert (4, 4) == (len(transport.requests), len(caught.value.attempts))
        assert "fake/model" in str(caught.value)

    async def test_an_outage_does_not_multiply_traffic(self) -> None:
        """Retries add at most a fifth and a small reserve, however many callers there are."""
        transport = FakeTransport(answers(error_reply(500)))
        never_opens = BreakerSettings(min_calls=1_000_000, consecutive_failures=1_000_000)
        async with runtime_on(transport, breaker=never_opens) as runtime:
            client = runtime.client()

            async def one(n: int) -> None:
                with pytest.raises(ServerError):
                    await client.complete(ask(str(n)))

            await effects.map(one, range(1_000), max_concurrency=1_000)

        assert 1_000 < len(transport.requests) <= 1_000 * 1.2 + 20

    async def test_a_retry_that_would_miss_the_deadline_is_not_waited_for(self) -> None:
        """The caller learns of the failure now and not at the deadline."""
        transport = FakeTransport(answers(error_reply(429, **{"retry-after": "50"})))
        async with runtime_on(transport) as runtime:
            began = asyncio.get_running_loop().time()
            with pytest.raises(RateLimited):
                await runtime.client().complete(ask(), timeout_s=10.0)

            assert asyncio.get_running_loop().time() - began < 1.0


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
        """A hundred callers of one failed flight have failed together, and tried twice."""
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
        assert (100, 2) == (meter.total.calls, meter.total.failed_attempts)


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
        """A try that broke off is settled at its estimate; one that was refused cost nothing."""
        transport = FakeTransport(answers(reply))
        purse = LocalBudget(Budget(tokens=1_000_000))
        async with runtime_on(transport, max_retries=0, attempt_timeout_s=5.0) as runtime:
            with effects.scope(budget=purse), pytest.raises(ProviderError):
                await runtime.client().complete(ask(sampling=Sampling(max_tokens=1_000)))

        assert tokens <= purse.statistics().used_tokens <= tokens + 10
        assert 0 == purse.statistics().reserved_tokens

    async def test_what_could_not_be_said_costs_nothing(self) -> None:
        """A request the wire cannot carry fails with its place and is not charged."""
        transport = FakeTransport(answers(chat_reply("yes")))
        purse = LocalBudget(Budget(calls=10))
        picture = Request((Message("user", (ImagePart("http://elsewhere/x.png"),)),))
        async with runtime_on(transport, compat="sandbox") as runtime:
            with effects.scope(budget=purse), pytest.raises(InvalidRequest, match="fake/model"):
                await runtime.client().complete(picture)

        assert (0, 0) == (len(transport.requests), purse.statistics().used_calls)


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


class TestEvents:
    async def test_each_step_is_announced_with_the_correlation_id(self) -> None:
        """A request can be followed through its retries by one id."""
        seen: list[tuple[Any, Any]] = []
        transport = FakeTransport(answers(error_reply(500), chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            runtime.bus.attach_many(
                "test",
                (LM_START, LM_RETRY, LM_STOP, LM_EXCEPTION),
                lambda event, measured, about, _: seen.append((event, about["correlation_id"])),
            )
            with effects.scope(correlation_id="abc"):
                await runtime.client().complete(ask())

        assert [(LM_START, "abc"), (LM_RETRY, "abc"), (LM_STOP, "abc")] == seen

    async def test_a_failing_listener_never_reaches_the_call(self) -> None:
        """Whoever watches cannot break what is watched."""

        def broken(*_: object) -> None:
            raise RuntimeError("listener")

        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            runtime.bus.attach("broken", LM_STOP, broken)
            response = await runtime.client().complete(ask())

            assert LM_STOP not in runtime.bus.listeners

        assert "yes" == response.text


def chunk(text: str, **more: Any) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": text}, **more}]}
    return b"data: " + orjson.dumps(delta) + b"\n\n"


class TestStream:
    async def test_the_answer_comes_in_pieces_and_ends_whole(self) -> None:
        """One start, deltas, one end with the folded response."""
        parts = (chunk("Hel"), 1.0, chunk("lo", finish_reason="stop"), b"data: [DONE]\n\n")
        transport = FakeTransport(answers(FakeReply(parts=parts)))
        async with runtime_on(transport) as runtime:
            events = [event async for event in runtime.client().stream(ask())]

        assert isinstance(events[0], StreamStart)
        assert ["Hel", "lo"] == [event.text for event in events if isinstance(event, TextDelta)]
        assert isinstance(events[-1], StreamEnd)
        assert "Hello" == events[-1].response.text

    async def test_a_failure_before_the_first_piece_is_tried_again(self) -> None:
        """Nothing was delivered, so nothing is repeated."""
        parts = (chunk("yes", finish_reason="stop"), b"data: [DONE]\n\n")
        transport = FakeTransport(answers(error_reply(503), FakeReply(parts=parts)))
        async with runtime_on(transport) as runtime:
            events = [event async for event in runtime.client().stream(ask())]

        assert isinstance(events[-1], StreamEnd)
        assert 1 == len(events[-1].response.attempts)

    async def test_a_stream_cut_after_a_token_is_not_repeated(self) -> None:
        """The consumer has part of an answer; a second one would be appended to it."""
        parts = (chunk("half"), aiohttp.ClientPayloadError("cut"))
        transport = FakeTransport(answers(FakeReply(parts=parts)))
        seen: list[Any] = []

        async def consume(client: Client) -> None:
            async for event in client.stream(ask()):
                seen.append(event)  # noqa: PERF401 - what came before the error counts

        async with runtime_on(transport) as runtime:
            with pytest.raises((ProtocolError, TransportError)):
                await consume(runtime.client())

        assert 1 == len(transport.requests)
        assert any(isinstance(event, TextDelta) for event in seen)

    async def test_silence_between_chunks_is_a_timeout(self) -> None:
        """A stalled stream does not hold a connection for ever."""
        transport = FakeTransport(answers(FakeReply(parts=(chunk("half"), 1e6))))
        async with runtime_on(transport, idle_timeout_s=30.0) as runtime:
            with pytest.raises(ProviderTimeout, match="between chunks"):
                async for _ in runtime.client().stream(ask()):
                    pass

            assert at_rest(runtime.client())

        assert 0 == transport.in_flight

    async def test_a_slow_consumer_is_not_a_timeout(self) -> None:
        """Only the provider's time counts against the provider."""
        parts = (chunk("a"), chunk("b"), chunk("c", finish_reason="stop"), b"data: [DONE]\n\n")
        transport = FakeTransport(answers(FakeReply(parts=parts)))
        async with runtime_on(transport, idle_timeout_s=5.0, call_timeout_s=1000.0) as runtime:
            count = 0
            async for _ in runtime.client().stream(ask()):
                count += 1
                await asyncio.sleep(50.0)

        assert count >= 4

    async def test_silence_after_the_first_piece_is_not_repeated(self) -> None:
        """What was delivered stays delivered once."""
        transport = FakeTransport(answers(FakeReply(parts=(chunk("half"), 1e6))))
        seen: list[Any] = []

        async def consume(client: Client) -> None:
            async for event in client.stream(ask()):
                seen.append(event)  # noqa: PERF401 - what came before the error counts

        async with runtime_on(transport, idle_timeout_s=30.0) as runtime:
            with pytest.raises(ProviderTimeout):
                await consume(runtime.client())

        assert 1 == len(transport.requests)
        assert 1 == sum(isinstance(event, TextDelta) for event in seen)

    async def test_silence_before_anything_came_is_tried_again(self) -> None:
        """A first byte that never comes costs time and not the stream."""
        good = (chunk("yes", finish_reason="stop"), b"data: [DONE]\n\n")
        silent = FakeReply(delay_s=1e6)
        transport = FakeTransport(answers(silent, FakeReply(parts=good)))
        async with runtime_on(transport, first_byte_timeout_s=20.0) as runtime:
            events = [event async for event in runtime.client().stream(ask())]

        assert isinstance(events[-1], StreamEnd)
        assert "first byte" == events[-1].response.attempts[0].error.stage

    async def test_waiting_in_the_limiter_is_under_the_calls_deadline(self) -> None:
        """A stream waits no longer than a call does."""
        parts = (chunk("yes", finish_reason="stop"), b"data: [DONE]\n\n")
        transport = FakeTransport(answers(FakeReply(parts=parts)))
        async with runtime_on(transport, requests_per_minute=1.0) as runtime:
            client = runtime.client()
            _ = [event async for event in client.stream(ask("first"))]
            began = asyncio.get_running_loop().time()
            with pytest.raises(DeadlineExceeded) as caught:
                _ = [event async for event in client.stream(ask("second"), timeout_s=5.0)]

            assert asyncio.get_running_loop().time() - began == pytest.approx(5.0, abs=0.2)
            assert at_rest(client)

        assert "limiter" == caught.value.data.stage

    async def test_who_stops_early_frees_the_connection_at_once(self) -> None:
        """Closing the generator gives everything back, and counts neither way for the breaker."""
        parts = (chunk("a"), chunk("b"), 1e6)
        transport = FakeTransport(answers(FakeReply(parts=parts)))
        meter = UsageMeter()
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            with effects.scope(meter=meter):
                async with aclosing(client.stream(ask())) as events:
                    async for event in events:
                        if isinstance(event, TextDelta):
                            break

            assert at_rest(client)
            assert "closed" == client.endpoint.statistics().breakers["model"].state

        assert (0, 0, 0) == (transport.in_flight, transport.gate.in_use, meter.in_call)

    async def test_a_stream_is_counted_like_a_call(self) -> None:
        """Statistics, usage and events do not depend on how the answer was taken."""
        parts = (chunk("yes", finish_reason="stop"), b"data: [DONE]\n\n")
        transport = FakeTransport(answers(FakeReply(parts=parts)))
        seen: list[Any] = []
        meter = UsageMeter()
        async with runtime_on(transport) as runtime:
            runtime.bus.attach_many(
                "test", (LM_START, LM_STOP), lambda event, *_: seen.append(event)
            )
            with effects.scope(meter=meter):
                _ = [event async for event in runtime.client().stream(ask())]

            statistics = runtime.client().endpoint.statistics()

        assert [LM_START, LM_STOP] == seen
        assert (1, 1, 0) == (statistics.calls, statistics.succeeded, statistics.in_flight)
        assert 1 == meter.total.calls

    async def test_who_stops_at_the_end_has_had_the_answer(self) -> None:
        """Breaking at the last event loses nothing of the account."""
        parts = (chunk("yes", finish_reason="stop"), b"data: [DONE]\n\n")
        transport = FakeTransport(answers(FakeReply(parts=parts)))
        meter, purse = UsageMeter(), LocalBudget(Budget(calls=5))
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            with effects.scope(meter=meter, budget=purse):
                async with aclosing(client.stream(ask())) as events:
                    async for event in events:
                        if isinstance(event, StreamEnd):
                            break

            statistics = client.endpoint.statistics()

        assert (1, 1, 0) == (meter.total.calls, statistics.succeeded, statistics.failed)
        assert 1 == purse.statistics().used_calls

    async def test_what_comes_after_the_end_does_not_matter(self) -> None:
        """A proxy that keeps the connection open, or cuts it, cannot spoil a whole answer."""
        done = (chunk("yes", finish_reason="stop"), b"data: [DONE]\n\n")
        for rest in (1e6, aiohttp.ClientPayloadError("cut")):
            transport = FakeTransport(answers(FakeReply(parts=(*done, rest))))
            async with runtime_on(transport) as runtime:
                events = [event async for event in runtime.client().stream(ask())]

            assert isinstance(events[-1], StreamEnd)
            assert 0 == transport.in_flight
