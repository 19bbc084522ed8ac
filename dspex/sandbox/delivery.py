"""Send an answer over HTTP: whole, in half, or not at all."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from dspex.sandbox.wire import error_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.sandbox.script import Fault

__all__ = ("JSON", "STATUS_FAULTS", "Payload", "abort", "deliver", "deliver_half", "failure")

JSON: Final = "application/json"
"""The content type of everything but streams."""

_EVENTS: Final = "text/event-stream"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)

STATUS_FAULTS: Final[dict[Fault, tuple[int, str, str, str | None]]] = {
    "rate_limited": (429, "Rate limit reached.", "requests", "rate_limit_exceeded"),
    "quota_exhausted": (
        429,
        "You exceeded your current quota.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    "server_error": (500, "The server had an error.", "server_error", None),
    "unavailable": (503, "The server is overloaded.", "server_error", None),
}
"""The faults that are an error answer: status, message, type and code."""


@dataclass(frozen=True, slots=True)
class Payload:
    """An answer as bytes: one body, or the events of a stream `interval_s` seconds apart."""

    pieces: Sequence[bytes]
    streamed: bool
    interval_s: float = 0.0


async def deliver(request: web.Request, payload: Payload) -> web.StreamResponse:
    """Send the whole answer."""
    if not payload.streamed:
        return web.Response(body=payload.pieces[0], content_type=JSON)

    response = web.StreamResponse(headers={"Cache-Control": "no-cache"})
    response.content_type = _EVENTS
    await response.prepare(request)
    await _write(response, payload.pieces, payload.interval_s)
    await response.write_eof()
    return response


async def deliver_half(
    request: web.Request, payload: Payload, silence_s: float
) -> web.StreamResponse:
    """Send the headers and the first half, keep silent for `silence_s` seconds, then hang up."""
    response = web.StreamResponse()
    if payload.streamed:
        response.content_type = _EVENTS
        half = payload.pieces[: len(payload.pieces) // 2]
    else:
        body = payload.pieces[0]
        response.content_type = JSON
        response.content_length = len(body)
        half = [body[: len(body) // 2]]

    await response.prepare(request)
    await _write(response, half, payload.interval_s)
    await asyncio.sleep(silence_s)
    return abort(request, response)


def abort(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Drop the connection: a reset for the peer before any header was sent, then a short body."""
    transport = request.transport
    if transport is None:
        return response

    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is not None and not response.prepared:
        # Without this, a socket whose input was read closes with FIN, not RST.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    transport.abort()
    return response


def failure(fault: Fault, retry_after_s: float) -> web.Response:
    """Return an error answer; a passing rate limit says how long to wait, rounded up."""
    status, message, kind, code = STATUS_FAULTS[fault]
    headers: dict[str, str] = {}
    if fault == "rate_limited":
        headers["Retry-After"] = str(math.ceil(retry_after_s))
        headers["retry-after-ms"] = str(math.ceil(retry_after_s * 1000))

    body = error_body(message, kind=kind, code=code)
    return web.Response(body=body, status=status, headers=headers, content_type=JSON)


async def _write(response: web.StreamResponse, pieces: Sequence[bytes], interval_s: float) -> None:
    """Send `pieces`, `interval_s` seconds apart; at once and together when that is 0."""
    if not interval_s:
        await response.write(b"".join(pieces))
        return

    for piece in pieces:
        await response.write(piece)
        await asyncio.sleep(interval_s)
