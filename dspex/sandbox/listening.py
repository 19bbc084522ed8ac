"""Listen on a port, and stop listening for a while: connections are then refused, not queued."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from dspex.errors import SandboxError

__all__ = ("Door",)

_BACKLOG: Final = 8192
_REOPEN_TRIES: Final = 50
_REOPEN_PAUSE_S: Final = 0.02
_ANSWER_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class _Closure:
    for_s: float
    drop: bool


class Door:
    """The listening socket of a server; `run` has to run while `refuse` is to work."""

    def __init__(self, host: str) -> None:
        """Prepare to listen on an address; nothing is open yet."""
        self._host = host
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._closures: asyncio.Queue[_Closure] = asyncio.Queue(maxsize=1)
        self.port = 0

    async def open(self, runner: web.AppRunner, port: int) -> int:
        """Accept connections for `runner`; return the port, which 0 lets the system choose.

        Raises:
            SandboxError: the port is taken, or the address is not this machine's.
        """
        self._runner = runner
        try:
            await self._listen(port)
        except OSError as exc:
            raise SandboxError(f"cannot listen on {self._host}:{port}: {exc}") from exc

        self.port = int(runner.addresses[0][1])
        return self.port

    def refuse(self, for_s: float, drop: bool) -> None:
        """Close the port for `for_s` seconds, soon; a closure that waits already stays.

        `drop` also closes the connections that are open, so that all clients meet the closed port.
        """
        if not self._closures.full():
            self._closures.put_nowait(_Closure(for_s, drop))

    async def run(self) -> None:
        """Close and reopen as asked, until cancelled."""
        while True:
            closure = await self._closures.get()
            await asyncio.sleep(_ANSWER_S)
            await self._close(closure)
            await asyncio.sleep(closure.for_s)
            await self._reopen()

    async def _listen(self, port: int) -> None:
        assert self._runner is not None
        self._site = web.TCPSite(
            self._runner, self._host, port, backlog=_BACKLOG, reuse_address=True
        )
        await self._site.start()

    async def _close(self, closure: _Closure) -> None:
        """Close the socket, and the connections if asked."""
        assert self._site is not None
        assert self._runner is not None
        await self._site.stop()
        server = self._runner.server
        for connection in server.connections if closure.drop and server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def _reopen(self) -> None:
        """Listen on the same port again; one that is not free yet is tried for a second."""
        for _ in range(_REOPEN_TRIES):
            try:
                return await self._listen(self.port)
            except OSError:
                await asyncio.sleep(_REOPEN_PAUSE_S)

        raise SandboxError(f"cannot listen on {self._host}:{self.port} again: it is taken")
