"""The way of one call: gate, cache, single flight, budget, limiter, breaker, transport, retry.

A `Client` is a value: an endpoint and a model. It runs in the caller's task and borrows what the
endpoint's supervised children own. Nothing passes through a mailbox, which would serialise ten
thousand calls.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex.clients.call import Call
from dspex.clients.embedding import EmbedCall, embed_once, in_words, require_embeddings
from dspex.clients.reports import report_hit, report_miss
from dspex.clients.tries import ask, ask_streaming
from dspex.effects import LIVE, Effect, current
from dspex.messages import (
    EmbedRequest,
    EmbedResponse,
    FinishReason,
    Request,
    Response,
    StreamEnd,
    StreamStart,
    TextDelta,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence

    from dspex.cache.responses import ResponseCache
    from dspex.clients.endpoint import Endpoint
    from dspex.clients.protocol import CacheMode
    from dspex.clients.wire.base import EmbeddingWire
    from dspex.effects import CallScope
    from dspex.messages import Compat, StreamEvent

__all__ = ("Client", "addressed", "as_events", "ask_once")


class Client:
    """Answers requests from one model of one endpoint; immutable, and equal by what it names.

    Safe to call from any number of tasks of the runtime's event loop.

    Args:
        endpoint: the handle of the endpoint.
        model: the provider's own name for the model.
        cache: returns the response cache, or None while there is none.
    """

    __slots__ = ("_cache", "_endpoint", "model")

    def __init__(
        self, endpoint: Endpoint, model: str, cache: Callable[[], ResponseCache | None]
    ) -> None:
        self._endpoint = endpoint
        self._cache = cache
        self.model = model

    def __repr__(self) -> str:
        return f"<Client {self.name}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Client):
            return NotImplemented

        return (self._endpoint, self.model) == (other._endpoint, other.model)

    def __hash__(self) -> int:
        return hash((self._endpoint, self.model))

    @property
    def name(self) -> str:
        """Return "provider/model"."""
        return f"{self._endpoint.name}/{self.model}"

    @property
    def compat(self) -> Compat:
        """Return what the endpoint takes."""
        return self._endpoint.compat

    @property
    def response_cache(self) -> ResponseCache | None:
        """The cache its calls take part in, or None while there is none."""
        return self._cache()

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint behind it, for its statistics."""
        return self._endpoint

    def complete(
        self, request: Request, *, timeout_s: float | None = None, cache: CacheMode = "on"
    ) -> Coroutine[Any, Any, Response]:
        """Return the answer; see `ModelClient.complete`."""
        if not request.model:
            request = addressed(request, self.model)

        scope = current()
        if scope.gate is LIVE:
            return self._complete(request, scope, timeout_s, cache)

        effect = Effect(
            "model",
            run=partial(self._complete, request, scope, timeout_s, cache),
            digest=request.digest,
            encode=Response.to_dict,
            decode=Response.from_dict,
        )
        return scope.gate.call(effect)

    async def stream(
        self, request: Request, *, timeout_s: float | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        """Yield the answer as it comes; the cache takes no part.

        Until something was delivered a failed try is repeated like any other. A slow consumer slows
        the socket. The deadlines are those of the settings: first byte, then between chunks; the
        consumer's own time does not count, and `timeout_s` bounds the whole. Who stops early closes
        the generator (`contextlib.aclosing`), which frees the connection at once.
        """
        scope = current()
        if scope.gate is not LIVE:
            # What a job does not record it cannot replay: the answer passes the gate whole.
            for event in as_events(await self.complete(request, timeout_s=timeout_s, cache="off")):
                yield event

            return

        if not request.model:
            request = addressed(request, self.model)

        with Call(self._endpoint, request, scope, timeout_s, limits_block=False) as call:
            async with aclosing(ask_streaming(call)) as events:
                async for event in events:
                    yield event

    async def embed(
        self,
        texts: EmbedRequest | Sequence[str],
        *,
        timeout_s: float | None = None,
        cache: CacheMode = "on",
    ) -> EmbedResponse:
        """Return a vector for each text, in their order, the way of any other call.

        Args:
            texts: as plain texts, or a request that says more of what is wanted.
            timeout_s: deadline of the whole call; None takes the endpoint's.
            cache: how the response cache takes part.

        Raises:
            UnsupportedFeature: the endpoint has no embeddings.
            ProviderError: as `complete` does.
        """
        wire = require_embeddings(self._endpoint)
        request = texts if isinstance(texts, EmbedRequest) else EmbedRequest(tuple(texts))
        if not request.model:
            request = replace(request, model=self.model)

        scope = current()
        run = partial(self._embed, request, wire, scope, timeout_s, cache)
        if scope.gate is LIVE:
            return await run()

        effect = Effect(
            "embed",
            run=run,
            digest=request.digest,
            encode=EmbedResponse.to_dict,
            decode=EmbedResponse.from_dict,
        )
        return await scope.gate.call(effect)

    async def _embed(
        self,
        request: EmbedRequest,
        wire: EmbeddingWire,
        scope: CallScope,
        timeout_s: float | None,
        cache: CacheMode,
    ) -> EmbedResponse:
        with EmbedCall(self._endpoint, request, scope, timeout_s) as call:
            store = None if cache == "off" else self._cache()
            response = await embed_once(call, wire, store, cache)
            call.response = in_words(response)
            return response

    async def _complete(
        self, request: Request, scope: CallScope, timeout_s: float | None, cache: CacheMode
    ) -> Response:
        with Call(self._endpoint, request, scope, timeout_s) as call:
            store = None if cache == "off" else self._cache()
            if store is None:
                call.response = await ask(call)
            else:
                call.response = await ask_once(call, store, cache, ask)

            return call.response


async def ask_once(
    call: Call,
    store: ResponseCache,
    cache: CacheMode,
    ask: Callable[[Call], Awaitable[Response]],
) -> Response:
    """Return the answer from the cache, from an equal call under way, or from the provider."""
    key = call.endpoint.cache_prefix + call.request.digest()
    if cache != "refresh":
        found: Response | None = store.get(key)
        if found is not None:
            report_hit(call, "memory")
            return found

    if not store.lead(key):
        followed: Response | None = await store.follow(key)
        if followed is not None:
            report_hit(call, "flight")
            return followed

    keep = cache != "read"
    try:
        response: Response | None = None
        if cache != "refresh":
            if store.disk is not None:
                response = await store.fetch(key)

            if response is None:
                report_miss(call)
            else:
                report_hit(call, "disk")
                keep = False  # it is where it belongs already

        if response is None:
            response = await ask(call)
    except BaseException as exc:
        store.fail(key, exc, own=call.cut_short)
        raise

    store.land(key, response, keep=keep and not _is_stump(call, response))
    return response


def _is_stump(call: Call, response: Response) -> bool:
    """Tell whether a budget's bound, and not the caller's, has cut the answer off."""
    return call.bound is not None and any(
        choice.finish_reason is FinishReason.LENGTH for choice in response.choices
    )


def as_events(response: Response) -> Iterator[StreamEvent]:
    """Yield a whole answer as the stream it could have been."""
    yield StreamStart(model=response.model, request_id=response.request_id)
    for index, choice in enumerate(response.choices):
        if choice.text:
            yield TextDelta(choice.text, choice=index)

    yield StreamEnd(response)


def addressed(request: Request, model: str) -> Request:
    """Return the request with the model filled in."""
    # Half the price of dataclasses.replace, on every call.
    return Request(
        request.messages,
        model=model,
        sampling=request.sampling,
        tools=request.tools,
        tool_choice=request.tool_choice,
        parallel_tool_calls=request.parallel_tool_calls,
        response_format=request.response_format,
        extra=request.extra,
        sample=request.sample,
    )
