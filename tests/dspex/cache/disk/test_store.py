"""The disk level answers, forgets and counts; whatever the disk does, no call notices."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dspex.cache.disk.database import open_database
from dspex.cache.disk.faults import Faults
from dspex.cache.disk.store import DiskStore

LARGE = b"x" * 100_000


class Wall:
    """A wall clock that stands still."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Opened:
    """A store with what it was made of."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.wall = Wall()
        self.told: list[str] = []
        self.broken = 0
        self.faults = Faults(lambda words, _: self.told.append(words), lambda: 0.0)
        self.store = DiskStore(
            open_database(path),
            asyncio.get_running_loop(),
            faults=self.faults,
            on_broken=self._break,
            wall_clock=self.wall,
            **({"max_bytes": 2**30, "ttl_s": None} | settings),
        )

    def _break(self) -> None:
        self.broken += 1

    async def value(self, key: bytes) -> bytes | None:
        row = await self.store.get(key)
        return None if row is None else row.value


@asynccontextmanager
async def opened(path: Path, **settings: Any) -> AsyncIterator[Opened]:
    one = Opened(path, **settings)
    try:
        yield one
    finally:
        await asyncio.to_thread(one.store.close, 5.0)


async def fill(path: Path, entries: dict[bytes, bytes], **settings: Any) -> None:
    """Write entries and close the store: closing writes what waits."""
    async with opened(path, **settings) as one:
        for key, value in entries.items():
            one.store.put(key, partial(bytes, value))


class TestEntries:
    @pytest.mark.parametrize("value", [b"{}", LARGE])
    async def test_what_one_store_wrote_another_finds(self, tmp_path: Path, value: bytes) -> None:
        """Small entries in the loop, large ones by the reader's thread."""
        path = tmp_path / "cache.db"
        await fill(path, {b"k": value})

        async with opened(path) as one:
            assert value == await one.value(b"k")
            assert await one.value(b"other") is None
            statistics = one.store.statistics()

        assert (1, 1, 0) == (statistics.hits, statistics.misses, statistics.faults)
        assert statistics.size_bytes > len(value)

    async def test_while_reads_are_slow_they_leave_the_loop(self, tmp_path: Path) -> None:
        """Two hundred go through the thread, and all find what is there."""
        path = tmp_path / "cache.db"
        await fill(path, {b"k": b"value"})

        async with opened(path) as one:
            one.store._warmth.note(1.0)
            async with asyncio.TaskGroup() as group:
                reads = [group.create_task(one.value(b"k")) for _ in range(300)]

        assert {b"value"} == {read.result() for read in reads}

    async def test_an_entry_ends_when_it_was_told_to(self, tmp_path: Path) -> None:
        """By the end that it was written with."""
        path = tmp_path / "cache.db"
        await fill(path, {b"k": b"value"}, ttl_s=60.0)

        async with opened(path) as one:
            one.wall.now += 59.0
            assert b"value" == await one.value(b"k")
            one.wall.now += 2.0
            assert await one.value(b"k") is None

    async def test_a_shorter_time_to_live_holds_for_what_others_wrote(self, tmp_path: Path) -> None:
        """No answer older than so many seconds is used, whoever paid for it."""
        path = tmp_path / "cache.db"
        await fill(path, {b"k": b"value"})

        async with opened(path, ttl_s=10.0) as one:
            one.wall.now += 11.0
            assert await one.value(b"k") is None

    async def test_what_is_used_is_noted_at_most_once_an_hour(self, tmp_path: Path) -> None:
        """A write for each read would cost more than the read."""
        path = tmp_path / "cache.db"
        await fill(path, {b"k": b"value"})

        async with opened(path) as one:
            one.wall.now += 7_200.0
            await one.store.get(b"k")

        async with opened(path) as one:
            row = await one.store.get(b"k")

        assert row is not None
        assert 1_007_200.0 == row.used

    async def test_reading_is_cancelled_without_harm(self, tmp_path: Path) -> None:
        """The answer then comes to nobody."""
        path = tmp_path / "cache.db"
        await fill(path, {b"k": LARGE})

        async with opened(path) as one:
            read = asyncio.create_task(one.value(b"k"))
            await asyncio.sleep(0)
            read.cancel()
            await asyncio.wait([read])

            assert read.cancelled()
            assert LARGE == await one.value(b"k")


