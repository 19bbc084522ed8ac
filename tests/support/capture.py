"""A small server that keeps what it is asked and gives canned answers: official SDKs talk to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

__all__ = ("Canned", "CaptureServer", "Captured", "capture")


@dataclass(frozen=True, slots=True)
class Captured:
    """One request as it came; `path` has its query, the names of `headers` are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Canned:
    """One answer; for a stream of events, `content_type` is "text/event-stream"."""

    body: bytes = b"{}"
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class CaptureServer:
    """What was asked so far, and what is answered from now on.

    `url` is the server's base, without a slash at its end.
    """

    url: str = ""
    requests: list[Captured] = field(default_factory=list[Captured])
    canned: Canned = field(default_factory=Canned)

    @property
    def last(self) -> Captured:
        """The latest request."""
        return self.requests[-1]

    def answer(self, body: object, *, status: int = 200, **headers: str) -> None:
        """Answer every request with `body`: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        self.canned = Canned(content, status=status, headers=headers)

    def answer_events(self, *events: bytes) -> None:
        """Answer every request with these pieces of a stream of events."""
        self.canned = Canned(b"".join(events), content_type="text/event-stream")

    async def handle(self, request: web.Request) -> web.Response:
        """Keep the request and give the canned answer."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        self.requests.append(Captured(request.method, request.path_qs, headers, body))
        return web.Response(
            body=self.canned.body,
            status=self.canned.status,
            content_type=self.canned.content_type,
            headers=self.canned.headers,
        )


@asynccontextmanager
async def capture() -> AsyncGenerator[CaptureServer, None]:
    """Run a server on loopback for the length of a block."""
    found = CaptureServer()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", found.handle)
    server = TestServer(app)
    await server.start_server()
    found.url = str(server.make_url("")).rstrip("/")
    try:
        yield found
    finally:
        await server.close()
