"""HTTP for one endpoint: a pooled aiohttp session behind our own gate, owned by a supervised child.

The connector's own queue is never used (it can lose a wake-up when a waiter is cancelled): the gate
in front of it bounds the connections, and callers wait there in order. Per-call deadlines belong to
the caller; here are only the connection's own.
"""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp
from yarl import URL

from dspex.clients.connector import Connector
from dspex.clients.correlation import correlation_tracing
from dspex.clients.limits.pool import ConnectionGate
from dspex.clients.open_files import OpenFiles, connection_limit
from dspex.clients.posting import Post, PostReply, PostTemplate
from dspex.clients.proxy import proxy_for
from dspex.clients.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import TracebackType

    from dspex.config import ProviderSettings

__all__ = (
    "AiohttpTransport",
    "Reply",
    "ReplyContext",
    "Transport",
    "session_child",
)

_JSON: Final = "application/json"


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

    @property
    def reused(self) -> bool:
        """Whether the connection came from the pool, so that the server may have closed it."""
        ...

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

    def retune(self, settings: ProviderSettings, places: int) -> None:
        """Take on other bounds: `places` connections, and the deadline for opening one."""
        ...

    def post(self, path: str, body: bytes) -> ReplyContext:
        """Return the answer to a POST of JSON to `path` below the endpoint's base URL."""
        ...

    def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = _JSON
    ) -> ReplyContext:
        """Return the answer to any other request; for what is asked now and then."""
        ...


class AiohttpTransport:
    """A `Transport` over one aiohttp session.

    Args:
        settings: of the provider; `base_url` must be set.
        headers: sent with every request; they may hold the key.
        files: counts connections together with those of other endpoints; its own when None.

    Raises:
        ConfigError: more connections than the process may open, or a file of TLS that is no such.
    """

    __slots__ = (
        "_base_url",
        "_connector",
        "_correlation_header",
        "_gate",
        "_headers",
        "_proxy",
        "_session",
        "_templates",
        "closed",
    )

    def __init__(
        self,
        settings: ProviderSettings,
        headers: Mapping[str, str],
        *,
        files: OpenFiles | None = None,
    ) -> None:
        self._gate = ConnectionGate(
            connection_limit(settings.max_connections), max_waiting=settings.max_waiting
        )
        self._connector = Connector(
            self._gate,
            files=files or OpenFiles(),
            tls=tls_context(settings.tls),
            server_name=settings.tls.server_name,
            connect_timeout_s=settings.connect_timeout_s,
            keep_alive_s=settings.keep_alive_s,
            dns_cache_s=settings.dns_cache_s,
        )
        self._headers = {"Content-Type": _JSON, **headers}
        self._proxy = proxy_for(settings)
        self._correlation_header = settings.correlation_header
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            proxy=self._proxy,
            trace_configs=correlation_tracing(settings.correlation_header),
            # The connector has the one deadline that is its own; all others are the caller's.
            timeout=aiohttp.ClientTimeout(total=None),
        )
        self._base_url = (settings.base_url or "").rstrip("/")
        self._templates: dict[str, PostTemplate] = {}
        self.closed = False

    def __repr__(self) -> str:
        return f"<AiohttpTransport {self._base_url} {self._gate!r}>"

    @property
    def gate(self) -> ConnectionGate:
        """The bound on connections."""
        return self._gate

    def post(self, path: str, body: bytes) -> Post:
        """Return the answer to a POST, as a block; the caller holds a place of the gate."""
        template = self._templates.get(path)
        if template is None:
            template = self._templates[path] = self._template(path)

        return Post(self._connector, template, body)

    def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = _JSON
    ) -> _Request:
        """Return the answer to a request, as a block; the caller holds a place of the gate."""
        return _Request(self._session, URL(self._base_url + path), body, method, content_type)

    def retune(self, settings: ProviderSettings, places: int) -> None:
        """Take on the bounds that may change while it runs."""
        self._gate.set_limit(places)
        self._gate.max_waiting = settings.max_waiting
        self._connector.connect_timeout_s = settings.connect_timeout_s

    def _template(self, path: str) -> PostTemplate:
        return PostTemplate(
            self._session,
            URL(self._base_url + path),
            self._headers,
            proxy=self._proxy,
            correlation_header=self._correlation_header,
        )

    async def aclose(self) -> None:
        """Close every connection; calls in flight fail and are retried on our successor's."""
        self.closed = True
        await self._session.close()


class _Request:
    """A request of any method over the session, which builds it anew: for what is asked rarely."""

    __slots__ = ("_body", "_content_type", "_method", "_response", "_session", "_url")

    def __init__(
        self, session: aiohttp.ClientSession, url: URL, body: bytes, method: str, content_type: str
    ) -> None:
        self._session = session
        self._url = url
        self._body = body
        self._method = method
        self._content_type = content_type
        self._response: aiohttp.ClientResponse | None = None

    @property
    def reused(self) -> bool:
        """Whether the connection came from the pool: as far as anybody knows."""
        return True

    async def __aenter__(self) -> PostReply:
        self._response = response = await self._session.request(
            self._method,
            self._url,
            # aiohttp warns of raw bytes that are large: they would be copied in one go.
            data=io.BytesIO(self._body) if self._body else None,
            headers={"Content-Type": self._content_type},
            allow_redirects=False,
        )
        return PostReply(response.status, response.headers, response.content)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        response, self._response = self._response, None
        if response is not None:
            # A body read to its end has already put the connection back; closing is then harmless.
            response.close()


async def session_child(
    settings: ProviderSettings,
    headers: Mapping[str, str],
    *,
    ready: Callable[[object], None],
    files: OpenFiles | None = None,
) -> None:
    """Own one session for as long as the child lives."""
    transport = AiohttpTransport(settings, headers, files=files)
    try:
        ready(transport)
        await asyncio.Event().wait()
    finally:
        await transport.aclose()
