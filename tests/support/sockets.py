"""Servers that behave badly in one way, on real sockets, and runtimes that ask them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import orjson

from dspex.config import ProviderSettings
from dspex.runtime import Runtime

__all__ = (
    "Answering",
    "chat_body",
    "deaf_port",
    "http",
    "raw_server",
    "read_request",
    "runtime_at",
)

Answering: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def chat_body(text: str = "yes") -> bytes:
    """Return a good chat completion."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return orjson.dumps({"id": "1", "model": "m", "choices": [choice]})


def http(
    body: bytes, *, status: str = "200 OK", kind: str = "application/json", more: str = ""
) -> bytes:
    """Return a whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request's head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    return head + await reader.readexactly(size)


@asynccontextmanager
async def raw_server(answering: Answering) -> AsyncIterator[int]:
    """Serve connections with `answering`, which reads no request by itself; give the port."""
    writers: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            await answering(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1_024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(writers):
            writer.transport.abort()

        await server.wait_closed()
        await asyncio.sleep(0)


@contextmanager
def deaf_port() -> Iterator[int]:
    """Give a port whose queue is full: whoever connects hears nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers: list[socket.socket] = []
        try:
            for _ in range(8):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
                fillers.append(filler)

            yield port
        finally:
            for filler in fillers:
                filler.close()


@asynccontextmanager
async def runtime_at(port: int, **settings: Any) -> AsyncIterator[Runtime]:
    """Open a runtime whose one provider is at a port of this machine."""
    given = {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "sk-0123", **settings}
    async with Runtime(
        default="p/m", providers={"p": ProviderSettings(**given)}, log="off", cache=None
    ) as runtime:
        yield runtime
