"""One try of one call as a stream of events: `stream` hands them on, `complete` folds them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dspex.clients.failures.classify import classify_response
from dspex.clients.failures.faults import NETWORK_ERRORS, classify_exception
from dspex.errors import (
    EndpointUnavailable,
    ErrorData,
    ErrorKind,
    ProviderError,
    to_exception,
)
from dspex.messages import Compat, Request, Response, StreamEnd, StreamEvent, fill

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from dspex.clients.transport import Transport
    from dspex.clients.wire.base import EncodedRequest, Wire

__all__ = ("NOT_ENCODED", "attempt")

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
    try:
        async with transport.post(wire.url_path(request), encoded.body) as reply:
            stage = "body"
            if reply.status != 200:
                body = await reply.read()
                raise to_exception(
                    classify_response(
                        reply.status,
                        reply.headers,
                        body,
                        provider=provider,
                        model=request.model,
                    )
                )

            request_id = reply.headers.get("x-request-id")
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
        if transport.closed:
            raise _closed_under(provider, request.model, started) from exc

        data = classify_exception(exc, provider=provider, model=request.model, stage=stage)
        raise to_exception(replace(data, delivered=started)) from exc


def _encoded(
    wire: Wire, compat: Compat, request: Request, provider: str, *, stream: bool
) -> EncodedRequest:
    try:
        return wire.encode(request, compat, stream=stream)
    except ProviderError as exc:
        data = replace(exc.data, provider=provider, model=request.model, stage=NOT_ENCODED)
        raise to_exception(data) from exc


def _finished(event: StreamEvent, encoded: EncodedRequest, request_id: str | None) -> StreamEvent:
    if isinstance(event, StreamEnd):
        return StreamEnd(_complete(event.response, encoded, request_id))

    return event


def _complete(response: Response, encoded: EncodedRequest, request_id: str | None) -> Response:
    """Add what the body does not say. A request id in the headers is the one support asks for."""
    if encoded.dropped:
        fill(response, dropped=encoded.dropped)

    return response if request_id is None else fill(response, request_id=request_id)


def _closed_under(provider: str, model: str, delivered: bool) -> EndpointUnavailable:
    return EndpointUnavailable(
        ErrorData(
            ErrorKind.ENDPOINT,
            "its connections were closed while it answered",
            provider=provider,
            model=model,
            stage="endpoint",
            delivered=delivered,
        )
    )


def _named(exc: ProviderError, provider: str, model: str, *, delivered: bool) -> ProviderError:
    data = replace(exc.data, provider=provider, model=model, delivered=delivered)
    return to_exception(data)
