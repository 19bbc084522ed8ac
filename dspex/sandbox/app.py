"""The sandbox as an HTTP application: a model on five providers' wires, under a script."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import orjson
from aiohttp import web

from dspex.errors import SandboxError
from dspex.sandbox.anthropic_batches import ANTHROPIC_BATCH_ROUTES, ANTHROPIC_BATCHES
from dspex.sandbox.delivery import JSON
from dspex.sandbox.demands import chat_route, embedding_route, errand_route
from dspex.sandbox.embedding import EMBEDDING_ID
from dspex.sandbox.engine import STATE, serve
from dspex.sandbox.exchange import Problem
from dspex.sandbox.model import MODEL_ID, SandboxModel
from dspex.sandbox.openai_batches import OPENAI_BATCH_ROUTES, OPENAI_BATCHES
from dspex.sandbox.script import Script
from dspex.sandbox.state import State
from dspex.sandbox.wires import (
    ANTHROPIC,
    COHERE,
    COHERE_EMBEDDINGS,
    GEMINI,
    GEMINI_EMBEDDING,
    GEMINI_EMBEDDINGS,
    OPENAI_CHAT,
    OPENAI_DIALECT,
    OPENAI_EMBEDDINGS,
    OPENAI_RESPONSES,
    Target,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("create_app",)

_MAX_BODY_BYTES: Final = 256 * 1024 * 1024
_MODELS: Final = "/{version:v1beta|v1}/models/{model:.+}"


def create_app(
    *,
    script: Script | None = None,
    model: SandboxModel | None = None,
    model_seed: int = 0,
    clock: Callable[[], float] | None = None,
    wall_clock: Callable[[], float] = time.time,
    refuse: Callable[[float, bool], None] | None = None,
) -> web.Application:
    """Return an application that serves `model` under `script`.

    Requests without a `seed` use `model_seed`. `clock` gives seconds for the rate limit and for
    batches (the loop's own time is the default), `wall_clock` seconds since 1970 for dates.
    `refuse`, from whoever listens, refuses connections for some seconds, and closes the open ones
    if told so.

    Chat: POST /v1/chat/completions, /v1/responses, /v1/messages, /v2/chat,
    /v1beta/models/{model}:generateContent and :streamGenerateContent. Embeddings: POST
    /v1/embeddings, /v2/embed, /v1beta/models/{model}:embedContent and :batchEmbedContents. Batches:
    see `openai_batches` and `anthropic_batches`. About the server: GET /v1/models, GET /health, GET
    and DELETE /stats, GET and POST /script, POST /pause, /resume and /refuse. Serve it with
    `handler_cancellation=True`, so that a client that hangs up is counted as gone at once.
    """
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app[STATE] = State(
        model=SandboxModel() if model is None else model,
        model_seed=model_seed,
        clock=clock,
        wall_clock=wall_clock,
        script=Script() if script is None else script,
        refuse=refuse,
    )
    _add_wires(app.router)
    _add_batches(app.router)
    _add_controls(app.router)
    return app


def _add_wires(router: web.UrlDispatcher) -> None:
    """Add what answers as a provider does."""
    for path, wire in (
        ("/v1/chat/completions", OPENAI_CHAT),
        ("/v1/responses", OPENAI_RESPONSES),
        ("/v1/messages", ANTHROPIC),
        ("/v2/chat", COHERE),
    ):
        router.add_post(path, serve(chat_route(wire, _in_body)))

    router.add_post("/v1/embeddings", serve(embedding_route(OPENAI_EMBEDDINGS, _in_body)))
    router.add_post("/v2/embed", serve(embedding_route(COHERE_EMBEDDINGS, _in_body)))
    generate = chat_route(GEMINI, lambda request: _in_path(request, stream=False))
    stream = chat_route(GEMINI, lambda request: _in_path(request, stream=True))
    router.add_post(f"{_MODELS}:generateContent", serve(generate))
    router.add_post(f"{_MODELS}:streamGenerateContent", serve(stream))
    for verb, embedding in (
        ("embedContent", GEMINI_EMBEDDING),
        ("batchEmbedContents", GEMINI_EMBEDDINGS),
    ):
        route = embedding_route(embedding, lambda request: _in_path(request, stream=False))
        router.add_post(f"{_MODELS}:{verb}", serve(route))


def _add_batches(router: web.UrlDispatcher) -> None:
    """Add what is about files and batches."""
    for method, path, run in OPENAI_BATCH_ROUTES:
        route = errand_route(OPENAI_BATCHES, OPENAI_DIALECT, run)
        router.add_route(method, path, serve(route))

    for method, path, run in ANTHROPIC_BATCH_ROUTES:
        route = errand_route(ANTHROPIC_BATCHES, ANTHROPIC.dialect, run)
        router.add_route(method, path, serve(route))


def _add_controls(router: web.UrlDispatcher) -> None:
    """Add what is about the server itself: no provider has this, and no script touches it."""
    router.add_get("/v1/models", _models)
    router.add_get("/health", _health)
    router.add_get("/stats", _stats)
    router.add_delete("/stats", _reset_stats)
    router.add_get("/script", _read_script)
    router.add_post("/script", _write_script)
    router.add_post("/pause", _pause)
    router.add_post("/resume", _resume)
    router.add_post("/refuse", _refuse)


def _in_body(request: web.Request) -> Target:
    return Target()


def _in_path(request: web.Request, *, stream: bool) -> Target:
    return Target(unquote(request.match_info["model"]), stream=stream)


async def _models(request: web.Request) -> web.Response:
    names = (MODEL_ID, EMBEDDING_ID, *request.app[STATE].script.models)
    models = [
        {"id": name, "object": "model", "created": 0, "owned_by": "sandbox"} for name in names
    ]
    return _json({"object": "list", "data": models})


async def _health(request: web.Request) -> web.Response:
    return _json({"status": "ok"})


async def _stats(request: web.Request) -> web.Response:
    return _json(request.app[STATE].ledger.to_dict())


async def _reset_stats(request: web.Request) -> web.Response:
    state = request.app[STATE]
    state.ledger = state.ledger.restarted()
    return await _stats(request)


async def _read_script(request: web.Request) -> web.Response:
    text = request.app[STATE].script.to_json()
    return web.Response(body=text.encode(), content_type=JSON)


async def _write_script(request: web.Request) -> web.Response:
    """Install the script in the body; its requests are counted from 0 again."""
    try:
        script = Script.from_json(await request.read())
    except SandboxError as exc:
        return _refused(str(exc), "invalid_script")

    request.app[STATE].install(script)
    return await _read_script(request)


async def _pause(request: web.Request) -> web.Response:
    """Hold all requests, those that come and those that have not been planned yet."""
    request.app[STATE].pause()
    return _json({"paused": True})


async def _resume(request: web.Request) -> web.Response:
    """Let them go."""
    request.app[STATE].resume()
    return _json({"paused": False})


async def _refuse(request: web.Request) -> web.Response:
    """Refuse connections for `for_s` seconds; `drop` closes those that are open."""
    refuse = request.app[STATE].refuse
    if refuse is None:
        return _refused("this server cannot close its port; see SandboxServer", "unsupported")

    try:
        wanted = orjson.loads(await request.read())
        for_s, drop = float(wanted["for_s"]), bool(wanted.get("drop", True))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
        return _refused(f"expected an object with for_s in seconds: {exc!r}", "invalid_value")

    refuse(for_s, drop)
    return _json({"refused_s": for_s})


def _refused(message: str, code: str) -> web.Response:
    body = OPENAI_DIALECT.error(Problem("invalid", message, code=code), 0.0)
    return web.Response(body=body, status=400, content_type=JSON)


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type=JSON)
