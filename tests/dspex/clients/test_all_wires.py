"""All five wires from end to end: a runtime, real sockets, and a server that counts for itself."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from dspex.clients.client import Client
from dspex.config import CacheSettings, ProviderSettings
from dspex.errors import (
    ContentFiltered,
    ContextWindowExceeded,
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
    FinishReason,
    Message,
    Request,
    Response,
    ResponseFormat,
    Sampling,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolSpec,
)
from dspex.runtime import Runtime
from dspex.sandbox import Damage, Fault, Reasoning, Script, ScriptedCall, ToolTurn, create_app
from dspex.telemetry.events import EVENTS
from tests.support.sockets import deaf_port, raw_server

PATHS = {
    "openai-chat": "/v1",
    "openai-responses": "/v1",
    "anthropic-messages": "/v1",
    "gemini": "/v1beta",
    "cohere": "/v2",
}
WIRES = sorted(PATHS)
LEDGERS = {
    "openai-chat": "openai_chat",
    "openai-responses": "openai_responses",
    "anthropic-messages": "anthropic",
    "gemini": "gemini",
    "cohere": "cohere",
}
KEY = "key-0123456789-abcdef"
ANSWER = "It is four, which is the sum of two and two. " * 3
every_wire = pytest.mark.parametrize("wire", WIRES)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


class AtOnce:
    """The jitter of a retry that waits for nothing."""

    def uniform(self, low: float, high: float) -> float:
        return low


@dataclass(frozen=True)
class Place:
    """A runtime with one provider, and the server behind it."""

    runtime: Runtime
    client: Client
    server: TestClient[Any, Any]
    wire: str

    async def ledger(self) -> dict[str, Any]:
        async with self.server.get("/stats") as response:
            told = orjson.loads(await response.read())

        found: dict[str, Any] = told["wires"].get(LEDGERS[self.wire], told)
        return found


@asynccontextmanager
async def at(
    wire: str,
    script: Script | None = None,
    *,
    app: web.Application | None = None,
    cache: bool = False,
    **settings: Any,
) -> AsyncIterator[Place]:
    told = replace(script or Script(answer=ANSWER), models=("model",))
    async with TestClient(TestServer(app or create_app(script=told))) as server:
        base_url = settings.pop("base_url", None) or str(server.make_url(PATHS[wire]))
        provider = ProviderSettings(wire=wire, base_url=base_url, api_key=KEY, **settings)
        async with Runtime(
            default="p/model",
            providers={"p": provider},
            log="off",
            cache=CacheSettings() if cache else None,
        ) as runtime:
            client = runtime.client()
            client.endpoint.rng = AtOnce()  # type: ignore[assignment]
            yield Place(runtime, client, server, wire)
            statistics = client.endpoint.statistics()
            assert statistics.in_flight == 0
            assert statistics.connections is None or statistics.connections.in_use == 0


def ask(text: str = "hi there", **changes: Any) -> Request:
    changes.setdefault("sampling", Sampling(max_tokens=2_000))
    return Request((Message("system", "Be kind."), Message("user", text)), **changes)


async def respond(client: Client, request: Request, *, stream: bool) -> Response:
    """Return the answer, asked for whole or in pieces, which must add up to it."""
    if not stream:
        return await client.complete(request)

    events = [event async for event in client.stream(request)]
    first, *deltas, last = events
    assert isinstance(first, StreamStart)
    assert isinstance(last, StreamEnd)
    assert not any(isinstance(event, StreamStart | StreamEnd) for event in deltas)
    pieces = [e for e in deltas if isinstance(e, TextDelta) and e.choice == 0 and not e.reasoning]
    assert "".join(piece.text for piece in pieces) == last.response.text
    return last.response


@every_wire
@both_ways
class TestUsage:
    """To the token, by the server's own count."""

    async def test_is_the_servers(self, wire: str, *, stream: bool) -> None:
        """Cached input and thinking included."""
        script = Script(answer=ANSWER, cached_share=0.5, reasoning=Reasoning(text="Let me see."))
        sampling = Sampling(max_tokens=4_000, reasoning_tokens=1_024)
        async with at(wire, script) as place:
            response = await respond(place.client, ask(sampling=sampling), stream=stream)
            told = await place.ledger()

        usage = response.usage
        assert (told["billed_input_tokens"], told["billed_output_tokens"]) == (
            usage.input_tokens,
            usage.output_tokens,
        )
        assert 0 < usage.cache_read_tokens < usage.input_tokens
        assert ANSWER == response.text
        # OpenAI's wires bound no thinking; Cohere does not say how much of the output it was.
        assert (wire in {"anthropic-messages", "gemini"}) == (usage.reasoning_tokens > 0)

    async def test_a_retried_call_is_paid_once(self, wire: str, *, stream: bool) -> None:
        """What failed before the answer was free, and is counted as tries."""
        script = Script(answer=ANSWER, opening=("unavailable", "reset"))
        async with at(wire, script) as place:
            response = await respond(place.client, ask(), stream=stream)
            told = await place.ledger()

        assert (3, 1, 2) == (told["requests"], told["completed"], response.usage.failed_attempts)
        assert told["billed_output_tokens"] == response.usage.output_tokens

    async def test_a_cached_answer_is_not_paid_again(self, wire: str, *, stream: bool) -> None:
        """The second call asks nobody; a stream takes no part in the cache."""
        async with at(wire, cache=True) as place:
            await respond(place.client, ask(), stream=stream)
            again = await place.client.complete(ask())
            third = await place.client.complete(ask())
            told = await place.ledger()

        assert (again.cached, third.cached) == (not stream, True)
        assert (2 if stream else 1) == told["requests"]
        assert (0, 1) == (third.usage.output_tokens, third.usage.cache_hits)


