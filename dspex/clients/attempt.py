"""One try of one call: encoded, posted, decoded, and what went wrong classified."""

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

__all__ = ("NOT_ENCODED", "attempt", "attempt_embedding", "attempt_streaming")

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
    secrets: tuple[str, ...] = (),
) -> Response:
    """Ask once and return the whole answer.

    Raises:
        ProviderError: classified, with the provider's and the model's name, without `secrets`.
    """
    encoded = _encoded(wire, compat, request, provider, stream=False)
    stage = "first byte"
    post = transport.post(wire.url_path(request, stream=False), encoded.body)
    try:
        async with post as reply:
            stage = "body"
            if reply.status != 200:
                raise await _refusal(reply, provider, request.model)

            request_id = _request_id(reply)
            response = wire.decode(await reply.read())
    except ProviderError as exc:
        raise _named(exc, provider, request.model, secrets) from exc.__cause__
    except _MAY_RAISE as exc:
        raise to_exception(_broken(exc, transport, post, provider, request.model, stage)) from exc

    return _complete(response, encoded, request_id)


async def attempt_streaming(
    transport: Transport,
    wire: Wire,
    compat: Compat,
    request: Request,
    *,
    provider: str,
    secrets: tuple[str, ...] = (),
) -> AsyncGenerator[list[StreamEvent], None]:
    """Ask once: yield the events of each chunk: one StreamStart, deltas, and the StreamEnd.

    A chunk without events is an empty list: a server that keeps the connection alive while the
    model thinks is not silent.

    Raises:
        ProviderError: classified, with the provider's and the model's name.
    """
    encoded = _encoded(wire, compat, request, provider, stream=True)
    stage = "first byte"
    post = transport.post(wire.url_path(request, stream=True), encoded.body)
    try:
        async with post as reply:
            stage = "body"
            if reply.status != 200:
                raise await _refusal(reply, provider, request.model)

            request_id = _request_id(reply)
            decoder = wire.stream_decoder()
            async for chunk in reply.chunks():
                events = decoder.feed(chunk)
                ended = _finish(events, encoded, request_id)
                yield events
                if ended:
                    # What follows is no part of the answer, and may be long in coming.
                    return

            events = decoder.close()
            _finish(events, encoded, request_id)
            yield events
    except ProviderError as exc:
        raise _named(exc, provider, request.model, secrets) from exc.__cause__
    except _MAY_RAISE as exc:
        raise to_exception(_broken(exc, transport, post, provider, request.model, stage)) from exc


async def attempt_embedding(
    transport: Transport,
    wire: EmbeddingWire,
    compat: Compat,
    request: EmbedRequest,
    *,
    provider: str,
    secrets: tuple[str, ...] = (),
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
        raise _named(exc, provider, request.model, secrets) from exc.__cause__
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


def _finish(events: list[StreamEvent], encoded: EncodedRequest, request_id: str | None) -> bool:
    """Complete the response if it is there, and tell whether it is."""
    last = events[-1] if events else None
    if not isinstance(last, StreamEnd):
        return False

    _complete(last.response, encoded, request_id)
    return True


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


def _named(
    exc: ProviderError, provider: str, model: str, secrets: tuple[str, ...]
) -> ProviderError:
    """Add who was asked, and take out the keys that some servers repeat."""
    message = exc.data.message
    for secret in secrets:
        message = message.replace(secret, "[key]")

    return to_exception(replace(exc.data, message=message, provider=provider, model=model))
