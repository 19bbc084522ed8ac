"""What follows a failed try, and how a stream is taken."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest

from dspex import effects
from dspex.clients.client import Client
from dspex.clients.limits.budget import Budget, LocalBudget
from dspex.config import BreakerSettings
from dspex.errors import (
    AuthError,
    DeadlineExceeded,
    InvalidRequest,
    ProtocolError,
    ProviderTimeout,
    QuotaExhausted,
    RateLimited,
    ServerError,
    TransportError,
)
from dspex.messages import (
    StreamEnd,
    StreamStart,
    TextDelta,
)
from dspex.telemetry import LM_START, LM_STOP
from dspex.testing import FakeReply, FakeTransport, chat_reply
from dspex.usage import UsageMeter
from tests.support.pipeline import answers, ask, at_rest, chunk, error_reply, runtime_on

pytestmark = pytest.mark.virtual_time


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

    @pytest.mark.parametrize("failure", [aiohttp.ClientPayloadError("cut"), 1e6], ids=str)
    async def test_a_start_without_a_token_is_tried_again(self, failure: Exception | float) -> None:
        """A server that begins and breaks off has said nothing; the consumer sees one start."""
        good = (chunk("yes", finish_reason="stop"), b"data: [DONE]\n\n")
        empty = b'data: {"id": "first", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}'
        transport = FakeTransport(
            answers(FakeReply(parts=(empty + b"\n\n", failure)), FakeReply(parts=good))
        )
        async with runtime_on(transport, idle_timeout_s=30.0) as runtime:
            events = [event async for event in runtime.client().stream(ask())]

        assert [StreamStart, TextDelta, StreamEnd] == [type(event) for event in events]
        assert isinstance(events[-1], StreamEnd)
        assert 1 == len(events[-1].response.attempts)
        assert not events[-1].response.attempts[0].error.delivered

    async def test_who_keeps_the_connection_alive_is_not_silent(self) -> None:
        """While a model thinks, servers send comments or events without content."""
        alive = [part for _ in range(5) for part in (20.0, b": thinking\n\n")]
        parts = (*alive, chunk("yes", finish_reason="stop"), b"data: [DONE]\n\n")
        transport = FakeTransport(answers(FakeReply(parts=parts)))
        async with runtime_on(
            transport, first_byte_timeout_s=30.0, idle_timeout_s=30.0, max_retries=0
        ) as runtime:
            events = [event async for event in runtime.client().stream(ask())]

        assert isinstance(events[-1], StreamEnd)
        assert "yes" == events[-1].response.text

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

    async def test_a_thousand_streams_share_their_timers(self) -> None:
        """Deadlines are rounded up to a few values: a timer each would stay for minutes."""
        parts = (chunk("yes", finish_reason="stop"), b"data: [DONE]\n\n")
        transport = FakeTransport(answers(FakeReply(parts=parts, delay_s=0.01)))
        async with runtime_on(transport) as runtime:
            client = runtime.client()

            async def one(n: int) -> None:
                now = asyncio.get_running_loop().time()
                with effects.scope(deadline=now + 60.0 + n * 1e-4):
                    _ = [event async for event in client.stream(ask(str(n)))]

            await effects.map(one, range(1_000), max_concurrency=50)
            shown = repr(client.endpoint.deadlines)

        assert int(shown.split(" in ")[1].split()[0]) <= 20
