"""Every provider's wire through the whole pipeline, over real sockets, in good days and bad."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from aiohttp.test_utils import TestServer

from dspex.clients.breaker.endpoint_breaker import BreakerStatistics
from dspex.config import ProviderSettings
from dspex.effects import Effect, LiveGate, scope
from dspex.errors import (
    AuthError,
    ContextWindowExceeded,
    InvalidRequest,
    ProtocolError,
    ProviderError,
    ProviderTimeout,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
    ServerError,
    TransportError,
    UnsupportedFeature,
)
from dspex.messages import EmbedRequest, Message, Request, Sampling, StreamEnd, TextDelta
from dspex.runtime import Runtime
from dspex.sandbox import Fault, Script, create_app

PATHS = {
    "openai-chat": "/v1",
    "openai-responses": "/v1",
    "anthropic-messages": "/v1",
    "gemini": "/v1beta",
    "cohere": "/v2",
}
WIRES = sorted(PATHS)
EMBEDDING_WIRES = ["cohere", "gemini", "openai-chat"]


@asynccontextmanager
async def on_sandbox(
    wire: str, *, cache: bool = False, script: Script | None = None, **settings: Any
) -> AsyncIterator[Runtime]:
    """Open a runtime whose provider speaks `wire` to a sandbox in this loop."""
    told = replace(script or Script(answer="yes"), models=("model", "vectors"))
    async with TestServer(create_app(script=told)) as server:
        provider = ProviderSettings(
            wire=wire, base_url=str(server.make_url(PATHS[wire])), api_key="sk-0123", **settings
        )
        more: dict[str, Any] = {} if cache else {"cache": None}
        async with Runtime(
            default="p/model", providers={"p": provider}, log="off", **more
        ) as runtime:
            yield runtime


def ask(text: str = "hi") -> Request:
    return Request((Message("user", text),), sampling=Sampling(max_tokens=50))


def breaker_of(runtime: Runtime) -> BreakerStatistics:
    [found] = runtime.statistics().endpoints["p"].breakers.values()
    return found


@pytest.mark.parametrize("wire", WIRES)
class TestEveryWire:
    async def test_completes(self, wire: str) -> None:
        """An answer with its text and its usage."""
        async with on_sandbox(wire) as runtime:
            response = await runtime.client().complete(ask())

        assert ("yes", "p") == (response.text, response.endpoint)
        assert response.usage.input_tokens > 0

    async def test_streams(self, wire: str) -> None:
        """Pieces, and an end that holds the whole."""
        async with on_sandbox(wire) as runtime:
            events = [event async for event in runtime.client().stream(ask())]

        assert "yes" == "".join(event.text for event in events if isinstance(event, TextDelta))
        assert isinstance(events[-1], StreamEnd)
        assert "yes" == events[-1].response.text

    async def test_one_failure_costs_no_answer(self, wire: str) -> None:
        """Overloaded once, then well: each provider's own way of saying so is understood."""
        script = Script(answer="yes", opening=("overloaded",))
        async with on_sandbox(wire, script=script) as runtime:
            response = await runtime.client().complete(ask())

        assert ("yes", ["server"]) == (
            response.text,
            [attempt.error.kind for attempt in response.attempts],
        )

    async def test_the_key_goes_where_it_belongs_and_nowhere_else(self, wire: str) -> None:
        """A server that wants the key gets it; nothing that may be printed holds it."""
        script = Script(answer="yes", api_key="sk-0123")
        async with on_sandbox(wire, script=script) as runtime:
            client = runtime.client()
            await client.complete(ask())

            assert "sk-0123" not in repr(runtime) + repr(client.endpoint) + repr(runtime.settings)


class Row(NamedTuple):
    fault: Fault
    error: type[ProviderError]
    tries: int
    breaker: str


