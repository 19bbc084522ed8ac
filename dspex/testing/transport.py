"""HTTP without sockets: the whole call pipeline on a scripted provider and a virtual clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp
import orjson
from multidict import CIMultiDict

from dspex.clients.limits.pool import ConnectionGate

if TYPE_CHECKING:
    from types import TracebackType

    from dspex.config import ProviderSettings

__all__ = ("Answer", "FakeReply", "FakeTransport", "chat_reply")


@dataclass(frozen=True, slots=True)
class FakeReply:
    """What the scripted provider answers.

    Args:
        status: the HTTP status.
        body: sent as a whole unless there are `parts`.
        headers: look-ups ignore case.
        delay_s: until the head arrives.
        parts: the body in pieces; a number is a pause in seconds, an exception is raised there.
    """

    status: int = 200
    body: bytes = b""
    _: KW_ONLY
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    delay_s: float = 0.0
    parts: tuple[bytes | float | Exception, ...] = ()


Answer: TypeAlias = Callable[[dict[str, Any]], FakeReply | Exception]
"""Takes the decoded request body and gives the reply, or the exception to raise in its place."""


def chat_reply(
    text: str, *, input_tokens: int = 10, output_tokens: int = 5, delay_s: float = 0.0
) -> FakeReply:
    """Return a good chat completion with this text."""
    body = {
        "id": "fake-1",
        "object": "chat.completion",
        "model": "fake",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
        },
    }
    return FakeReply(200, orjson.dumps(body), delay_s=delay_s)


class FakeTransport:
    """A `Transport` that asks a function; counts what it saw.

    Pass `transport.session` as a Runtime's `session`:
    `Runtime(..., session=transport.session)`. When that child ends, the calls that wait for an
    answer break, as they do on sockets.
    """

    def __init__(self, answer: Answer, *, max_connections: int = 1_000_000) -> None:
        self._answer = answer
        self.requests: list[dict[str, Any]] = []
        self.headers: Mapping[str, str] = {}
        self.in_flight = 0
        self.max_in_flight = 0
        self.sessions = 0
        self.closed = False
        self.gate = ConnectionGate(max_connections, name="fake")
        self._pauses: set[asyncio.Future[None]] = set()

    def retune(self, settings: ProviderSettings, places: int) -> None:
        """Take on another number of connections."""
        self.gate.set_limit(places)

    def post(self, path: str, body: bytes) -> _FakePost:
        """Return the scripted answer to one request."""
        # Not orjson, which refuses the escapes of lone surrogates.
        return _FakePost(self, json.loads(body))

    def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> _FakePost:
        """Return the scripted answer to any other request, told as its method, path and body."""
        return _FakePost(self, {"method": method, "path": path, "body": body})

    async def session(
        self,
        settings: ProviderSettings,
        headers: Mapping[str, str],
        *,
        ready: Callable[[object], None],
    ) -> None:
        """Be the child that owns the connections."""
        self.sessions += 1
        self.headers = dict(headers)
        self.closed = False
        try:
            ready(self)
            await asyncio.Event().wait()
        finally:
            self.closed = True
            for pause in self._pauses:
                if not pause.done():
                    pause.set_exception(aiohttp.ClientConnectionError("Connection closed"))

    async def pause(self, delay_s: float) -> None:
        """Wait for the provider: until the time has come, or the session ends under it."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(delay_s, _end, over)
        self._pauses.add(over)
        try:
            await over
        finally:
            timer.cancel()
            self._pauses.discard(over)

    def ask(self, body: dict[str, Any]) -> FakeReply:
        """Record one request and return its reply, or raise what was scripted."""
        self.requests.append(body)
        answer = self._answer(body)
        if isinstance(answer, Exception):
            raise answer

        return answer


def _end(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)


class _FakePost:
    reused = True

    def __init__(self, transport: FakeTransport, body: dict[str, Any]) -> None:
        self._transport = transport
        self._body = body

    async def __aenter__(self) -> _Reply:
        transport = self._transport
        transport.in_flight += 1
        transport.max_in_flight = max(transport.max_in_flight, transport.in_flight)
        try:
            reply = transport.ask(self._body)
            await transport.pause(reply.delay_s)
        except BaseException:
            transport.in_flight -= 1
            raise

        return _Reply(reply, transport)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._transport.in_flight -= 1


class _Reply:
    def __init__(self, reply: FakeReply, transport: FakeTransport) -> None:
        self._reply = reply
        self._transport = transport

    @property
    def status(self) -> int:
        return self._reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        return CIMultiDict(self._reply.headers)

    async def read(self) -> bytes:
        if not self._reply.parts:
            return self._reply.body

        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        for part in self._reply.parts or (self._reply.body,):
            if isinstance(part, Exception):
                raise part

            if isinstance(part, bytes):
                yield part
            else:
                await self._transport.pause(part)
