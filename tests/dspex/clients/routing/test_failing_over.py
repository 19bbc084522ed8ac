"""Failing over between two real servers: what a caller sees, how much later, at what price."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer

from dspex import effects
from dspex.clients.routing.router import Router
from dspex.config import BreakerSettings, ProviderSettings
from dspex.errors import ProtocolError, ServerError
from dspex.messages import Message, Request, StreamEnd, TextDelta
from dspex.runtime import Runtime
from dspex.sandbox import MODEL_ID, Damage, Faults, Script, Streaming, create_app

TEXT = "word " * 100
GOOD = Script(answer=TEXT)


@dataclass(frozen=True)
class Pair:
    """A router over two servers."""

    router: Router
    primary: TestClient[Any, Any]
    secondary: TestClient[Any, Any]

    async def sent(self) -> tuple[int, int]:
        """Return how many requests each server has seen."""
        return await _requests(self.primary), await _requests(self.secondary)


@asynccontextmanager
async def pair(primary: Script, secondary: Script = GOOD, **settings: Any) -> AsyncIterator[Pair]:
    """Serve both, and route to the first one first."""
    quick = {"max_retries": 0, "first_byte_timeout_s": 0.3, "idle_timeout_s": 0.3}
    async with (
        TestClient(TestServer(create_app(script=primary))) as first,
        TestClient(TestServer(create_app(script=secondary))) as second,
    ):
        providers = {
            name: ProviderSettings(base_url=str(server.make_url("/v1")), **{**quick, **settings})
            for name, server in (("first", first), ("second", second))
        }
        async with Runtime(providers=providers, log="off", cache=None) as runtime:
            names = [f"{name}/{MODEL_ID}" for name in providers]
            yield Pair(runtime.client(names), first, second)


async def _requests(server: TestClient[Any, Any]) -> int:
    async with server.get("/stats") as response:
        found: int = orjson.loads(await response.read())["requests"]

    return found


def ask(text: str = "hi") -> Request:
    return Request((Message("user", text),))


async def read(router: Router) -> tuple[str, StreamEnd]:
    """Read one stream to its end."""
    text, end = "", None
    async for event in router.stream(ask()):
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, StreamEnd):
            end = event

    assert end is not None
    return text, end


class TestWhole:
    @pytest.mark.parametrize(
        "fault",
        [
            "server_error",
            "unavailable",
            "reset",
            "cut",
            "garbage",
            "malformed_json",
            "unauthorized",
        ],
    )
    async def test_the_second_server_answers(self, fault: str) -> None:
        """One request to each, and no more."""
        async with pair(Script(faults=Faults(**{fault: 1.0}))) as both:
            began_s = time.perf_counter()
            response = await both.router.complete(ask())
            took_s = time.perf_counter() - began_s

            assert (TEXT, "second") == (response.text, response.endpoint)
            assert (1, 1) == await both.sent()

        assert ["first"] == [tried.endpoint for tried in response.attempts]
        assert took_s < 1.0

    async def test_a_stall_costs_the_try_and_no_more(self) -> None:
        """The first server's time is bounded; the second answers at once."""
        async with pair(Script(faults=Faults(stall=1.0)), attempt_timeout_s=0.3) as both:
            response = await both.router.complete(ask())

            assert "second" == response.endpoint
            assert (1, 1) == await both.sent()

        assert 0.3 <= response.latency_s < 1.0

    async def test_both_down_is_one_error_with_both_tries(self) -> None:
        """The last one's, and everybody's in it."""
        down = Script(faults=Faults(unavailable=1.0))
        async with pair(down, down) as both:
            with pytest.raises(ServerError) as caught:
                await both.router.complete(ask())

            assert (1, 1) == await both.sent()

        assert ["first", "second"] == [tried.endpoint for tried in caught.value.attempts]

    async def test_an_outage_is_felt_once(self) -> None:
        """Of two hundred calls a handful meets the first server; none fails, none is sent twice."""
        breaker = BreakerSettings(consecutive_failures=5, recovery_s=60)
        async with pair(Script(faults=Faults(unavailable=1.0)), breaker=breaker) as both:
            responses = await effects.map(
                lambda n: both.router.complete(ask(str(n))), range(200), max_concurrency=8
            )
            failed, answered = await both.sent()

        assert {"second"} == {response.endpoint for response in responses}
        assert (True, 200) == (5 <= failed <= 5 + 8, answered)


class TestStream:
    @pytest.mark.parametrize("fault", ["server_error", "reset", "malformed_event", "stream_error"])
    async def test_before_the_first_token_the_second_server_answers(self, fault: str) -> None:
        """The caller sees one stream, whole."""
        damaged = Script(answer=TEXT, faults=Faults(**{fault: 1.0}), damage=Damage(after_tokens=0))
        async with pair(damaged) as both:
            text, end = await read(both.router)

            assert (1, 1) == await both.sent()

        assert TEXT == text == end.response.text
        assert ["first"] == [tried.endpoint for tried in end.response.attempts]

    @pytest.mark.parametrize("fault", ["cut", "malformed_event"])
    async def test_after_forty_tokens_the_stream_ends_in_its_error(self, fault: str) -> None:
        """What was handed on stands; the second server is not asked."""
        damaged = Script(
            answer=TEXT,
            faults=Faults(**{fault: 1.0}),
            damage=Damage(after_tokens=40),
            # What comes in one piece with what is broken is never handed on.
            stream=Streaming(tokens_per_s=500),
        )
        texts = list[str]()
        async with pair(damaged) as both:
            stream = both.router.stream(ask())
            with pytest.raises(ProtocolError) as caught:
                await _collect(stream, texts)

            assert (1, 0) == await both.sent()

        assert caught.value.data.delivered
        assert TEXT.startswith("".join(texts))
        assert len("".join(texts)) >= 100

    async def test_a_stall_before_the_first_token_fails_over(self) -> None:
        """After the time that a first token may take."""
        async with pair(Script(answer=TEXT, faults=Faults(stall_headers=1.0))) as both:
            began_s = time.perf_counter()
            text, _ = await read(both.router)
            took_s = time.perf_counter() - began_s

        assert TEXT == text
        assert 0.3 <= took_s < 1.2

    async def test_both_down_raises(self) -> None:
        """As a whole answer does."""
        down = Script(faults=Faults(unavailable=1.0))
        async with pair(down, down) as both:
            with pytest.raises(ServerError) as caught:
                await read(both.router)

        assert ["first", "second"] == [tried.endpoint for tried in caught.value.attempts]


async def _collect(stream: AsyncIterator[Any], texts: list[str]) -> None:
    async for event in stream:
        if isinstance(event, TextDelta):
            texts.append(event.text)  # noqa: PERF401 - what came before the error is wanted
