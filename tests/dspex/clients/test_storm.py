"""Thousands of calls at once against a provider that takes some hundreds a second."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from dspex import effects
from dspex.messages import Message, Request
from tests.support.project import ROOT
from tests.support.sockets import runtime_at

CALLS = int(os.environ.get("STORM_CALLS", "1000"))
PER_S = 500.0


@asynccontextmanager
async def counting_server(per_s: float, burst: float) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.counting", str(per_s), str(burst)),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()
        # asyncio closes the pipe with the last of its output.
        await process.stdout.read()


async def counts(port: int) -> dict[str, int]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/counts") as response,
    ):
        found: dict[str, int] = await response.json()

    return found


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_a_storm_of_refusals_is_ridden_out() -> None:
    """Nothing is lost, and after the first refusal hardly more is sent than is still owed."""
    burst = PER_S / 5
    async with counting_server(PER_S, burst) as port, runtime_at(port) as runtime:
        client = runtime.client()
        loop = asyncio.get_running_loop()
        began = loop.time()
        responses = await effects.map(
            lambda n: client.complete(Request((Message("user", str(n)),))),
            range(CALLS),
            max_concurrency=CALLS,
        )
        took_s = loop.time() - began
        seen = await counts(port)
        statistics = client.endpoint.statistics()

    owed = CALLS - seen["served_before"]
    sent = seen["served"] - seen["served_before"] + seen["refused"]
    assert ["yes"] * CALLS == [response.text for response in responses]
    assert CALLS == seen["served"]
    # Up to 256 connections are being opened when the first refusal comes.
    assert sent <= 1.1 * owed + 256, f"{took_s:.1f} s, {seen}, {statistics.quota}"
    assert all(breaker.state == "closed" for breaker in statistics.breakers.values())
