"""The journal as the event loop uses it: written in threads, and not at all where there is none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dspex.clients.batch.journal import BatchJournal, JournaledBatch
    from dspex.clients.batch.open_batch import OpenBatch

__all__ = ("Notes",)


class Notes:
    """What one batcher notes of its batches.

    Args:
        journal: where; None: nowhere.
        provider: whose batches they are.
        wall_clock: seconds since the epoch.
    """

    __slots__ = ("_journal", "_provider", "_wall_clock")

    def __init__(
        self, journal: BatchJournal | None, provider: str, wall_clock: Callable[[], float]
    ) -> None:
        self._journal = journal
        self._provider = provider
        self._wall_clock = wall_clock

    @property
    def kept(self) -> bool:
        """Whether there is a journal."""
        return self._journal is not None

    async def open(self) -> list[JournaledBatch]:
        """Open the journal and return what it knows."""
        if self._journal is None:
            return []

        return await asyncio.to_thread(self._journal.open, self._provider, self._wall_clock())

    async def begin(self, batch: OpenBatch) -> None:
        """Note that a batch is about to be made."""
        if self._journal is not None:
            lines, at_s = sorted(batch.lines), self._wall_clock()
            await asyncio.to_thread(self._journal.begin, batch.nonce, self._provider, at_s, lines)

    async def made(self, batch: OpenBatch) -> None:
        """Note that it was."""
        if self._journal is not None and batch.batch is not None:
            await asyncio.to_thread(self._journal.made, batch.nonce, batch.batch)

    async def void(self, batch: OpenBatch, lines: Iterable[str]) -> None:
        """Note which of its lines have come to nothing."""
        if self._journal is not None:
            await asyncio.to_thread(self._journal.void, batch.nonce, sorted(lines))
