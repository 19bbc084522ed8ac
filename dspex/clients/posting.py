"""One HTTP exchange over aiohttp's connector and parser: a POST that is nearly all said in advance.

A session builds every request anew: URL, headers, cookies, a writer task, a response with its
history. For ten thousand equal requests that is more than half of what a call costs. What differs
between the calls of an endpoint is the body and its length; the rest is made once, in a
`PostTemplate`. Connections, pooling, TLS, proxies, parsing and decompression stay aiohttp's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.helpers import TimerNoop
from aiohttp.http_exceptions import HttpProcessingError

from dspex.clients.correlation import correlation_value
from dspex.errors import ErrorData, ErrorKind, ProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

    from aiohttp.connector import Connection
    from aiohttp.streams import StreamReader
    from multidict import CIMultiDictProxy
    from yarl import URL

    from dspex.clients.connector import Connector

__all__ = ("Post", "PostReply", "PostTemplate")

_LARGE_BODY_BYTES: Final = 1 << 16

_LARGEST_ANSWER_BYTES: Final = 64 << 20
"""A server that never stops must not fill the memory before the try's deadline."""

_READ_BUFFER_BYTES: Final = 1 << 18

_NO_DEADLINE: Final = aiohttp.ClientTimeout(total=None)
"""The connector has a deadline of its own; all others are the caller's."""

_TIMER: Final = TimerNoop()


class PostTemplate:
    """A POST to one URL, all said but the body; belongs to one session and its event loop.

    Args:
        session: whose connector is used.
        url: where to.
        headers: sent with every request; they may hold the key.
        proxy: which proxy it goes through.
        correlation_header: the header that carries the correlation id of the call's scope; None
            sends none.

    Raises:
        ValueError: a header holds a line break.
    """

    __slots__ = ("correlation_header", "head", "request")

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        headers: Mapping[str, str],
        *,
        proxy: URL | None = None,
        correlation_header: str | None = None,
    ) -> None:
        self.request = ClientRequest(
            "POST",
            url,
            headers=headers,
            data=b"",
            loop=asyncio.get_running_loop(),
            session=session,
            proxy=proxy,
        )
        self.head = _head(self.request)
        self.correlation_header = correlation_header

    def __repr__(self) -> str:
        return f"<PostTemplate {self.request.url}>"

    def head_for(self, body: bytes) -> bytes:
        """Return the head of the request that carries `body`."""
        value = None if self.correlation_header is None else correlation_value()
        if value is None:
            return b"%b%d\r\n\r\n" % (self.head, len(body))

        line = f"{self.correlation_header}: {value}".encode()
        return b"%b%d\r\n%b\r\n\r\n" % (self.head, len(body), line)


def _head(request: ClientRequest) -> bytes:
    """Return everything in front of the length of the body."""
    proxy = None if request.is_ssl() else request.proxy
    target = request.url.raw_path_qs if proxy is None else str(request.url)
    headers = [(name, value) for name, value in request.headers.items() if name != "Content-Length"]
    # A tunnel's is said when it is opened, by the connector.
    proxy_auth = None if proxy is None else aiohttp.BasicAuth.from_url(proxy)
    if proxy_auth is not None:
        headers.append(("Proxy-Authorization", proxy_auth.encode()))

    for name, value in headers:
        if "\r" in value or "\n" in value:
            raise ValueError(f"the header {name!r} holds a line break")

    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join((*lines, "Content-Length: ")).encode()


@dataclass(frozen=True, slots=True)
class PostReply:
    """An answer whose head has arrived."""

    status: int
    headers: CIMultiDictProxy[str]
    content: StreamReader

    async def read(self) -> bytes:
        """Return the whole body.

        Raises:
            ProtocolError: it is larger than any answer.
        """
        content, size = self.content, 0
        blocks: list[bytes] = []
        while block := await content.readany():
            blocks.append(block)
            size += len(block)
            if size > _LARGEST_ANSWER_BYTES:
                raise _endless()

            if content.at_eof():  # as nearly always after the first: asking again costs a turn
                break

        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def chunks(self) -> AsyncIterator[bytes]:
        """Return the body as it comes; a slow reader slows the sender."""
        return self.content.iter_any()


class Post:
    """An answer for the length of a block; leaving it early closes the connection.

    `reused` says that the connection came from the pool, so that the server may have closed it.
    """

    __slots__ = ("_body", "_connection", "_connector", "_content", "_template", "reused")

    def __init__(self, connector: Connector, template: PostTemplate, body: bytes) -> None:
        self._connector = connector
        self._template = template
        self._body = body
        self._connection: Connection | None = None
        self._content: StreamReader | None = None
        self.reused = True

    async def __aenter__(self) -> PostReply:
        self._connection = connection = await self._connect()
        try:
            return await self._exchange(connection)
        except BaseException:
            self._connection = None
            _end(connection)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return

        # What has bytes left to read or to write would hand them to the next caller.
        content = self._content
        if content is not None and content.is_eof() and not _unsent(connection):
            connection.release()
        else:
            _end(connection)

    async def _connect(self) -> Connection:
        connector = self._connector
        try:
            return await connector.connect(self._template.request, traces=[], timeout=_NO_DEADLINE)
        except TimeoutError as exc:
            host = self._template.request.url.host
            raise aiohttp.ConnectionTimeoutError(f"no connection to {host} in time") from exc
        finally:
            # Not where every connection comes from the pool, as nearly always.
            if connector.fresh:
                self._note_fresh()

    async def _exchange(self, connection: Connection) -> PostReply:
        protocol = connection.protocol
        if protocol is None or protocol.transport is None:
            raise aiohttp.ServerDisconnectedError

        protocol.set_response_params(
            timer=_TIMER, read_until_eof=True, read_bufsize=_READ_BUFFER_BYTES
        )
        body = self._body
        head = self._template.head_for(body)
        if len(body) < _LARGE_BODY_BYTES:
            protocol.transport.write(head + body)
        else:
            protocol.transport.write(head)
            protocol.transport.write(body)

        try:
            message, content = await protocol.read()
            while message.code < 200 and message.code != 101:  # the server says: go on
                message, content = await protocol.read()
        except HttpProcessingError as exc:
            raise aiohttp.ClientResponseError(
                self._template.request.request_info,
                (),
                status=exc.code,
                message=exc.message,
                headers=exc.headers,
            ) from exc

        self._content = content
        return PostReply(message.code, message.headers, content)

    def _note_fresh(self) -> None:
        task = asyncio.current_task()
        if task in self._connector.fresh:
            self._connector.fresh.discard(task)
            self.reused = False


def _unsent(connection: Connection) -> bool:
    """Tell whether bytes of the request have not left the process, or nobody can know."""
    transport = connection.transport
    return transport is None or transport.get_write_buffer_size() > 0


def _end(connection: Connection) -> None:
    transport = connection.transport
    if transport is not None and _unsent(connection):
        # Closing would first wait to send the rest, for as long as a peer that has stopped reading
        # likes: the socket and the body would stay, uncounted.
        transport.abort()

    connection.close()


def _endless() -> ProtocolError:
    return ProtocolError(
        ErrorData(
            ErrorKind.PROTOCOL,
            f"the answer is larger than {_LARGEST_ANSWER_BYTES >> 20} MiB: check base_url",
            stage="body",
            should_retry=False,
        )
    )
