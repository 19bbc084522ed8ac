"""The handle of one endpoint's batcher."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dspex.clients.batch.batcher import Batcher, batcher_child
from dspex.clients.batch.line import line_id
from dspex.errors import EndpointUnavailable, LoadError
from supervision import ChildSpec, Supervisor
from supervision.errors import CallTimeout, NoProc, StartFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from dspex.clients.batch.dialect import Dialect
    from dspex.clients.batch.line import BatchLine
    from dspex.clients.batch.settings import BatchSettings
    from dspex.clients.endpoint import Endpoint
    from supervision import Ref, SupervisorRef

__all__ = ("BatchQueue",)

_RESTART_WAIT_S: Final = 30.0
_RESTARTS: Final = 8
_PAUSE_S: Final = 0.02


class BatchQueue:
    """The handle of one endpoint's batcher, which starts with the first call and survives restarts.

    Args:
        endpoint: whose.
        dialect: how it takes batches.
        settings: how to gather and how often to ask.
        journal: where batches that are out are noted; None: nowhere.
        start: starts a child under the runtime's tree.
    """

    __slots__ = (
        "_dialect",
        "_journal",
        "_lock",
        "_ordinals",
        "_ref",
        "_start",
        "endpoint",
        "settings",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        settings: BatchSettings,
        journal: Path | None,
        start: Callable[[ChildSpec], Awaitable[SupervisorRef[object]]],
    ) -> None:
        self.endpoint = endpoint
        self.settings = settings
        self._dialect = dialect
        self._journal = journal
        self._start = start
        self._lock = asyncio.Lock()
        self._ref: Ref[Batcher] | None = None
        self._ordinals: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<BatchQueue {self.endpoint.name} {self._journal}>"

    def next_id(self, digest: str) -> str:
        """Return the id of the next request of a digest: 0, 1, ... in the order they are asked."""
        ordinal = self._ordinals.get(digest, 0)
        self._ordinals[digest] = ordinal + 1
        return line_id(digest, ordinal)

    async def batcher(self) -> Batcher:
        """Return the batcher; start it if this is the first call.

        Raises:
            EndpointUnavailable: it is restarting for too long, or gone.
            LoadError: the journal is none.
        """
        await self.endpoint.state()
        async with self._lock:
            if self._ref is None:
                args = (self.endpoint, self._dialect, self.settings, self._journal)
                name = f"{self.endpoint.name} batches {self._journal or id(self)}"
                spec = ChildSpec("batcher", batcher_child, args=args)
                try:
                    ref = await self._start(
                        ChildSpec(name, Supervisor.child([spec], intensity=3, period=30.0))
                    )
                except StartFailed as exc:
                    raise _cause(exc, self.endpoint) from exc

                self._ref = ref.ref("batcher")

        try:
            return await self._ref.wait_ready(_RESTART_WAIT_S)
        except (NoProc, CallTimeout) as exc:
            raise self.endpoint.unavailable("batcher", str(exc)) from exc

    async def answer(self, line: BatchLine) -> bytes:
        """Return the body of the answer to one line, across restarts of the batcher.

        Raises:
            ProviderError: the line failed, or its batch.
        """
        restarts = 0
        while True:
            batcher = await self.batcher()
            try:
                return await batcher.join(line).answered
            except EndpointUnavailable:
                if restarts == _RESTARTS:
                    raise

                # Its end is heard of here before its successor is at work.
                await asyncio.sleep(_PAUSE_S * 2**restarts)
                restarts += 1


def _cause(exc: StartFailed, endpoint: Endpoint) -> Exception:
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, LoadError):
            return cause

        cause = cause.__cause__

    return endpoint.unavailable("batcher", str(exc))