ADD = ToolSpec(
    "add",
    "Add two numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)


@every_wire
@both_ways
async def test_a_conversation_with_tools(wire: str, *, stream: bool) -> None:
    """Calls, results (an error among them), thinking that goes back as it was signed, the end."""
    script = Script(
        reasoning=Reasoning(text="Tools, then."),
        tool_calls=(
            ToolTurn("", (ScriptedCall("add", {"a": 2, "b": "ü"}), ScriptedCall("add"))),
            ToolTurn("", (ScriptedCall("add", {"a": 4}),)),
            ToolTurn("Four."),
        ),
    )
    said = [Message("user", "2 + 2?")]
    seen: list[list[Any]] = []
    async with at(wire, script, max_retries=0) as place:
        for _ in range(3):
            request = Request(
                tuple(said),
                tools=(ADD,),
                sampling=Sampling(max_tokens=4_000, reasoning_tokens=1_024),
            )
            response = await respond(place.client, request, stream=stream)
            choice = response.choices[0]
            seen.append([orjson.loads(call.arguments) for call in choice.tool_calls])
            said.append(choice.to_message())
            for index, call in enumerate(choice.tool_calls):
                result = Message(
                    "tool", "4", tool_call_id=call.id, name=call.name, is_error=index == 1
                )
                said.append(result)

        told = await place.ledger()

    assert [[{"a": 2, "b": "ü"}, {}], [{"a": 4}], []] == seen
    assert (FinishReason.STOP, "Four.") == (response.finish_reason, response.text)
    assert (3, 3) == (told["requests"], told["completed"])


@every_wire
@both_ways
async def test_structured_output(wire: str, *, stream: bool) -> None:
    """What the schema asks for is what comes, with nothing left out of the request."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "size": {"type": "integer"}},
        "required": ["city", "size"],
        "additionalProperties": False,
    }
    async with at(wire, Script()) as place:
        request = ask(response_format=ResponseFormat("json_schema", "town", schema))
        response = await respond(place.client, request, stream=stream)

    found = orjson.loads(response.text)
    assert {"city": str, "size": int} == {name: type(value) for name, value in found.items()}
    assert "response_format" not in {param.name for param in response.dropped}


TAKEN = {
    "n": {"gemini", "openai-chat"},
    "stop": {"anthropic-messages", "cohere", "gemini", "openai-chat"},
    "seed": {"cohere", "gemini", "openai-chat"},
    "logprobs": {"cohere", "gemini", "openai-chat", "openai-responses"},
}


@every_wire
@both_ways
@pytest.mark.parametrize(
    ("name", "sampling"),
    [
        ("n", Sampling(n=3, max_tokens=100)),
        ("stop", Sampling(stop=("word",), max_tokens=100)),
        ("seed", Sampling(seed=7, max_tokens=100)),
        ("logprobs", Sampling(logprobs=True, max_tokens=100)),
    ],
    ids=TAKEN,
)
async def test_what_a_wire_takes(wire: str, name: str, sampling: Sampling, *, stream: bool) -> None:
    """It works, or it is left out and the response says so: nothing is lost in silence."""
    async with at(wire, Script(seed=3)) as place:
        response = await respond(place.client, ask("one two", sampling=sampling), stream=stream)

    dropped = {param.name for param in response.dropped}
    assert (name in dropped) == (wire not in TAKEN[name])
    if name in dropped:
        return

    choice = response.choices[0]
    assert (3 if name == "n" else 1) == len(response.choices)
    assert (name == "logprobs") == bool(choice.logprobs)
    assert name != "stop" or "word" not in choice.text


class Bad(NamedTuple):
    fault: Fault
    error: type[ProviderError] | None
    tries: int
    breaker: str = "failure"


WHOLE = [
    Bad("unavailable", ServerError, 2),
    Bad("garbage", ProtocolError, 2),
    Bad("html_page", ProtocolError, 2),
    Bad("malformed_event", ProtocolError, 2),
    Bad("stream_error", ServerError, 2),
    Bad("failed", ServerError, 2),
    Bad("cut", ProtocolError, 2),
    Bad("reset_body", ProtocolError, 2),
    Bad("stall_headers", ProviderTimeout, 2),
    Bad("wrong_type", None, 0, "success"),
    Bad("slow_drip", None, 0, "success"),
]
STREAMED = [
    # All of it comes in one piece with the damage, so that nothing had been handed on.
    Bad("malformed_event", ProtocolError, 2),
    Bad("stream_error", ServerError, 2),
    Bad("failed", ServerError, 2),
    Bad("garbage", ProtocolError, 2),
    Bad("html_page", ProtocolError, 2),
    Bad("stall_headers", ProviderTimeout, 2),
    Bad("overloaded", ServerError, 2),
    Bad("wrong_type", None, 0, "success"),
    Bad("slow_drip", None, 0, "success"),
    # Part of the answer is with the consumer: a second one must not follow it.
    Bad("cut", ProtocolError, 1),
    Bad("reset_body", ProtocolError, 1),
    Bad("stall", ProviderTimeout, 1),
]


async def outcome(place: Place, *, stream: bool) -> ProviderError | None:
    try:
        await respond(place.client, ask(), stream=stream)
    except ProviderError as error:
        return error

    return None


@every_wire
@pytest.mark.parametrize(
    ("stream", "bad"),
    [(False, bad) for bad in WHOLE] + [(True, bad) for bad in STREAMED],
    ids=[f"whole-{bad.fault}" for bad in WHOLE] + [f"streamed-{bad.fault}" for bad in STREAMED],
)
async def test_what_follows_damage(wire: str, bad: Bad, *, stream: bool) -> None:
    """What an answer that came to harm is taken for, and whether another is asked for."""
    script = Script(
        answer=ANSWER,
        opening=(bad.fault,) * 3,
        stall_s=5.0,
        damage=Damage(drip_bytes=200, drip_interval_s=0.001),
    )
    limits: dict[str, Any] = {
        "attempt_timeout_s": 0.3,
        "first_byte_timeout_s": 0.15,
        "idle_timeout_s": 0.15,
    }
    slow = bad.fault in {"stall", "stall_headers"}
    async with at(wire, script, max_retries=1, **limits if slow else {}) as place:
        error = await outcome(place, stream=stream)
        [breaker] = place.client.endpoint.statistics().breakers.values()

    if bad.error is None:
        assert error is None
        assert (1, 0) == (breaker.calls, breaker.consecutive_failures)
        return

    assert type(error) is bad.error, error
    assert bad.tries == len(error.attempts)
    assert (bad.tries == 1) == error.data.delivered
    assert (bad.tries, bad.tries) == (breaker.calls, breaker.consecutive_failures)


@every_wire
@pytest.mark.parametrize("fault", ["cut", "stall", "stream_error", "malformed_event", "reset_body"])
async def test_a_stream_that_broke_before_its_first_token_is_asked_again(
    wire: str, fault: Fault
) -> None:
    """Servers begin an answer before they know whether they can give it."""
    script = Script(
        answer=ANSWER,
        opening=(fault,),
        stall_s=5.0,
        damage=Damage(after_tokens=0),
        chunk_interval_s=0.001,
    )
    async with at(wire, script, idle_timeout_s=0.2, first_byte_timeout_s=0.2) as place:
        response = await respond(place.client, ask(), stream=True)

    assert (ANSWER, 1) == (response.text, len(response.attempts))


def openai_error(code: str, message: str = "m") -> Any:
    return {"error": {"message": message, "type": "x", "code": code}}


def google_error(status: str, code: int, *details: Any) -> Any:
    return {"error": {"code": code, "message": "m", "status": status, "details": list(details)}}


PER_DAY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}
SOON = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"}
STOPPED = {
    "type": "message",
    "role": "assistant",
    "content": [],
    "stop_reason": "model_context_window_exceeded",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


class Said(NamedTuple):
    wire: str
    status: int
    body: Any
    error: type[ProviderError]
    tries: int
    breaker: str
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody writes to it


SAID = {
    "per minute": Said(
        "gemini", 429, google_error("RESOURCE_EXHAUSTED", 429, SOON), RateLimited, 2, "ignore"
    ),
    "per day": Said(
        "gemini",
        429,
        google_error("RESOURCE_EXHAUSTED", 429, PER_DAY, SOON),
        QuotaExhausted,
        1,
        "trip",
    ),
    "503 of a rate": Said(
        "gemini", 503, google_error("RESOURCE_EXHAUSTED", 503, SOON), RateLimited, 2, "ignore"
    ),
    "too long a wait": Said(
        "openai-chat",
        429,
        openai_error("rate_limit_exceeded"),
        QuotaExhausted,
        1,
        "trip",
        {"Retry-After": "3600"},
    ),
    "empty purse, Moonshot": Said(
        "openai-chat",
        429,
        openai_error("exceeded_current_quota_error"),
        QuotaExhausted,
        1,
        "trip",
    ),
    "empty purse, Z.AI": Said("openai-chat", 429, openai_error("1113"), QuotaExhausted, 1, "trip"),
    "empty purse, Anthropic": Said(
        "anthropic-messages",
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "Your credit balance is too low"},
        },
        QuotaExhausted,
        1,
        "trip",
    ),
    "unknown parameter": Said(
        "openai-chat", 400, openai_error("unsupported_parameter"), InvalidRequest, 1, "ignore"
    ),
    "context, llama.cpp": Said(
        "openai-chat",
        400,
        {"error": {"code": 400, "message": "m", "type": "exceed_context_size_error"}},
        ContextWindowExceeded,
        1,
        "ignore",
    ),
    "context, in a good answer": Said(
        "anthropic-messages", 200, STOPPED, ContextWindowExceeded, 1, "ignore"
    ),
    "filter, by code": Said(
        "openai-chat", 400, openai_error("content_filter"), ContentFiltered, 1, "success"
    ),
    "filter, of the prompt": Said(
        "gemini",
        200,
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {}},
        ContentFiltered,
        1,
        "success",
    ),
    "failed by its rate": Said(
        "openai-responses",
        200,
        {
            "status": "failed",
            "error": {"code": "rate_limit_exceeded", "message": "m"},
            "output": [],
        },
        RateLimited,
        2,
        "ignore",
    ),
    "failed by its prompt": Said(
        "openai-responses",
        200,
        {"status": "failed", "error": {"code": "invalid_prompt", "message": "m"}, "output": []},
        InvalidRequest,
        1,
        "ignore",
    ),
    "loading": Said(
        "openai-chat",
        503,
        {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
        ServerError,
        2,
        "failure",
    ),
    "told not to": Said(
        "openai-chat",
        500,
        openai_error("x"),
        ServerError,
        1,
        "failure",
        {"x-should-retry": "false"},
    ),
    "told to": Said(
        "openai-chat",
        400,
        openai_error("x"),
        InvalidRequest,
        2,
        "ignore",
        {"x-should-retry": "true"},
    ),
    "no terminal event": Said("openai-chat", 200, {"choices": []}, ProtocolError, 2, "failure"),
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
async def test_what_a_provider_says(said: Said) -> None:
    """Rows of the table that only one provider has words for."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(said.body, status=said.status, headers=said.headers)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    async with at(said.wire, app=app, max_retries=1) as place:
        error = await outcome(place, stream=False)
        [breaker] = place.client.endpoint.statistics().breakers.values()

    assert type(error) is said.error, error
    assert said.tries == len(error.attempts)
    assert {
        "ignore": ("closed", 0, 0),
        "success": ("closed", 1, 0),
        "failure": ("closed", said.tries, said.tries),
        "trip": ("open", 0, 0),
    }[said.breaker] == (breaker.state, breaker.calls, breaker.consecutive_failures)


class TestNoConnection:
    """Rows without an answer: nobody to speak to, and nobody left to speak."""

    @every_wire
    async def test_refused(self, wire: str) -> None:
        """A closed port is a failure of the endpoint, and is tried again."""
        async with raw_server(nothing) as port:
            pass

        async with at(wire, base_url=f"http://127.0.0.1:{port}/v1", max_retries=1) as place:
            error = await outcome(place, stream=False)
            [breaker] = place.client.endpoint.statistics().breakers.values()

        assert type(error) is TransportError
        assert ("connect", 2, 2) == (
            error.data.stage,
            len(error.attempts),
            breaker.consecutive_failures,
        )

    async def test_no_such_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error names the host."""

        async def unknown(*_: object, **__: object) -> Any:
            raise OSError("Name or service not known")

        monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", unknown)
        async with at("cohere", base_url="http://no.such.host.invalid/v2", max_retries=0) as place:
            error = await outcome(place, stream=True)

        assert type(error) is TransportError
        assert "dns" == error.data.code
        assert "no.such.host.invalid" in str(error)

    async def test_deaf(self) -> None:
        """A port that takes no connection is waited for as long as a connection may take."""
        with deaf_port() as port:
            async with at(
                "gemini",
                base_url=f"http://127.0.0.1:{port}/v1beta",
                connect_timeout_s=0.05,
                max_retries=1,
            ) as place:
                error = await outcome(place, stream=False)

        assert type(error) is ProviderTimeout
        assert ("connect", 2) == (error.data.stage, len(error.attempts))

    @every_wire
    @both_ways
    async def test_cancelled(self, wire: str, *, stream: bool) -> None:
        """Our own doing: no verdict on the endpoint, and its connection is free at once."""
        script = Script(answer=ANSWER, opening=("stall",), stall_s=30.0)
        async with at(wire, script) as place:
            task = asyncio.create_task(respond(place.client, ask(), stream=stream))
            while not (await place.ledger())["in_flight"]:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            found = place.client.endpoint.statistics()
            assert found.connections is not None
            assert (0, 0, 0) == (
                found.connections.in_use,
                found.in_flight,
                sum(breaker.calls for breaker in found.breakers.values()),
            )
            async with asyncio.timeout(5):
                while not (await place.ledger())["disconnected"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)


async def nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Hang up."""


@every_wire
async def test_a_slow_reader_slows_the_server(wire: str) -> None:
    """What is not read is not taken from the socket: the server waits with the rest."""
    script = Script(answer="x" * (12 << 20))
    script = replace(script, stream=replace(script.stream, chunk_tokens=1 << 14))
    async with (
        at(wire, script) as place,
        aclosing(place.client.stream(ask(sampling=Sampling(max_tokens=1 << 24)))) as events,
    ):
        await anext(events)
        await asyncio.sleep(0.3)
        told = await place.ledger()
        assert (1, 0) == (told["in_flight"], told["completed"])
        rest = [event async for event in events]
        assert isinstance(rest[-1], StreamEnd)
        assert 12 << 20 == len(rest[-1].response.text)


@every_wire
async def test_the_key_is_nowhere(wire: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not in a repr, a log line, an event, an error, a traceback: even where a server says it."""
    caplog.set_level(logging.DEBUG)
    team = "team-0123456789"

    async def repeat(request: web.Request) -> web.Response:
        assert KEY in str(dict(request.headers))
        said = f"{dict(request.headers)} is no good"
        if (await request.read()).find(b"rubbish") > 0:
            return web.Response(text=said)

        return web.json_response({"error": {"message": said}, "message": said}, status=401)

    app = web.Application()
    app.router.add_post("/{path:.*}", repeat)
    told: list[str] = []
    async with at(wire, app=app, headers={"x-team": team}, max_retries=0) as place:
        place.runtime.bus.attach_many("test", EVENTS, lambda *said: told.append(repr(said)))
        for text in ("rubbish", "hi"):
            for stream in (False, True):
                with pytest.raises(ProviderError) as caught:
                    await respond(place.client, ask(text), stream=stream)

                error = caught.value
                told += [
                    repr(error),
                    str(error),
                    repr(error.data),
                    *traceback.format_exception(error),
                ]

        runtime = place.runtime
        told += map(repr, (runtime, runtime.settings, place.client, place.client.endpoint))
        told += [repr(place.client.endpoint.live_transport), repr(runtime.statistics())]

    everything = "\n".join([*told, caplog.text])
    assert "no good" in everything
    assert KEY not in everything
    assert team not in everything


VARIABLES = {
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL", "/v1"),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", ""),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", ""),
    "cohere": ("CO_API_KEY", "CO_API_URL", ""),
}


@pytest.mark.parametrize("provider", VARIABLES)
async def test_the_name_of_a_provider_is_all_it_takes(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its wire, its URL and its key come from the name and the variables its own library reads."""
    key_name, url_name, path = VARIABLES[provider]
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    script = Script(answer="yes", api_key=KEY, models=("model",))
    async with TestServer(create_app(script=script)) as server:
        monkeypatch.setenv(key_name, KEY)
        monkeypatch.setenv(url_name, str(server.make_url(path)))
        async with Runtime.from_env(default=f"{provider}/model", log="off", cache=None) as runtime:
            response = await runtime.client().complete(ask())

        table: dict[str, Any] = {provider: {"max_retries": 1}}
        async with Runtime.from_env(providers=table, log="off", cache=None) as runtime:
            again = await runtime.client(f"{provider}/model").complete(ask())

    assert ("yes", provider) == (response.text, response.endpoint)
    assert ("yes", provider) == (again.text, again.endpoint)
