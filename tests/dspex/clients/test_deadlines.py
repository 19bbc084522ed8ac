"""Each wait has a deadline of its own, and its error names the stage: over real sockets."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from dspex.clients.tally import EndpointStatistics
from dspex.errors import (
    DeadlineExceeded,
    PoolExhausted,
    ProtocolError,
    ProviderError,
    ProviderTimeout,
)
from dspex.messages import Message, Request
from dspex.runtime import Runtime
from tests.support.sockets import chat_body, deaf_port, http, raw_server, read_request, runtime_at

CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


def ask(text: str = "hi") -> Request:
    return Request((Message("user", text),))


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Accept, and never answer."""
    await reader.read()


async def stall_after_a_chunk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(STREAM_HEAD + CHUNK)
    await reader.read()


async def failure_of(runtime: Runtime, *, stream: bool = False) -> ProviderError:
    client = runtime.client()

    async def drain() -> None:
        async with aclosing(client.stream(ask())) as events:
            async for _ in events:
                pass

    with pytest.raises(ProviderError) as caught:
        await (drain() if stream else client.complete(ask()))

    statistics = client.endpoint.statistics()
    assert statistics.in_flight == 0
    assert statistics.connections is None or statistics.connections.in_use == 0
    return caught.value


class TestStages:
    async def test_pool_wait(self) -> None:
        """Nobody gave a connection back in time: the numbers say why."""
        async with (
            raw_server(hang) as port,
            runtime_at(port, max_connections=1, pool_timeout_s=0.1, call_timeout_s=5) as runtime,
        ):
            client = runtime.client()
            holding = asyncio.create_task(client.complete(ask("first")))
            await asyncio.sleep(0.05)
            with pytest.raises(PoolExhausted, match=r"in 0\.1 s: 1 of 1 are in use") as caught:
                await client.complete(ask("second"))

            holding.cancel()
            await asyncio.wait([holding])

        assert ("pool", 1) == (caught.value.data.stage, len(caught.value.attempts))

    async def test_pool_overflow(self) -> None:
        """More than may wait are turned away at once."""
        async with (
            raw_server(hang) as port,
            runtime_at(
                port, max_connections=1, max_waiting=1, max_retries=0, call_timeout_s=5
            ) as runtime,
        ):
            client = runtime.client()
            holding = [asyncio.create_task(client.complete(ask(str(n)))) for n in range(2)]
            await asyncio.sleep(0.05)
            with pytest.raises(PoolExhausted, match="all 1 connections are in use and 1 calls"):
                await client.complete(ask("third"))

            for task in holding:
                task.cancel()

            await asyncio.wait(holding)

    async def test_connect(self) -> None:
        """A server that does not even say no."""
        with deaf_port() as port:
            async with runtime_at(port, connect_timeout_s=0.1, max_retries=0) as runtime:
                error = await failure_of(runtime)

        assert isinstance(error, ProviderTimeout)
        assert ("connect", "timeout") == (error.data.stage, error.data.code)

    async def test_a_tls_handshake_counts_as_connecting(self) -> None:
        """The port answers, and what it speaks is not TLS: nothing."""
        async with (
            raw_server(hang) as port,
            runtime_at(
                port,
                base_url=f"https://127.0.0.1:{port}/v1",
                connect_timeout_s=0.1,
                max_retries=0,
            ) as runtime,
        ):
            error = await failure_of(runtime)

        assert isinstance(error, ProviderTimeout)
        assert "connect" == error.data.stage

    async def test_first_byte(self) -> None:
        """The stream was accepted, and nothing of it came."""
        async with (
            raw_server(hang) as port,
            runtime_at(port, first_byte_timeout_s=0.1, max_retries=0) as runtime,
        ):
            error = await failure_of(runtime, stream=True)

        assert isinstance(error, ProviderTimeout)
        assert ("first byte", False) == (error.data.stage, error.data.delivered)

    async def test_between_chunks(self) -> None:
        """It began and fell silent; what came was handed on, so it is not tried again."""
        async with (
            raw_server(stall_after_a_chunk) as port,
            runtime_at(port, idle_timeout_s=0.1, max_retries=3) as runtime,
        ):
            error = await failure_of(runtime, stream=True)

        assert isinstance(error, ProviderTimeout)
        assert ("between chunks", True, 1) == (
            error.data.stage,
            error.data.delivered,
            len(error.attempts),
        )

    async def test_attempt(self) -> None:
        """One try took too long."""
        async with (
            raw_server(hang) as port,
            runtime_at(port, attempt_timeout_s=0.1, max_retries=0) as runtime,
        ):
            error = await failure_of(runtime)

        assert isinstance(error, ProviderTimeout)
        assert "attempt" == error.data.stage

    async def test_total(self) -> None:
        """The whole call took too long; what it was doing is in the error."""
        async with (
            raw_server(hang) as port,
            runtime_at(port, call_timeout_s=0.1) as runtime,
        ):
            error = await failure_of(runtime)

        assert isinstance(error, DeadlineExceeded)
        assert "attempt" == error.data.stage


