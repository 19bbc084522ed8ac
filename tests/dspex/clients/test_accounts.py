"""What a run says it used and paid is what the servers say: to the token and to the cent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import orjson
from aiohttp.test_utils import TestClient, TestServer

from dspex import effects
from dspex.clients.batch import BatchSettings
from dspex.clients.limits.spending import budget
from dspex.config import CacheSettings, ModelPrice, ProviderSettings
from dspex.errors import ProviderError
from dspex.messages import Message, Request, StreamEnd
from dspex.runtime import Runtime
from dspex.sandbox import MODEL_ID, Batching, Faults, Script, create_app
from dspex.usage import Usage, UsageMeter

PRICE = ModelPrice(
    input_usd_per_million_tokens=3,
    output_usd_per_million_tokens=15,
    cache_read_usd_per_million_tokens=0.3,
)


def ask(text: str, **changes: Any) -> Request:
    return Request((Message("user", text * 20),), **changes)


@asynccontextmanager
async def sandbox(script: Script) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(create_app(script=script))) as server:
        yield server


async def wires(server: TestClient[Any, Any]) -> dict[str, dict[str, Any]]:
    async with server.get("/stats") as response:
        found: dict[str, dict[str, Any]] = orjson.loads(await response.read())["wires"]

    return found


def cost(usage: Usage) -> Decimal:
    """Compute by hand what a usage costs live."""
    plain = usage.input_tokens - usage.cache_read_tokens
    micros = 3 * plain + Decimal("0.3") * usage.cache_read_tokens + 15 * usage.output_tokens
    return micros / 1_000_000


async def test_a_mixed_run_adds_up() -> None:
    """Cached, retried, failed, streamed and batched calls: every token is counted once."""
    script = Script(
        seed=7,
        faults=Faults(server_error=0.2, unavailable=0.1, reset=0.1),
        batch=Batching(failed=0.2),
        cached_share=0.5,
    )
    streamed, meter = UsageMeter(), UsageMeter(by_model=True)
    live, batched = UsageMeter(meter), UsageMeter(meter)
    async with sandbox(script) as server:
        provider = ProviderSettings(
            base_url=str(server.make_url("/v1")), prices={MODEL_ID: PRICE}, max_retries=2
        )
        async with Runtime(
            providers={"sandbox": provider}, log="off", cache=CacheSettings()
        ) as runtime:
            client = runtime.client(f"sandbox/{MODEL_ID}")
            queued = runtime.batch(
                f"sandbox/{MODEL_ID}", settings=BatchSettings(max_wait_s=0.05, poll_s=0.02)
            )

            async def complete(n: int) -> None:
                with effects.scope(meter=live):
                    await client.complete(ask(f"live {n % 30}"))

            async def stream(n: int) -> None:
                with effects.scope(meter=UsageMeter(live)) as place:
                    async for event in client.stream(ask(f"streamed {n}")):
                        if isinstance(event, StreamEnd) and place.meter is not None:
                            streamed.add(event.response.usage)

            async def batch(n: int) -> None:
                with effects.scope(meter=batched):
                    await queued.complete(ask(f"batched {n}"), cache="off")

            with budget(usd=100) as purse:
                async with asyncio.TaskGroup() as group:
                    for n in range(50):
                        for way in (complete, stream, batch):
                            group.create_task(_quietly(way(n)))

        told = await wires(server)

    chat, lines = told["openai_chat"], told["openai_batches"]
    assert (chat["prompt_tokens"], chat["completion_tokens"]) == (
        live.total.input_tokens,
        live.total.output_tokens,
    )
    assert (lines["billed_input_tokens"], lines["billed_output_tokens"]) == (
        batched.total.input_tokens,
        batched.total.output_tokens,
    )
    assert live.total.cost_usd == cost(live.total)
    assert batched.total.cost_usd == cost(batched.total) / 2
    assert meter.usage_by_model == {f"sandbox/{MODEL_ID}": meter.total}
    assert meter.total == live.total + batched.total
    # The run met what it was meant to meet.
    assert live.total.cache_hits > 0
    assert live.total.failed_attempts > 10
    assert streamed.total.output_tokens > 0
    assert 0 < batched.total.failed_attempts < 50
    # The purse counts what may have been paid for as paid, and so never less than the meter.
    used = purse.statistics().used_usd
    assert used is not None
    assert meter.total.cost_usd is not None
    assert meter.total.cost_usd <= used


async def _quietly(call: Any) -> None:
    try:
        await call
    except ProviderError:
        return
