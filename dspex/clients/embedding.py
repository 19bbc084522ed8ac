"""The way of one embedding call: that of a model call, with vectors for an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dspex.clients.admission import admit
from dspex.clients.attempt import attempt_embedding
from dspex.clients.call import Call
from dspex.clients.prices import priced
from dspex.clients.reports import report_hit, report_miss
from dspex.clients.tries import recover
from dspex.clients.wiring import embeds
from dspex.errors import ProviderError, UnsupportedFeature
from dspex.messages import EmbedRequest, EmbedResponse, Request, Response
from dspex.usage import Usage

if TYPE_CHECKING:
    from dspex.cache.responses import ResponseCache
    from dspex.clients.endpoint import Endpoint
    from dspex.clients.protocol import CacheMode
    from dspex.clients.wire.base import EmbeddingWire
    from dspex.effects import CallScope

__all__ = ("EmbedCall", "embed_once", "in_words", "require_embeddings")

_CHARS_PER_TOKEN = 4


class EmbedCall(Call):
    """An embedding call while it runs: a call whose request says no more than its model.

    Args:
        endpoint: who is asked.
        texts: what is to be embedded.
        scope: of the caller.
        timeout_s: the deadline; None takes the endpoint's.
    """

    __slots__ = ("texts",)

    operation = "embeddings"

    def __init__(
        self, endpoint: Endpoint, texts: EmbedRequest, scope: CallScope, timeout_s: float | None
    ) -> None:
        super().__init__(endpoint, Request((), model=texts.model), scope, timeout_s)
        self.texts = texts

    def estimate(self) -> Usage:
        """Guess from the length of the texts."""
        characters = sum(map(len, self.texts.texts))
        return Usage(input_tokens=characters // _CHARS_PER_TOKEN + 1, cost_usd=None, calls=1)

    def most(self, limited: frozenset[str]) -> Usage:
        """Return the most it can use: no tokenizer makes more tokens than bytes."""
        size = sum(len(text.encode("utf-8", "backslashreplace")) for text in self.texts.texts)
        most = Usage(input_tokens=size + len(self.texts.texts), cost_usd=None, calls=1)
        if "usd" not in limited:
            return most

        return replace(most, cost_usd=self.endpoint.prices.require(self.texts.model).most(most))


def in_words(response: EmbedResponse) -> Response:
    """Return what the accounts of a call need of its answer, as if it were text."""
    return Response((), model=response.model, usage=response.usage, cached=response.cached)


def require_embeddings(endpoint: Endpoint) -> EmbeddingWire:
    """Return the endpoint's wire for embeddings.

    Raises:
        UnsupportedFeature: it has none.
    """
    wire = endpoint.wire
    if endpoint.compat.embeddings and embeds(wire):
        return wire

    raise UnsupportedFeature(
        f"{endpoint.name} has no embeddings over the wire {wire.name!r}: ask a provider that has "
        f"them, or set compat_overrides={{'embeddings': True}} if this one does"
    )


async def embed_once(
    call: EmbedCall, wire: EmbeddingWire, store: ResponseCache | None, cache: CacheMode
) -> EmbedResponse:
    """Return the vectors from the cache, from an equal call under way, or from the provider."""
    if store is None:
        return await _ask(call, wire)

    key = call.endpoint.cache_prefix + call.texts.digest()
    if cache != "refresh":
        found: EmbedResponse | None = store.get(key)
        if found is not None:
            report_hit(call, "memory")
            return found

    if not store.lead(key):
        followed: EmbedResponse | None = await store.follow(key)
        if followed is not None:
            report_hit(call, "flight")
            return followed

    try:
        response: EmbedResponse | None = None
        if cache != "refresh":
            response = await store.fetch(key) if store.disk is not None else None
            if response is None:
                report_miss(call)
            else:
                report_hit(call, "disk")

        kept = response is not None
        if response is None:
            response = await _ask(call, wire)
    except BaseException as exc:
        store.fail(key, exc, own=call.cut_short)
        raise

    store.land(key, response, keep=not kept and cache != "read")
    return response


async def _ask(call: EmbedCall, wire: EmbeddingWire) -> EmbedResponse:
    call.require_time()
    endpoint = call.endpoint
    while True:
        try:
            with await admit(call, endpoint.settings.attempt_timeout_s) as this:
                response = await attempt_embedding(
                    this.transport,
                    wire,
                    endpoint.compat,
                    call.texts,
                    provider=endpoint.name,
                    secrets=endpoint.secrets,
                )
                response = _finish(call, response)
                this.response = in_words(response)

        except ProviderError as exc:
            await recover(call, exc)
        else:
            return response


def _finish(call: EmbedCall, response: EmbedResponse) -> EmbedResponse:
    endpoint = call.endpoint
    latency_s = endpoint.clock() - call.began
    endpoint.tally.answered(latency_s, response.usage)
    price = endpoint.prices.get(call.texts.model)
    return replace(
        response,
        endpoint=endpoint.name,
        latency_s=latency_s,
        attempts=tuple(call.attempts),
        usage=priced(response.usage, price, failed_attempts=len(call.attempts)),
    )