ROWS = [
    Row("rate_limited", RateLimited, 2, "ignore"),
    Row("quota_exhausted", QuotaExhausted, 1, "trip"),
    Row("overloaded", ServerError, 2, "failure"),
    Row("server_error", ServerError, 2, "failure"),
    Row("bad_gateway", ServerError, 2, "failure"),
    Row("gateway_timeout", ServerError, 2, "failure"),
    Row("request_timeout", ServerError, 2, "failure"),
    Row("conflict", ServerError, 2, "ignore"),
    Row("unauthorized", AuthError, 1, "trip"),
    Row("forbidden", AuthError, 1, "trip"),
    Row("not_found", InvalidRequest, 1, "ignore"),
    Row("context_window", ContextWindowExceeded, 1, "ignore"),
    Row("too_large", RequestTooLarge, 1, "ignore"),
    Row("html_error", ServerError, 2, "failure"),
    Row("malformed_json", ProtocolError, 2, "failure"),
    Row("reset", TransportError, 2, "failure"),
    Row("stall", ProviderTimeout, 2, "failure"),
]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.fault)
async def test_what_follows_a_failure(row: Row, wire: str) -> None:
    """Its class, whether it is tried again, and what the breaker makes of it: on every wire."""
    script = Script(answer="yes", opening=(row.fault,) * 5, retry_after_s=0.01, stall_s=5.0)
    async with on_sandbox(wire, script=script, max_retries=1, attempt_timeout_s=0.2) as runtime:
        with pytest.raises(row.error) as caught:
            await runtime.client().complete(ask())

        found = breaker_of(runtime)

    assert row.tries == len(caught.value.attempts)
    assert {
        "ignore": ("closed", 0),
        "failure": ("closed", 2),
        "trip": ("open", 0),
    }[row.breaker] == (found.state, found.calls)


class TestEmbed:
    @pytest.mark.parametrize("wire", EMBEDDING_WIRES)
    async def test_one_vector_for_each_text(self, wire: str) -> None:
        """In the order of the texts; equal texts have equal vectors."""
        async with on_sandbox(wire) as runtime:
            client = runtime.client("p/vectors")
            response = await client.embed(["one", "two", "one"])

        first, second, third = response.vectors
        assert first == third != second
        assert ("p", 1) == (response.endpoint, response.usage.calls)

    async def test_equal_calls_ask_once(self) -> None:
        """Vectors are cached like answers."""
        async with on_sandbox("openai-chat", cache=True) as runtime:
            client = runtime.client("p/vectors")
            first = await client.embed(["one"])
            again = await client.embed(EmbedRequest(("one",)))
            other = await client.embed(["two"])

        assert (False, True, False) == (first.cached, again.cached, other.cached)
        assert first.vectors == again.vectors

    async def test_a_failed_try_is_repeated(self) -> None:
        """With the same rules as any call."""
        script = Script(opening=("server_error",))
        async with on_sandbox("openai-chat", script=script) as runtime:
            response = await runtime.client("p/vectors").embed(["one"])
            statistics = runtime.statistics().endpoints["p"]

        assert 1 == len(response.attempts)
        assert (1, 0, 1) == (statistics.succeeded, statistics.in_flight, statistics.latency.count)

    async def test_a_wire_without_embeddings_says_so(self) -> None:
        """Before anything is sent."""
        async with on_sandbox("anthropic-messages") as runtime:
            with pytest.raises(UnsupportedFeature, match=r"p has no embeddings.*anthropic"):
                await runtime.client().embed(["one"])

    async def test_goes_through_the_gate(self) -> None:
        """What a job replays it must have recorded."""

        class Recording(LiveGate):
            kinds: list[str] = []  # noqa: RUF012 - this one class is this test's

            async def call(self, effect: Effect[Any]) -> Any:
                self.kinds.append(effect.kind)
                response = await effect.run()
                assert effect.decode(effect.encode(response)).vectors == response.vectors
                return response

        gate = Recording()
        async with on_sandbox("openai-chat") as runtime:
            with scope(gate=gate):
                await runtime.client("p/vectors").embed(["one"])

        assert ["embed"] == gate.kinds
