"""aiohttp's connector with what it lacks: bounds on handshakes and on open files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp

from dspex.clients.limits.pool import ConnectionGate

if TYPE_CHECKING:
    import ssl

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.tracing import Trace

    from dspex.clients.open_files import OpenFiles

__all__ = ("MAX_HANDSHAKES", "Connector")

MAX_HANDSHAKES: Final = 256
"""More connection attempts at a time overrun a server's queue, which drops them for seconds."""

_OPENING: Final = "opening"


class Connector(aiohttp.TCPConnector):
    """Opens at most so many connections at the same time, and tells the gate how many there are.

    The gate in front of it gives out places for the connections that are open and for as many more
    as may be opened at a time. So a call waits there, where it holds nothing, and not here with its
    share of the rate in its hands; when the provider says stop, those that wait are stopped.

    Args:
        gate: bounds the connections in use; its own bound is not touched.
        files: the process's open files.
        tls: the context, or True for aiohttp's own.
        server_name: what the certificate should say, if not the host of the URL.
        connect_timeout_s: for looking up the name, connecting, and the handshake.
        keep_alive_s: how long an idle connection is kept.
        dns_cache_s: how long a name's address is kept; 0 looks it up each time.
    """

    def __init__(
        self,
        gate: ConnectionGate,
        *,
        files: OpenFiles,
        tls: ssl.SSLContext | bool,
        server_name: str | None,
        connect_timeout_s: float,
        keep_alive_s: float,
        dns_cache_s: float,
    ) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  # its socket factory
            limit=0,
            ssl=tls,
            use_dns_cache=dns_cache_s > 0,
            ttl_dns_cache=max(1, round(dns_cache_s)),
            keepalive_timeout=keep_alive_s,
            enable_cleanup_closed=False,
        )
        self.fresh: set[asyncio.Task[object]] = set()
        self.connect_timeout_s = connect_timeout_s
        self._gate = gate
        self._files = files
        self._server_name = server_name
        self._handshakes = ConnectionGate(MAX_HANDSHAKES, name="handshakes")
        gate.set_limit(MAX_HANDSHAKES, why=_OPENING)
        files.join(self)

    @property
    def open_connections(self) -> int:
        """How many connections are open or being opened, idle ones included."""
        return len(self._acquired) + sum(map(len, self._conns.values()))

    def close_idle(self) -> int:
        """Close the connections that nobody uses; return how many there were."""
        idle = [protocol for kept in self._conns.values() for protocol, _ in kept]
        self._conns.clear()
        for protocol in idle:
            protocol.close()

        return len(idle)

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        self._files.require_room()
        if self._server_name is not None:
            req.server_hostname = self._server_name

        async with self._handshakes:
            timeout = aiohttp.ClientTimeout(sock_connect=self.connect_timeout_s)
            protocol = await super()._create_connection(req, traces, timeout)

        task = asyncio.current_task()
        if task is not None:
            self.fresh.add(task)

        # This one is open, the others in a handshake are not yet.
        opened = self.open_connections - self._handshakes.in_use
        self._gate.set_limit(opened + MAX_HANDSHAKES, why=_OPENING)
        return protocol
