"""The disk level as the event loop sees it: reads that may wait, writes that never do."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from dspex.cache.disk.database import is_corrupt
from dspex.cache.disk.table import LARGE_BYTES, Row, Table
from dspex.cache.disk.warmth import Warmth
from dspex.cache.disk.writing import Put, Remove, Sweep, Touch, Writer, WriteStep
from dspex.threads import BatchThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dspex.cache.disk.database import Database
    from dspex.cache.disk.faults import Faults

__all__ = ("DiskStatistics", "DiskStore")

_MAX_READS_WAITING: Final = 20_000
_MAX_WRITES_WAITING: Final = 20_000
_READ_BATCH: Final = 64
_WRITE_BATCH: Final = 500
_GATHER_S: Final = 0.02
_READ_TIMEOUT_S: Final = 2.0
_TOUCH_AFTER_S: Final = 3_600.0
_ANY_SIZE: Final = 2**62

_Waiting: TypeAlias = tuple[bytes, "asyncio.Future[Row | None]"]


@dataclass(frozen=True, slots=True)
class DiskStatistics:
    """What the disk level holds and did, in this process.

    `dropped` counts writes that were given up, because the queue was full or the disk refused;
    `faults` everything that went wrong with the disk; `discarded` entries that were broken.
    """

    _: KW_ONLY
    size_bytes: int
    hits: int
    misses: int
    written: int
    dropped: int
    discarded: int
    faults: int


class DiskStore:
    """The entries of one file, for one event loop. Make it in a thread: it opens connections.

    Args:
        database: the open file.
        loop: where reads are awaited.
        max_bytes: bound of the file.
        ttl_s: how long an entry may be used; None: for ever.
        faults: counts what goes wrong.
        on_broken: called once, in any thread, when the file turns out broken: from then on nothing
            is read or written.
        wall_clock: seconds since the epoch, which the processes that share the file agree on.
    """

    __slots__ = (
        "_broken",
        "_discarded",
        "_faults",
        "_here",
        "_hits",
        "_loop",
        "_misses",
        "_on_broken",
        "_reader",
        "_refused",
        "_there",
        "_ttl_s",
        "_wall_clock",
        "_warmth",
        "_writes",
        "database",
        "writer",
    )

    def __init__(
        self,
        database: Database,
        loop: asyncio.AbstractEventLoop,
        *,
        max_bytes: int,
        ttl_s: float | None,
        faults: Faults,
        on_broken: Callable[[], object],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = database
        self._loop = loop
        self._ttl_s = ttl_s
        self._faults = faults
        self._on_broken = on_broken
        self._wall_clock = wall_clock
        self._warmth = Warmth()
        self._broken = False
        self._hits = self._misses = self._refused = self._discarded = 0
        # A lock held by another process must not hold up the loop, not for a moment.
        self._here = Table(database.connect(busy_s=0.0))
        self._there = Table(database.connect())
        self.writer = Writer(
            Table(database.connect()), max_bytes, ttl_s, fail=self._fail, wall_clock=wall_clock
        )
        self._reader: BatchThread[_Waiting] = BatchThread(
            "dspex-cache-reader",
            self._read_batch,
            finish=self._there.close,
            max_waiting=_MAX_READS_WAITING,
            max_batch=_READ_BATCH,
        )
        self._writes: BatchThread[WriteStep] = BatchThread(
            "dspex-cache-writer",
            self.writer.work,
            finish=self.writer.close,
            max_waiting=_MAX_WRITES_WAITING,
            max_batch=_WRITE_BATCH,
            gather_s=_GATHER_S,
        )

    def __repr__(self) -> str:
        return f"<DiskStore {self.database.path} {self._hits} hits, {self._writes!r}>"

    async def get(self, key: bytes) -> Row | None:
        """Return a whole entry that is not too old, or None; never raises for the disk's sake."""
        row = self._read_here(key)
        if row == "later":
            row = await self._read_there(key)

        if row is None or not self._is_whole(key, row) or self._is_over(row):
            self._misses += 1
            return None

        self._hits += 1
        if self._wall_clock() - row.used > _TOUCH_AFTER_S:
            self._offer(Touch(key))

        return row

    def age_s(self, row: Row) -> float:
        """Return how long ago a row was written."""
        return max(0.0, self._wall_clock() - row.written)

    def put(self, key: bytes, encode: Callable[[], bytes]) -> None:
        """Have an entry written soon; `encode` runs in the writer's thread."""
        self._offer(Put(key, encode))

    def discard(self, key: bytes, row: Row) -> None:
        """Have an entry deleted that turned out to hold nothing of use."""
        self._discarded += 1
        self._offer(Remove(key, row.checksum))

    def sweep(self) -> None:
        """Have entries deleted whose time is over; those for which there is no room go by then."""
        self._offer(Sweep(self._sweep_on))

    def retune(self, max_bytes: int, ttl_s: float | None) -> None:
        """Take other bounds."""
        self._ttl_s = ttl_s
        self.writer.retune(max_bytes, ttl_s)
        self.sweep()

    def close(self, timeout_s: float) -> None:
        """Write what waits and close the file, in at most `timeout_s` seconds. Blocking."""
        end = time.monotonic() + timeout_s
        self._writes.close(timeout_s)
        self._reader.close(max(0.0, end - time.monotonic()))
        self._here.close()

    def statistics(self) -> DiskStatistics:
        """Return a snapshot of the counters."""
        return DiskStatistics(
            size_bytes=self.writer.size_bytes,
            hits=self._hits,
            misses=self._misses,
            written=self.writer.written,
            dropped=self._refused + self.writer.dropped,
            discarded=self._discarded,
            faults=self._faults.count,
        )

    def _offer(self, step: WriteStep) -> None:
        if self._broken or not self._writes.offer(step):
            self._refused += isinstance(step, Put)

    def _sweep_on(self) -> None:
        """Go on sweeping, behind the writes that have come meanwhile; in the writer's thread."""
        self._writes.offer(Sweep(self._sweep_on))

    def _read_here(self, key: bytes) -> Row | Literal["later"] | None:
        if self._broken:
            return None

        if not self._warmth.allows():
            return "later"

        began = time.perf_counter()
        try:
            row = self._here.find(key, LARGE_BYTES)
        except sqlite3.Error as exc:
            self._fail("read", exc)
            return None if self._broken else "later"

        self._warmth.note(time.perf_counter() - began)
        return "later" if row is not None and row.value is None else row

    async def _read_there(self, key: bytes) -> Row | None:
        place: asyncio.Future[Row | None] = self._loop.create_future()
        if not self._reader.offer((key, place)):
            self._faults.note("too many reads wait for the disk")
            return None

        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                return await place
        except TimeoutError:
            self._faults.note(f"a read took longer than {_READ_TIMEOUT_S:g} s")
            return None

    def _read_batch(self, batch: list[_Waiting]) -> None:
        found = [(place, self._find(key)) for key, place in batch]
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(partial(_deliver, found))

    def _find(self, key: bytes) -> Row | None:
        try:
            return None if self._broken else self._there.find(key, _ANY_SIZE)
        except sqlite3.Error as exc:
            self._fail("read", exc)
            return None

    def _is_over(self, row: Row) -> bool:
        now = self._wall_clock()
        if row.expires is not None and row.expires <= now:
            return True

        return self._ttl_s is not None and row.written + self._ttl_s <= now

    def _is_whole(self, key: bytes, row: Row) -> bool:
        if row.is_whole(key):
            return True

        self._faults.note("an entry was broken and is discarded")
        self.discard(key, row)
        return False

    def _fail(self, doing: str, exc: Exception) -> None:
        self._faults.note(f"cannot {doing}: {type(exc).__name__}: {exc}")
        if isinstance(exc, sqlite3.Error) and is_corrupt(exc) and not self._broken:
            self._broken = True
            self._on_broken()


def _deliver(found: Iterable[tuple[asyncio.Future[Row | None], Row | None]]) -> None:
    for place, row in found:
        if not place.done():
            place.set_result(row)
