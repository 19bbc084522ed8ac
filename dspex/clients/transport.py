"""HTTP for one endpoint: a pooled aiohttp session behind our own gate, owned by a supervised child.

The connector's own queue is never used (it can lose a wake-up when a waiter is cancelled): the gate
in front of it bounds the connections, and callers wait there in order. Per-call deadlines belong to
the caller; here are only the connection's own.
"""

from __future__ import annotations

import asyncio
import io
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp
from yarl import URL

from dspex.clients.limits.pool import ConnectionGate
from dspex.errors import ConfigError, ErrorData, ErrorKind, ProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import TracebackType

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.tracing import Trace

    from dspex.config import ProviderSettings

__all__ = (
    "AiohttpTransport",
    "Reply",
    "ReplyContext",
    "Transport",
    "connection_limit",
    "session_child",
)

_HEADROOM_FILES: Final = 500
"""Open files left for everything that is not a connection of ours."""

_MAX_HANDSHAKES: Final = 256

_LARGE_BODY_BYTES: Final = 1 << 20

_LARGEST_ANSWER_BYTES: Final = 64 << 20
"""A server that never stops must not fill the memory before the try's deadline."""

_KEEP_ALIVE_S: Final = 55.0
"""Under the idle timeout of common load balancers (60 s), so that we close first."""


class Reply(Protocol):
    """An HTTP answer whose head has arrived."""

    @property
    def status(self) -> int:
        """The status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; look-ups ignore case."""
        ...

    async def read(self) -> bytes:
        """Return the whole body.

        Raises:
            ProtocolError: it is larger than any answer.
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Return the body as it comes; a slow reader slows the sender."""
        ...


class ReplyContext(Protocol):
    """An answer for the length of a block; leaving it early closes the connection."""

    async def __aenter__(self) -> Reply:
        """Send the request and wait for the head of the answer."""
        ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the connection back, or close it."""
        ...


class Transport(Protocol):
    """What the pipeline needs of HTTP; `dspex.testing.FakeTransport` is one without sockets."""

    @property
    def closed(self) -> bool:
        """Whether it has begun to close: what breaks from then on is our own doing."""
        ...

    @property
    def gate(self) -> ConnectionGate:
        """The bound on connections; who posts holds a place, which is not waited for here."""
        ...

    def post(self, path: str, body: bytes) -> ReplyContext:
        """Return the answer to a POST of JSON to `path` below the endpoint's base URL."""
        ...


class AiohttpTransport:
    """A `Transport` over one aiohttp session.

    Args:
        settings: of the provider; `base_url` must be set.
        headers: sent with every request; they may hold the key.
    """

    __slots__ = ("_base_url", "_gate", "_session", "_urls", "closed")

    def __init__(self, settings: ProviderSettings, headers: Mapping[str, str]) -> None:
        limit = connection_limit(settings.max_connections)
        connector = _Connector(
            limit=0, ttl_dns_cache=300, keepalive_timeout=_KEEP_ALIVE_S, enable_cleanup_closed=False
        )
        connector.handshakes = ConnectionGate(_MAX_HANDSHAKES, name="handshakes")
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", **headers},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout_s),
        )
        self._gate = ConnectionGate(limit)
        self._base_url = (settings.base_url or "").rstrip("/")
        self._urls: dict[str, URL] = {}
        self.closed = False

    def __repr__(self) -> str:
        return f"<AiohttpTransport {self._base_url} {self._gate!r}>"

    @property
    def gate(self) -> ConnectionGate:
        """The bound on connections."""
        return self._gate

    def post(self, path: str, body: bytes) -> _Post:
        """Return the answer to a POST, as a block; the caller holds a place of the gate."""
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = URL(self._base_url + path)

        return _Post(self._session, url, body)

    async def aclose(self) -> None:
        """Close every connection; calls in flight fail and are retried on our successor's."""
        self.closed = True
        await self._session.close()


class _Connector(aiohttp.TCPConnector):
    """Opens at most so many connections at the same time.

    Ten thousand calls that start together would otherwise bring ten thousand handshakes, of which a
    server's queue takes some hundreds and drops the rest for seconds.
    """

    handshakes: ConnectionGate

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        async with self.handshakes:
            return await super()._create_connection(req, traces, timeout)


class _Post:
    __slots__ = ("_body", "_response", "_session", "_url")

    def __init__(self, session: aiohttp.ClientSession, url: URL, body: bytes) -> None:
        self._session = session
        self._url = url
        self._body = body
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> _AiohttpReply:
        # aiohttp warns of raw bytes this large: they would be copied in one go.
        data = self._body if len(self._body) < _LARGE_BODY_BYTES else io.BytesIO(self._body)
        self._response = await self._session.post(self._url, data=data, allow_redirects=False)
        return _AiohttpReply(self._response)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        response, self._response = self._response, None
        if response is not None:
            # A body read to its end has already put the connection back; closing is then harmless.
            # One that was not must not go back: the next caller would read its rest.
            response.close()


@dataclass(frozen=True, slots=True)
class _AiohttpReply:
    _response: aiohttp.ClientResponse

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    async def read(self) -> bytes:
        content, blocks, size = self._response.content, list[bytes](), 0
        while block := await content.readany():
            blocks.append(block)
            size += len(block)
            if size > _LARGEST_ANSWER_BYTES:
                raise _endless()

        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def chunks(self) -> AsyncIterator[bytes]:
        return self._response.content.iter_any()


def _endless() -> ProtocolError:
    return ProtocolError(
        ErrorData(
            ErrorKind.PROTOCOL,
            f"the answer is larger than {_LARGEST_ANSWER_BYTES >> 20} MiB: check base_url",
            stage="body",
            should_retry=False,
        )
    )


def connection_limit(asked: int | None) -> int:
    """Return how many connections an endpoint may hold.

    Raises:
        ConfigError: `asked` is more than the process's open-file limit allows.
    """
    allowed = _open_file_limit() - _HEADROOM_FILES
    if asked is None:
        return max(allowed, 16)

    if asked > allowed:
        raise ConfigError(
            f"the process may open {allowed + _HEADROOM_FILES} files (RLIMIT_NOFILE), which leaves "
            f"room for {max(allowed, 0)} connections: lower it, or raise the limit (`ulimit -n`)",
            source="settings",
            key="max_connections",
            value=asked,
        )

    return asked


def _open_file_limit() -> int:
    if sys.platform == "win32":
        return 8_192

    import resource  # not there on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else soft


async def session_child(
    settings: ProviderSettings, headers: Mapping[str, str], *, ready: Callable[[object], None]
) -> None:
    """Own one session for as long as the child lives."""
    transport = AiohttpTransport(settings, headers)
    try:
        ready(transport)
        await asyncio.Event().wait()
    finally:
        await transport.aclose()