class TestStaleConnections:
    async def test_a_reused_connection_that_broke_is_tried_again_at_once(self) -> None:
        """The server closed it while it was idle: no fault, no wait, no breaker."""
        served = 0

        async def once_and_close(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            nonlocal served
            await read_request(reader)
            served += 1
            writer.write(http(chat_body()))
            await writer.drain()
            # It looks open until the next request is on its way.
            await read_request(reader)
            writer.transport.abort()

        async with raw_server(once_and_close) as port, runtime_at(port) as runtime:
            client = runtime.client()
            await client.complete(ask("first"))
            response = await client.complete(ask("second"))
            [breaker] = client.endpoint.statistics().breakers.values()

        assert (2, "yes") == (served, response.text)
        assert [True] == [attempt.error.stale_socket for attempt in response.attempts]
        assert response.latency_s < 0.2
        assert (2, 0.0) == (breaker.calls, breaker.failure_rate)

    async def test_a_new_connection_that_broke_is_a_failure(self) -> None:
        """A server that hangs up on everybody is down."""

        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.transport.abort()

        async with raw_server(hang_up) as port, runtime_at(port, max_retries=0) as runtime:
            error = await failure_of(runtime)
            [breaker] = runtime.client().endpoint.statistics().breakers.values()

        assert ("transport", False) == (error.data.kind, error.data.stale_socket)
        assert (1, 1.0) == (breaker.calls, breaker.failure_rate)


class TestSize:
    async def test_an_error_body_without_end_is_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not even a refusal may fill the memory."""
        monkeypatch.setattr("dspex.clients.posting._LARGEST_ANSWER_BYTES", 1 << 20)

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\n\r\n")
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()

        async with raw_server(flood) as port, runtime_at(port, max_retries=0) as runtime:
            error = await failure_of(runtime)

        assert isinstance(error, ProtocolError)


def at_work_and_waiting(moment: EndpointStatistics) -> tuple[int, int]:
    gate, quota = moment.connections, moment.quota
    if gate is None or quota is None:
        return 0, 0  # the first call is still starting them

    return gate.in_use, gate.waiting + quota.waiting


@pytest.mark.slow
async def test_ten_thousand_cancelled_calls_leave_everything_at_rest() -> None:
    """Wherever they were: in the pool, at the limiter, on the wire, backing off."""
    async with (
        raw_server(hang) as port,
        runtime_at(
            port,
            max_connections=50,
            requests_per_minute=6_000,
            tokens_per_minute=10_000_000,
            per_user_requests_per_minute=6_000_000,
        ) as runtime,
    ):
        client = runtime.client()
        calls = [asyncio.create_task(client.complete(ask(str(n)))) for n in range(10_000)]
        for _ in range(200):
            await asyncio.sleep(0.05)
            before = client.endpoint.statistics()
            if at_work_and_waiting(before) == (50, 9_950):
                break

        for call in calls:
            call.cancel()

        await asyncio.wait(calls)
        after = client.endpoint.statistics()

    assert at_work_and_waiting(before) == (50, 9_950)
    assert all(call.cancelled() for call in calls)
    assert at_work_and_waiting(after) == (0, 0)
    assert after.in_flight == 0
    assert all(
        (breaker.state, breaker.calls, breaker.rejected) == ("closed", 0, 0)
        for breaker in after.breakers.values()
    )
