"""Send an answer over HTTP: whole, in part, or damaged; count what has been sent."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from dspex.sandbox.exchange import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ("HTML", "JSON", "Delivery", "Payload", "abort")

JSON: Final = "application/json"
"""The content type of everything but streams."""

HTML: Final = "text/html"
"""The content type of what a gateway says."""

_EVENTS: Final = "text/event-stream"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_BLOCK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Payload:
    """An answer as bytes, one body or the events of a stream, and the tokens it is charged for."""

    pieces: Sequence[Event]
    streamed: bool = False
    interval_s: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    content_type: str = JSON

    @property
    def type(self) -> str:
        """The content type."""
        return _EVENTS if self.streamed else self.content_type

    def start(self, after_tokens: int | None) -> Sequence[Event]:
        """Return the first part: at most so many tokens of a stream, or half of whatever it is."""
        if not self.streamed:
            body = self.pieces[0].data
            return [Event(body[: len(body) // 2], self.output_tokens)]

        if after_tokens is None:
            return self.pieces[: len(self.pieces) // 2]

        for index, event in enumerate(self.pieces):
            if event.tokens > after_tokens:
                return self.pieces[:index]

            after_tokens -= event.tokens

        return self.pieces[: len(self.pieces) - 1]


class Delivery:
    """The sending of one payload; `sent_tokens` is how far it has come."""

    __slots__ = ("_headers", "_request", "payload", "sent_tokens")

    def __init__(
        self, request: web.Request, payload: Payload, headers: Mapping[str, str] | None = None
    ) -> None:
        """Prepare to answer `request`."""
        self._request = request
        self._headers = headers
        self.payload = payload
        self.sent_tokens = 0 if payload.streamed else payload.output_tokens

    async def whole(self) -> web.StreamResponse:
        """Send all of it."""
        payload = self.payload
        if not payload.streamed:
            return web.Response(
                body=payload.pieces[0].data,
                content_type=payload.content_type,
                headers=self._headers,
            )

        return await self.events(payload.pieces)

    async def events(self, pieces: Sequence[Event]) -> web.StreamResponse:
        """Send these events as a stream, and end it well."""
        response = await self._open()
        await self._write(response, pieces)
        await response.write_eof()
        return response

    async def part(self, after_tokens: int | None, silence_s: float) -> web.StreamResponse:
        """Send the first part and nothing for `silence_s` seconds; the response stays open."""
        response = await self._open()
        await self._write(response, self.payload.start(after_tokens))
        await asyncio.sleep(silence_s)
        return response

    async def drip(self, step_bytes: int, interval_s: float) -> web.StreamResponse:
        """Send all of it, a few bytes at a time."""
        response = await self._open()
        for event in self.payload.pieces:
            for start in range(0, len(event.data), step_bytes):
                await response.write(event.data[start : start + step_bytes])
                await asyncio.sleep(interval_s)

            self._count([event])

        await response.write_eof()
        return response

    async def endless(self, most_bytes: int) -> web.StreamResponse:
        """Send a body that does not end before `most_bytes`."""
        response = web.StreamResponse(headers=self._headers)
        response.content_type = self.payload.type
        await response.prepare(self._request)
        block = (b": " if self.payload.streamed else b"") + b" " * _BLOCK_BYTES
        for _ in range(-(-most_bytes // _BLOCK_BYTES)):
            await response.write(block)

        return response

    async def _open(self) -> web.StreamResponse:
        """Send the headers: of a body with its full length, of a stream without."""
        payload = self.payload
        response = web.StreamResponse(headers=self._headers)
        response.content_type = payload.type
        if payload.streamed:
            response.headers["Cache-Control"] = "no-cache"
        else:
            response.content_length = len(payload.pieces[0].data)

        await response.prepare(self._request)
        return response

    async def _write(self, response: web.StreamResponse, pieces: Sequence[Event]) -> None:
        """Send `pieces` as far apart as the payload says; at once and together when that is 0."""
        interval_s = self.payload.interval_s
        if not interval_s:
            await response.write(b"".join([event.data for event in pieces]))
            self._count(pieces)
            return

        for event in pieces:
            await response.write(event.data)
            self._count([event])
            await asyncio.sleep(interval_s)

    def _count(self, pieces: Iterable[Event]) -> None:
        if self.payload.streamed:
            self.sent_tokens += sum(event.tokens for event in pieces)


def abort(
    request: web.Request, response: web.StreamResponse, *, reset: bool = False
) -> web.StreamResponse:
    """Drop the connection; `reset`: with a reset for the peer, else a body that ends too early."""
    transport = request.transport
    if transport is None:
        return response

    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is not None and reset:
        # Without this, a socket whose input was read closes with FIN, not RST.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    transport.abort()
    return response
