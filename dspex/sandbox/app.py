"""The sandbox as an HTTP application: a model on OpenAI's chat wire, under a script."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import orjson
from aiohttp import web

from dspex.errors import SandboxError
from dspex.sandbox.delivery import (
    JSON,
    STATUS_FAULTS,
    Payload,
    abort,
    deliver,
    deliver_half,
    failure,
)
from dspex.sandbox.ledger import Ledger
from dspex.sandbox.model import MODEL_ID, SandboxModel
from dspex.sandbox.request import ChatRequest, RequestError, parse_chat_request
from dspex.sandbox.script import Fault, RateWindow, Script, admit
from dspex.sandbox.wire import Choice, completion_body, error_body, stream_frames

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("create_app",)

_MAX_BODY_BYTES: Final = 256 * 1024 * 1024
_GARBAGE: Final = b"<html><body>upstream said something else</body></html>"
_CHARS_PER_TOKEN: Final = 4


@dataclass(slots=True)
class _State:
    """The one mutable thing of an application."""

    model: SandboxModel
    model_seed: int
    clock: Callable[[], float] | None
    script: Script
    number: int = 0
    window: RateWindow = field(default_factory=RateWindow)
    ledger: Ledger = field(default_factory=Ledger)

    def install(self, script: Script) -> None:
        """Start `script` from its first request."""
        self.script = script
        self.number = 0
        self.window = RateWindow()

    def next_number(self) -> int:
        """Return the number of the next request under the current script."""
        number = self.number
        self.number += 1
        return number

    def over_limit_s(self, script: Script) -> float:
        """Count a request against the rate limit; return 0, or the seconds it has to wait."""
        if script.rate_limit is None:
            return 0.0

        clock = asyncio.get_running_loop().time if self.clock is None else self.clock
        self.window, wait_s = admit(script.rate_limit, self.window, clock())
        return wait_s


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the model said, ready to be sent, and what it took."""

    payload: Payload
    prompt_tokens: int
    completion_tokens: int


_STATE: Final = web.AppKey("state", _State)


def create_app(
    *,
    script: Script | None = None,
    model: SandboxModel | None = None,
    model_seed: int = 0,
    clock: Callable[[], float] | None = None,
) -> web.Application:
    """Return an application that serves `model` under `script`.

    Requests without a `seed` use `model_seed`. `clock` gives seconds for the rate limit; the loop's
    own time is the default.

    Routes: POST /v1/chat/completions, GET /v1/models, GET /health, GET and DELETE /stats, GET and
    POST /script. Serve it with `handler_cancellation=True`, so that a client that hangs up is
    counted as gone at once.
    """
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app[_STATE] = _State(
        model=SandboxModel() if model is None else model,
        model_seed=model_seed,
        clock=clock,
        script=Script() if script is None else script,
    )
    app.router.add_post("/v1/chat/completions", _chat)
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/health", _health)
    app.router.add_get("/stats", _stats)
    app.router.add_delete("/stats", _reset_stats)
    app.router.add_get("/script", _read_script)
    app.router.add_post("/script", _write_script)
    return app


async def _chat(request: web.Request) -> web.StreamResponse:
    """Answer one chat completion, or show what the script plans for it instead."""
    state = request.app[_STATE]
    state.ledger.enter()
    try:
        return await _respond(request, state)
    except RequestError as exc:
        state.ledger.bad_requests += 1
        return web.Response(body=exc.body(), status=exc.status, content_type=JSON)
    except (asyncio.CancelledError, ConnectionError):
        state.ledger.disconnected += 1
        raise
    finally:
        state.ledger.in_flight -= 1


async def _respond(request: web.Request, state: _State) -> web.StreamResponse:
    """Follow the plan for this request; one in bad order or over the limit takes no number."""
    script = state.script
    wanted = _checked(await request.read())
    if wait_s := state.over_limit_s(script):
        state.ledger.over_rate_limit += 1
        return failure("rate_limited", wait_s)

    plan = script.plan(state.next_number())
    if plan.fault != "reset" and plan.latency_s:
        await asyncio.sleep(plan.latency_s)

    if plan.fault is None:
        answer = _complete(state, wanted, script)
        response = await deliver(request, answer.payload)
        state.ledger.settle(answer.prompt_tokens, answer.completion_tokens)
        return response

    response = await _show(plan.fault, request, state, wanted, script)
    state.ledger.faults[plan.fault] += 1
    return response


