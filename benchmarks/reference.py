"""The least a call can cost in this language: aiohttp and orjson, and nothing around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import orjson

from benchmarks.measuring import Cost, drive, measure

__all__ = ("BareCall", "bare_caller", "bare_calls")

BareCall = Callable[[bytes], Awaitable[str]]
"""Posts a body and returns the answer's text."""


@asynccontextmanager
async def bare_caller(base_url: str) -> AsyncIterator[BareCall]:
    """Open a session, set up as lean as aiohttp allows, and return the call over it."""
    url = f"{base_url}/chat/completions"
    headers = {"Content-Type": "application/json", "Authorization": "Bearer unused"}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers=headers,
    ) as session:

        async def call(body: bytes) -> str:
            async with session.post(url, data=body) as response:
                answer = orjson.loads(await response.read())

            return str(answer["choices"][0]["message"]["content"])

        yield call


async def bare_calls(call: BareCall, model: str, *, calls: int, in_flight: int) -> Cost:
    """Make so many calls of the size that a small prompt has, and return what they took."""
    body = _body(model)
    bodies = (body for _ in range(calls))
    return await measure(calls, lambda: drive(call, bodies, in_flight=in_flight))


def _body(model: str) -> bytes:
    return orjson.dumps(
        {
            "model": model,
            "messages": [
                {"role": "system", "content": "Answer the question. " * 40},
                {"role": "user", "content": "[[ ## question ## ]]\nWhat is 2 + 2? " + "x" * 200},
            ],
        }
    )