class TestBounds:
    @pytest.mark.slow
    async def test_the_file_stays_within_its_bound(self, tmp_path: Path) -> None:
        """Old entries make room for new ones, while writing goes on."""
        bound = 2 * 1024 * 1024
        async with opened(tmp_path / "cache.db", max_bytes=bound) as one:
            for number in range(4_000):
                one.wall.now += 1.0
                one.store.put(str(number).encode(), partial(bytes, 2_000))
                if number % 500 == 0:
                    await asyncio.sleep(0.05)

        async with opened(tmp_path / "cache.db", max_bytes=bound) as one:
            assert one.store.statistics().size_bytes <= bound
            assert await one.value(b"3999") is not None
            assert await one.value(b"0") is None

    async def test_an_entry_too_large_for_the_file_is_dropped(self, tmp_path: Path) -> None:
        """It would push out everything else."""
        async with opened(tmp_path / "cache.db", max_bytes=2**20) as one:
            one.store.put(b"k", partial(bytes, 2**18))
            one.store.put(b"small", partial(bytes, 10))

        statistics = one.store.statistics()
        assert (1, 1) == (statistics.written, statistics.dropped)

    async def test_a_full_queue_drops_and_counts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A slow disk never holds up a call."""
        monkeypatch.setattr("dspex.cache.disk.store._MAX_WRITES_WAITING", 5)
        path = tmp_path / "cache.db"
        async with opened(path) as one:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                for number in range(1_000):
                    one.store.put(str(number).encode(), partial(bytes, 1))

                other.execute("ROLLBACK")

        statistics = one.store.statistics()
        assert statistics.dropped >= 900
        assert 1_000 == statistics.written + statistics.dropped

    async def test_a_sweep_deletes_what_is_over(self, tmp_path: Path) -> None:
        """In steps, each behind the writes that came meanwhile."""
        path = tmp_path / "cache.db"
        await fill(path, {str(n).encode(): b"v" * 100 for n in range(1_200)}, ttl_s=60.0)

        async with opened(path) as one:
            one.wall.now += 61.0
            one.store.sweep()
            await eventually(lambda: _count(path) == 0)

    async def test_bounds_change_while_it_runs(self, tmp_path: Path) -> None:
        """The next sweep finds the new one."""
        path = tmp_path / "cache.db"
        await fill(path, {str(n).encode(): b"v" * 4_000 for n in range(1_000)})

        async with opened(path) as one:
            one.store.retune(1024 * 1024, None)
            async with asyncio.timeout(5.0):
                while one.store.statistics().size_bytes > 1024 * 1024:
                    one.store.sweep()
                    await asyncio.sleep(0.01)


class TestDamage:
    async def test_a_broken_entry_is_a_miss_and_goes(self, tmp_path: Path) -> None:
        """Better to pay twice than to answer wrong."""
        path = tmp_path / "cache.db"
        await fill(path, {b"k": b"value"})
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE entries SET value = ?", (b"wrong",))

        async with opened(path) as one:
            assert await one.value(b"k") is None
            assert 1 == one.store.statistics().discarded

        assert 0 == _count(path)

    @pytest.mark.parametrize("column", ["written", "expires", "used", "checksum", "size"])
    async def test_a_time_that_is_none_is_a_broken_entry_too(
        self, tmp_path: Path, column: str
    ) -> None:
        """A flipped bit may make a text of a number, which SQLite hands on as it is."""
        path = tmp_path / "cache.db"
        await fill(path, {b"k": b"value"})
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(f"UPDATE entries SET {column} = 'later'")

        async with opened(path) as one:
            assert await one.value(b"k") is None
            assert 1 == one.store.statistics().discarded

    async def test_an_entry_under_another_key_is_a_miss(self, tmp_path: Path) -> None:
        """The checksum is over the key, too."""
        path = tmp_path / "cache.db"
        await fill(path, {b"k": b"value"})
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE entries SET key = ?", (b"other",))

        async with opened(path) as one:
            assert await one.value(b"other") is None

    async def test_a_broken_file_is_told_once_and_not_touched_again(self, tmp_path: Path) -> None:
        """Reads miss, writes are dropped; whoever owns the store replaces it."""
        path = tmp_path / "cache.db"
        await fill(path, {str(n).encode(): b"v" * 500 for n in range(500)})
        spoil(path)

        async with opened(path) as one:
            found = [await one.value(str(n).encode()) for n in range(500)]
            one.store.put(b"new", partial(bytes, 1))
            statistics = one.store.statistics()

        assert None in found
        assert 1 == one.broken
        assert statistics.dropped == 1
        assert "malformed" in one.told[0]

    async def test_a_locked_file_costs_the_writes_and_no_more(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process holds the lock for longer than we wait; reading goes on."""
        monkeypatch.setattr("dspex.cache.disk.database._BUSY_S", 0.02)
        monkeypatch.setattr("dspex.cache.disk.database.Database.connect", _impatient)
        path = tmp_path / "cache.db"
        await fill(path, {b"k": b"value"})
        async with opened(path) as one:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                one.store.put(b"lost", partial(bytes, 1))
                await eventually(lambda: one.faults.count > 0)

                assert b"value" == await one.value(b"k")
                other.execute("ROLLBACK")

            one.store.put(b"kept", partial(bytes, 1))

        statistics = one.store.statistics()
        assert (1, 1, 0) == (statistics.written, statistics.dropped, one.broken)
        assert "locked" in one.told[0]

    async def test_a_full_disk_costs_the_writes_and_no_more(self, tmp_path: Path) -> None:
        """What is there is still found, and writing goes on when there is room again."""
        path = tmp_path / "cache.db"
        await fill(path, {b"k": b"value"})
        async with opened(path) as one:
            with no_room():
                for number in range(20):
                    one.store.put(str(number).encode(), partial(bytes, LARGE))

                await eventually(lambda: one.faults.count > 0)

                assert b"value" == await one.value(b"k")

            one.store.put(b"after", partial(bytes, 1))

        statistics = one.store.statistics()
        assert 20 == statistics.dropped
        assert (1, 0) == (statistics.written, one.broken)

    async def test_what_cannot_be_encoded_is_dropped_alone(self, tmp_path: Path) -> None:
        """The others of its batch are written."""

        def fail() -> bytes:
            raise TypeError("no JSON")

        async with opened(tmp_path / "cache.db") as one:
            one.store.put(b"bad", fail)
            one.store.put(b"good", partial(bytes, 1))

        statistics = one.store.statistics()
        assert (1, 1, 1) == (statistics.written, statistics.dropped, statistics.faults)

    async def test_a_reader_that_hangs_is_not_waited_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A network disk that is gone makes misses and no stop."""
        monkeypatch.setattr("dspex.cache.disk.store._READ_TIMEOUT_S", 0.01)
        path = tmp_path / "cache.db"
        await fill(path, {b"k": LARGE})
        async with opened(path) as one:
            with monkeypatch.context() as patch:
                patch.setattr(one.store._reader, "offer", lambda _: True)
                assert await one.value(b"k") is None

            assert 1 == one.faults.count

    async def test_too_many_reads_are_misses(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The queue is bounded."""
        monkeypatch.setattr("dspex.cache.disk.store._MAX_READS_WAITING", 0)
        path = tmp_path / "cache.db"
        await fill(path, {b"k": LARGE})
        async with opened(path) as one:
            assert await one.value(b"k") is None
            assert 1 == one.faults.count


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for the threads to get there."""
    for _ in range(1_000):
        if condition():
            return

        await asyncio.sleep(0.005)

    raise AssertionError("it did not come to that")


def spoil(path: Path) -> None:
    """Write noise over every page of the table but the first."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))


def _impatient(self: Any, *, busy_s: float = 0.02) -> sqlite3.Connection:
    return sqlite3.connect(
        self.path, timeout=min(busy_s, 0.02), isolation_level=None, check_same_thread=False
    )


def _count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM entries").fetchone()
        return int(count)


@contextmanager
def no_room() -> Iterator[None]:
    """Let no file of this process grow beyond 200 KB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