async def _show(
    fault: Fault, request: web.Request, state: _State, wanted: ChatRequest, script: Script
) -> web.StreamResponse:
    """Do to the request what `fault` says."""
    if fault in STATUS_FAULTS:
        return failure(fault, script.retry_after_s)

    if fault == "garbage":
        return web.Response(body=_GARBAGE, content_type=JSON)

    if fault == "reset":
        return abort(request, web.Response())

    silence_s = script.stall_s if fault == "stall" else 0.0
    return await deliver_half(request, _complete(state, wanted, script).payload, silence_s)


def _checked(raw: bytes) -> ChatRequest:
    """Read a request body and make sure that it asks for the one model there is."""
    wanted = parse_chat_request(raw)
    if wanted.model != MODEL_ID:
        raise RequestError(
            f"The model {wanted.model!r} does not exist; the sandbox serves {MODEL_ID!r}",
            status=404,
            param="model",
            code="model_not_found",
        )

    return wanted


def _complete(state: _State, wanted: ChatRequest, script: Script) -> _Answer:
    """Ask the model for every choice and put the answer into the wire's form."""
    seed = state.model_seed if wanted.seed is None else wanted.seed
    choices: list[Choice] = []
    prompt_tokens = 0
    for sample in range(wanted.choices):
        text, prompt_tokens = _text(state.model, wanted, script, seed, sample)
        choices.append(_limited(text, wanted.max_tokens))

    usage = (prompt_tokens, sum(_tokens(choice.text) for choice in choices))
    identity = f"chatcmpl-sandbox-{state.ledger.requests}"
    if wanted.stream:
        shown = usage if wanted.include_usage else None
        pieces = list(stream_frames(identity, wanted.model, choices, shown))
        return _Answer(Payload(pieces, streamed=True, interval_s=script.chunk_interval_s), *usage)

    body = completion_body(identity, wanted.model, choices, usage)
    return _Answer(Payload([body], streamed=False), *usage)


def _text(
    model: SandboxModel, wanted: ChatRequest, script: Script, seed: int, sample: int
) -> tuple[str, int]:
    """Return one answer and the prompt's tokens: the script's answer if it has one."""
    if script.answer is not None:
        return script.answer, sum(_tokens(message["content"]) for message in wanted.messages)

    answer = model.complete(
        wanted.messages,
        temperature=wanted.temperature,
        seed=seed,
        sample=sample,
        schema=wanted.schema,
    )
    return answer.text, answer.prompt_tokens


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARS_PER_TOKEN)


def _limited(text: str, max_tokens: int | None) -> Choice:
    """Cut a text that is longer than the caller allows."""
    if max_tokens is None or _tokens(text) <= max_tokens:
        return Choice(text, "stop")

    return Choice(text[: max_tokens * _CHARS_PER_TOKEN], "length")


async def _models(request: web.Request) -> web.Response:
    model = {"id": MODEL_ID, "object": "model", "created": 0, "owned_by": "sandbox"}
    return _json({"object": "list", "data": [model]})


async def _health(request: web.Request) -> web.Response:
    return _json({"status": "ok"})


async def _stats(request: web.Request) -> web.Response:
    return _json(request.app[_STATE].ledger.to_dict())


async def _reset_stats(request: web.Request) -> web.Response:
    state = request.app[_STATE]
    state.ledger = state.ledger.restarted()
    return await _stats(request)


async def _read_script(request: web.Request) -> web.Response:
    text = request.app[_STATE].script.to_json()
    return web.Response(body=text.encode(), content_type=JSON)


async def _write_script(request: web.Request) -> web.Response:
    """Install the script in the body; its requests are counted from 0 again."""
    try:
        script = Script.from_json(await request.read())
    except SandboxError as exc:
        body = error_body(str(exc), kind="invalid_request_error", code="invalid_script")
        return web.Response(body=body, status=400, content_type=JSON)

    request.app[_STATE].install(script)
    return await _read_script(request)


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type=JSON)
