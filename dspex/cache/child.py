"""The supervised child that owns the cache, and keeps its disk level going."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import TYPE_CHECKING, Final

from dspex.cache.disk.database import move_aside, open_database
from dspex.cache.disk.faults import Faults
from dspex.cache.disk.store import DiskStore
from dspex.cache.responses import ResponseCache
from dspex.errors import ConfigError
from dspex.telemetry.events import CACHE_FAULT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dspex.cache.disk.database import Database
    from dspex.config import CacheSettings
    from supervision.telemetry import Bus

__all__ = ("cache_child",)

_TICK_S: Final = 60.0
"""How often old entries are swept, and how soon a file that could not be opened is tried again."""

_CLOSE_S: Final = 4.0
"""How long writes that wait may take in the end: less than what a supervisor allows a child."""


async def cache_child(
    settings: Callable[[], CacheSettings], bus: Bus, *, ready: Callable[[object], None]
) -> None:
    """Own a ResponseCache for as long as the child lives.

    It is up when its file is open, or cannot be: then it works in memory alone, announces
    CACHE_FAULT, and tries again once a minute, unless the file is not for us at all.

    Args:
        settings: what holds now; asked when the child starts.
        bus: where faults are announced.
        ready: takes the cache.
    """
    loop = asyncio.get_running_loop()
    now = settings()
    # The loop's clock, not the system's: what waits on one and ages by the other drifts.
    cache = ResponseCache(now, loop.time)
    if now.path is None:
        ready(cache)
        await asyncio.Event().wait()
        return

    keeper = _Keeper(cache, now.path.expanduser(), settings, bus)
    try:
        await keeper.open()
        ready(cache)
        await keeper.run()
    finally:
        await keeper.close()


class _Keeper:
    """Opens the disk level, sweeps it, replaces it when it breaks, and closes it."""

    def __init__(
        self, cache: ResponseCache, path: Path, settings: Callable[[], CacheSettings], bus: Bus
    ) -> None:
        self._cache = cache
        self._path = path
        self._settings = settings
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self._broken = asyncio.Event()
        self._refused = False
        self._faults = Faults(self._tell, time.monotonic)

    async def open(self) -> None:
        """Open the file; what goes wrong is announced, and leaves the cache in memory."""
        self._broken.clear()
        try:
            self._cache.disk = await asyncio.to_thread(self._open)
        except ConfigError as exc:
            self._refused = True
            self._faults.note(str(exc))
        except (OSError, sqlite3.Error) as exc:
            self._faults.note(f"cannot open: {type(exc).__name__}: {exc}")

    async def run(self) -> None:
        """Look after the file until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_TICK_S):
                    await self._broken.wait()
            except TimeoutError:
                await self._tend()
            else:
                await self._replace()

    async def close(self) -> None:
        """Write what waits, and let go of the file."""
        disk, self._cache.disk = self._cache.disk, None
        if disk is not None:
            await asyncio.to_thread(disk.close, _CLOSE_S)

    async def _tend(self) -> None:
        if self._cache.disk is not None:
            self._cache.disk.sweep()
        elif not self._refused:
            await self.open()

    async def _replace(self) -> None:
        disk = self._cache.disk
        assert disk is not None  # only an open store breaks
        await self.close()
        moved_to = await asyncio.to_thread(self._move_aside, disk.database)
        if moved_to is not None:
            self._announce(f"the file was broken and is now {moved_to}; a new one is begun", 1)

        await self.open()

    def _move_aside(self, broken: Database) -> Path | None:
        try:
            return move_aside(broken)
        except OSError as exc:
            self._faults.note(f"cannot move the broken file aside: {exc}")
            return None

    def _open(self) -> DiskStore:
        settings, database = self._settings(), open_database(self._path)
        if database.moved_to is not None:
            self._tell(f"the file was broken and is now {database.moved_to}; a new one is begun", 1)

        return DiskStore(
            database,
            self._loop,
            max_bytes=settings.disk_max_bytes,
            ttl_s=settings.ttl_s,
            faults=self._faults,
            on_broken=lambda: self._loop.call_soon_threadsafe(self._broken.set),
        )

    def _tell(self, words: str, count: int) -> None:
        """Announce a fault from whatever thread met it."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._announce, words, count)

    def _announce(self, words: str, count: int) -> None:
        if CACHE_FAULT in self._bus.listeners:
            about = {"path": str(self._path), "error": words}
            self._bus.execute(CACHE_FAULT, {"count": count}, about)
