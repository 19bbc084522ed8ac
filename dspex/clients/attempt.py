"""One try of one call as a stream of events: `stream` hands them on, `complete` folds them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dspex.clients.failures.classify import classify_response
from dspex.clients.failures.faults import NETWORK_ERRORS, classify_exception
from dspex.errors import (
    ErrorData,
    ErrorKind,
    ProtocolError,
    ProviderError,
    to_exception,
)
from dspex.messages import Compat, Request, Response, StreamEnd, StreamEvent, fill

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from dspex.clients.transport import Reply, ReplyContext, Transport
    from dspex.clients.wire.base import EmbeddingWire, EncodedRequest, Wire
    from dspex.messages import EmbedRequest, EmbedResponse

__all__ = ("NOT_ENCODED", "attempt", "attempt_embedding")

NOT_ENCODED: Final = "encode"
"""The stage of an error before anything was sent: the wire cannot say what is asked."""

_MAY_RAISE: Final[tuple[type[Exception], ...]] = (
    *NETWORK_ERRORS,
    RuntimeError,
)  # aiohttp has no other type for "is closed"


async def attempt(
    transport: Transport,
    wire: Wire,
    compat: Compat,
    request: Request,
    *,
    provider: str,
    stream: bool,
) -> AsyncGenerator[StreamEvent, None]:
    """Ask once: yield the answer's events, of which a StreamEnd with the Response is the last.

    With `stream` they are one StreamStart, deltas, and the end; without it the wire has nothing to
    say before the answer is complete, and the end is all there is.

    Raises:
        ProviderError: classified, with the provider's and the model's name.
    """
    encoded = _encoded(wire, compat, request, provider, stream=stream)
    started = False
    stage = "first byte"
    post = transport.post(wire.url_path(request, stream=stream), encoded.body)
    try:
        async with post as reply:
            stage = "body"
            if reply.status != 200:
                raise await _refusal(reply, provider, request.model)

            request_id = _request_id(reply)
            if not stream:
                response = wire.decode(await reply.read())
                yield StreamEnd(_complete(response, encoded, request_id))
                return

            decoder = wire.stream_decoder()
            async for chunk in reply.chunks():
                for event in decoder.feed(chunk):
                    started = True
                    yield _finished(event, encoded, request_id)
                    if type(event) is StreamEnd:
                        # What follows is no part of the answer, and may be long in coming.
                        return

            for event in decoder.close():
                yield _finished(event, encoded, request_id)
    except ProviderError as exc:
        raise _named(exc, provider, request.model, delivered=started) from exc.__cause__
    except _MAY_RAISE as exc:
        data = _broken(exc, transport, post, provider, request.model, stage)
        raise to_exception(replace(data, delivered=started)) from exc


async def attempt_embedding(
    transport: Transport,
    wire: EmbeddingWire,
    compat: Compat,
    request: EmbedRequest,
    *,
    provider: str,
) -> EmbedResponse:
    """Ask once for vectors.

    Raises:
        ProviderError: classified, with the provider's and the model's name.
    """
    try:
        encoded = wire.encode_embed(request, compat)
    except ProviderError as exc:
        raise _not_encoded(exc, provider, request.model) from exc

    stage = "first byte"
    post = transport.post(wire.embed_path(request), encoded.body)
    try:
        async with post as reply:
            stage = "body"
            if reply.status != 200:
                raise await _refusal(reply, provider, request.model)

            response = wire.decode_embed(await reply.read())
            _check_count(request, response)
            request_id = _request_id(reply) or response.request_id
    except ProviderError as exc:
        raise _named(exc, provider, request.model, delivered=False) from exc.__cause__
    except _MAY_RAISE as exc:
        raise to_exception(_broken(exc, transport, post, provider, request.model, stage)) from exc

    return replace(response, dropped=encoded.dropped, request_id=request_id)


async def _refusal(reply: Reply, provider: str, model: str) -> ProviderError:
    body = await reply.read()
    data = classify_response(reply.status, reply.headers, body, provider=provider, model=model)
    return to_exception(data)


def _request_id(reply: Reply) -> str | None:
    headers = reply.headers
    return headers.get("x-request-id") or headers.get("request-id")


def _broken(
    exc: Exception,
    transport: Transport,
    post: ReplyContext,
    provider: str,
    model: str,
    stage: str,
) -> ErrorData:
    if transport.closed:
        return _closed_under(provider, model)

    return classify_exception(exc, provider=provider, model=model, stage=stage, reused=post.reused)


def _check_count(request: EmbedRequest, response: EmbedResponse) -> None:
    asked, given = len(request.texts), len(response.vectors)
    if asked != given:
        raise ProtocolError(
            ErrorData(
                ErrorKind.PROTOCOL,
                f"{asked} texts were sent and {given} vectors came",
                stage="body",
            )
        )


def _encoded(
    wire: Wire, compat: Compat, request: Request, provider: str, *, stream: bool
) -> EncodedRequest:
    try:
        return wire.encode(request, compat, stream=stream)
    except ProviderError as exc:
        raise _not_encoded(exc, provider, request.model) from exc


def _not_encoded(exc: ProviderError, provider: str, model: str) -> ProviderError:
    return to_exception(replace(exc.data, provider=provider, model=model, stage=NOT_ENCODED))


def _finished(event: StreamEvent, encoded: EncodedRequest, request_id: str | None) -> StreamEvent:
    if isinstance(event, StreamEnd):
        return StreamEnd(_complete(event.response, encoded, request_id))

    return event


def _complete(response: Response, encoded: EncodedRequest, request_id: str | None) -> Response:
    """Add what the body does not say. A request id in the headers is the one support asks for."""
    if encoded.dropped:
        fill(response, dropped=encoded.dropped)

    return response if request_id is None else fill(response, request_id=request_id)


def _closed_under(provider: str, model: str) -> ErrorData:
    return ErrorData(
        ErrorKind.ENDPOINT,
        "its connections were closed while it answered",
        provider=provider,
        model=model,
        stage="endpoint",
    )


def _named(exc: ProviderError, provider: str, model: str, *, delivered: bool) -> ProviderError:
    data = replace(exc.data, provider=provider, model=model, delivered=delivered)
    return to_exception(data)
