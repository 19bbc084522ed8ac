"""The scripted transport behaves like one on sockets where the pipeline can tell."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from dspex.config import ProviderSettings
from dspex.testing import FakeReply, FakeTransport, chat_reply

pytestmark = pytest.mark.virtual_time


async def read(transport: FakeTransport, body: bytes = b"{}") -> bytes:
    async with transport.post("/chat/completions", body) as reply:
        return await reply.read()


async def start(transport: FakeTransport) -> asyncio.Task[None]:
    up: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    child = asyncio.create_task(transport.session(ProviderSettings(), {}, ready=up.set_result))
    assert await up is transport
    return child


async def end(child: asyncio.Task[None]) -> None:
    child.cancel()
    await asyncio.wait([child])


class TestFakeTransport:
    async def test_takes_as_long_as_the_script_says(self) -> None:
        """The head after its delay, the body with its pauses."""
        transport = FakeTransport(lambda _: FakeReply(parts=(b"a", 2.0, b"b"), delay_s=3.0))
        began = asyncio.get_running_loop().time()

        assert b"ab" == await read(transport)
        assert asyncio.get_running_loop().time() - began == pytest.approx(5.0)

    @pytest.mark.parametrize(
        "reply", [chat_reply("late", delay_s=1e6), FakeReply(parts=(b"half", 1e6))]
    )
    async def test_the_end_of_the_session_breaks_what_waits(self, reply: FakeReply) -> None:
        """As closing the sockets does; a new session starts clean."""
        transport = FakeTransport(lambda _: reply)
        child = await start(transport)
        call = asyncio.create_task(read(transport))
        await asyncio.sleep(1.0)

        await end(child)

        with pytest.raises(aiohttp.ClientConnectionError):
            await call

        assert (True, 0) == (transport.closed, transport.in_flight)
        child = await start(transport)
        assert not transport.closed
        await end(child)

    async def test_a_cancelled_call_leaves_nothing(self) -> None:
        """Neither in flight nor waiting for a time to come."""
        transport = FakeTransport(lambda _: chat_reply("late", delay_s=1e6))
        call = asyncio.create_task(read(transport))
        await asyncio.sleep(1.0)

        call.cancel()
        await asyncio.wait([call])

        assert transport.in_flight == 0

    async def test_reads_what_any_json_body_says(self) -> None:
        """Half a surrogate pair arrives as it was sent."""
        transport = FakeTransport(lambda _: chat_reply("yes"))

        await read(transport, json.dumps({"text": "\ud800"}).encode())

        assert [{"text": "\ud800"}] == transport.requests

    async def test_an_exception_in_the_script_is_raised_where_it_stands(self) -> None:
        """Before the head, or in the middle of the body."""
        with pytest.raises(OSError, match="refused"):
            await read(FakeTransport(lambda _: OSError("refused")))

        parts = (b"half", aiohttp.ClientPayloadError("cut"))
        with pytest.raises(aiohttp.ClientPayloadError):
            await read(FakeTransport(lambda _: FakeReply(parts=parts)))
