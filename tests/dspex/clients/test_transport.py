"""HTTP over real sockets: connections are kept, freed and bounded, whatever the server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dspex.clients import posting as module
from dspex.clients.transport import AiohttpTransport
from dspex.config import ProviderSettings
from dspex.errors import ProtocolError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Peers:
    """Answers "yes", and remembers who asked."""

    def __init__(self) -> None:
        self.names: set[object] = set()
        self.keys: set[str | None] = set()

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.names.add(request.transport.get_extra_info("peername"))
        self.keys.add(request.headers.get("Authorization"))
        await request.read()
        return web.Response(text="yes")


async def hang(_: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    raise AssertionError("nobody waits that long")


async def flood(request: web.Request) -> web.StreamResponse:
    """Send without end, and without saying how much."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 10_000)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[AiohttpTransport]:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/v1/ask", handler)
    async with TestServer(app) as server:
        provider = ProviderSettings(base_url=str(server.make_url("/v1")))
        transport = AiohttpTransport(provider, {"Authorization": "Bearer secret-key"})
        try:
            yield transport
        finally:
            await transport.aclose()


async def post(transport: AiohttpTransport, body: bytes = b"{}") -> bytes:
    async with transport.post("/ask", body) as reply:
        return await reply.read()


class TestPost:
    async def test_one_connection_serves_calls_one_after_the_other(self) -> None:
        """A body read to its end gives the connection back, a large request's too."""
        peers = Peers()
        async with serving(peers.answer) as transport:
            for body in (b"{}", b"x" * 3_000_000, b"{}"):
                assert b"yes" == await post(transport, body)

        assert (1, {"Bearer secret-key"}) == (len(peers.names), peers.keys)

    async def test_a_body_left_unread_does_not_meet_the_next_caller(self) -> None:
        """Its connection is closed and not used again."""
        async with serving(flood) as transport:
            firsts: list[bytes] = []
            for _ in range(2):
                async with transport.post("/ask", b"{}") as reply:
                    firsts.append(await anext(reply.chunks()))

            assert {b"x"} == {first[:1] for first in firsts}
            assert transport.gate.in_use == 0

    async def test_a_body_without_end_is_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The memory of the process is not the server's to fill."""
        monkeypatch.setattr(module, "_LARGEST_ANSWER_BYTES", 1 << 20)
        async with serving(flood) as transport:
            with pytest.raises(ProtocolError, match="larger than 1 MiB") as caught:
                await post(transport)

        assert caught.value.data.should_retry is False

    async def test_a_cancelled_call_frees_its_connection(self) -> None:
        """Whoever gives up leaves no socket behind."""
        async with serving(hang) as transport:
            calls = [asyncio.create_task(post(transport)) for _ in range(10)]
            await asyncio.sleep(0.1)
            for call in calls:
                call.cancel()

            await asyncio.wait(calls)

            assert all(call.cancelled() for call in calls)
            assert transport.gate.in_use == 0

    async def test_closing_ends_the_calls_in_flight(self) -> None:
        """They fail at once, and `closed` says that it was our doing."""
        async with serving(hang) as transport:
            call = asyncio.create_task(post(transport))
            await asyncio.sleep(0.1)
            await transport.aclose()

            with pytest.raises(Exception, match=r"closed|disconnected"):
                await asyncio.wait_for(call, 5.0)

            assert transport.closed

    async def test_the_key_is_not_shown(self) -> None:
        """A transport may be logged."""
        async with serving(hang) as transport:
            assert "secret-key" not in repr(transport)


class TestHandshakes:
    async def test_a_thousand_first_calls_do_not_shake_hands_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Connections are opened some hundreds at a time, and a cancelled one frees its turn."""
        under_way = peak = 0

        async def slow(*_: object) -> None:
            nonlocal under_way, peak
            under_way += 1
            peak = max(peak, under_way)
            try:
                await asyncio.sleep(0.01)
            finally:
                under_way -= 1

            raise ConnectionRefusedError

        monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", slow)
        transport = AiohttpTransport(ProviderSettings(base_url="http://127.0.0.1:9"), {})

        async def call() -> None:
            async with transport.post("/x", b"{}"):
                pass

        tasks = [asyncio.create_task(call()) for _ in range(1_000)]
        await asyncio.sleep(0.005)
        for task in tasks[::3]:
            task.cancel()

        await asyncio.wait(tasks)
        await transport.aclose()

        assert (0, 256) == (under_way, peak)
        for task in tasks:
            assert task.cancelled() or isinstance(task.exception(), OSError)
