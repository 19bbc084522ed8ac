"""The child owns the cache; with its disk, without it, and when it breaks, calls are answered."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from dspex.cache import ResponseCache, cache_child
from dspex.config import CacheSettings, ProviderSettings
from dspex.messages import Choice, Message, Request, Response
from dspex.runtime import Runtime
from dspex.telemetry import CACHE_FAULT, CACHE_HIT, CACHE_MISS
from dspex.testing import FakeTransport, chat_reply
from supervision import Bus
from supervision.testing import crash


class Watched:
    """A bus with what was announced on it."""

    def __init__(self, bus: Bus | None = None) -> None:
        self.bus = bus or Bus()
        self.events: list[tuple[str, Any]] = []
        self.bus.attach_many("test", (CACHE_FAULT, CACHE_HIT, CACHE_MISS), self._note)

    def _note(self, event: tuple[str, ...], measured: Any, about: Any, config: object) -> None:
        self.events.append((event[-1], about.get("error") or about.get("level")))

    @property
    def faults(self) -> list[str]:
        return [words for name, words in self.events if name == "fault"]


@asynccontextmanager
async def child(settings: CacheSettings, bus: Bus | None = None) -> AsyncIterator[ResponseCache]:
    up: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(cache_child(lambda: settings, bus or Bus(), ready=up.set_result))
    try:
        yield await up
    finally:
        task.cancel()
        await asyncio.wait([task])


async def eventually(condition: Any) -> None:
    for _ in range(1_000):
        if condition():
            return

        await asyncio.sleep(0.005)

    raise AssertionError("it did not come to that")


def answer(text: str = "yes") -> Response:
    return Response((Choice(text),), model="m")


class TestMemoryAlone:
    @pytest.mark.virtual_time
    async def test_answers_age_by_the_clock_of_the_loop(self) -> None:
        """What waits on one clock and ages by another drifts."""
        async with child(CacheSettings(ttl_s=60.0)) as cache:
            cache.put("k", answer())

            await asyncio.sleep(59.0)
            assert cache.get("k") is not None
            await asyncio.sleep(2.0)
            assert cache.get("k") is None


class TestDisk:
    async def test_what_was_put_before_the_end_is_there_at_the_next_start(
        self, tmp_path: Path
    ) -> None:
        """The end waits for the writes that are under way."""
        settings = CacheSettings(path=tmp_path / "cache.db")
        async with child(settings) as cache:
            for number in range(1_000):
                cache.put(str(number), answer(str(number)))

        async with child(settings) as cache:
            texts = [(await cache.fetch(str(number))).text for number in range(1_000)]

        assert [str(number) for number in range(1_000)] == texts

    async def test_an_answer_from_disk_is_then_in_memory(self, tmp_path: Path) -> None:
        """And is a hit at both."""
        settings = CacheSettings(path=tmp_path / "cache.db")
        async with child(settings) as cache:
            cache.put("k", answer())

        async with child(settings) as cache:
            assert cache.get("k") is None
            found: Response = await cache.fetch("k")
            again: Response | None = cache.get("k")
            statistics = cache.statistics()

        assert found == again
        assert (found.cached, found.usage.cache_hits) == (True, 1)
        assert (1, 1, 2, 0) == (
            statistics.memory_hits,
            statistics.disk_hits,
            statistics.hits,
            statistics.misses,
        )

    async def test_an_answer_from_disk_keeps_its_age(self, tmp_path: Path) -> None:
        """In memory it lives for what is left of its time."""
        settings = CacheSettings(path=tmp_path / "cache.db", ttl_s=3_600.0)
        async with child(settings) as cache:
            cache.put("k", answer())

        with closing(sqlite3.connect(settings.path or "", isolation_level=None)) as other:
            other.execute("UPDATE entries SET written = written - 3000")

        async with child(settings) as cache:
            assert await cache.fetch("k") is not None
            end = cache._memory._entries["k"][1]

            assert end is not None
            assert end - asyncio.get_running_loop().time() <= 600

    async def test_results_of_programs_are_on_disk_too(self, tmp_path: Path) -> None:
        """For the next process."""
        settings = CacheSettings(path=tmp_path / "cache.db")
        async with child(settings) as cache:
            cache.put_json("program", "k", {"answer": 4})

        async with child(settings) as cache:
            assert {"answer": 4} == await cache.get_json("program", "k")
            assert {"answer": 4} == await cache.get_json("program", "k")
            statistics = cache.statistics()

        assert (1, 1) == (statistics.memory_hits, statistics.disk_hits)

    async def test_an_entry_that_is_no_answer_is_discarded(self, tmp_path: Path) -> None:
        """Whole, and yet nothing of use: another program wrote it."""
        settings = CacheSettings(path=tmp_path / "cache.db")
        async with child(settings) as cache:
            assert cache.disk is not None
            from dspex.cache.keys import disk_key

            cache.disk.put(disk_key("k"), lambda: b"[1, 2]")

        async with child(settings) as cache:
            assert await cache.fetch("k") is None
            assert cache.disk is not None
            assert 1 == cache.disk.statistics().discarded

        async with child(settings) as cache:
            assert await cache.fetch("k") is None
            assert cache.disk is not None
            assert (0, 1) == (cache.disk.statistics().discarded, cache.disk.statistics().misses)


class TestTrouble:
    @pytest.mark.parametrize("kind", ["a file for a folder", "a newer file", "a foreign file"])
    async def test_without_its_file_it_works_in_memory(self, tmp_path: Path, kind: str) -> None:
        """And says why, once, with the path."""
        path = tmp_path / "cache.db"
        if kind == "a file for a folder":
            path.write_text("")
            path = path / "cache.db"
        else:
            statement = "PRAGMA user_version = 9" if "newer" in kind else "CREATE TABLE mine (id)"
            if "newer" in kind:
                async with child(CacheSettings(path=path)):
                    pass

            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute(statement)

        watched = Watched()
        async with child(CacheSettings(path=path), watched.bus) as cache:
            cache.put("k", answer())
            assert cache.get("k") is not None
            assert await cache.fetch("other") is None
            assert cache.disk is None
            await eventually(lambda: watched.faults)

        assert 1 == len(watched.faults)

    @pytest.mark.virtual_time
    async def test_a_file_that_could_not_be_opened_is_tried_again(self, tmp_path: Path) -> None:
        """The disk was not there yet."""
        blocked = tmp_path / "mount"
        blocked.write_text("")
        async with child(CacheSettings(path=blocked / "cache.db")) as cache:
            assert cache.disk is None
            blocked.unlink()
            await asyncio.sleep(61.0)
            await asyncio.sleep(61.0)

            assert cache.disk is not None

    @pytest.mark.virtual_time
    async def test_a_file_that_is_not_for_us_is_not_tried_again(self, tmp_path: Path) -> None:
        """Nobody but a person can mend that."""
        path = tmp_path / "cache.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("CREATE TABLE mine (id)")

        watched = Watched()
        async with child(CacheSettings(path=path), watched.bus) as cache:
            await asyncio.sleep(300.0)
            assert cache.disk is None

        assert 1 == len(watched.faults)
        assert "database of something else" in watched.faults[0]

    async def test_a_file_that_breaks_is_replaced_while_it_runs(self, tmp_path: Path) -> None:
        """It is moved aside with a warning, and a new one takes its place."""
        settings = CacheSettings(path=tmp_path / "cache.db", max_bytes=1_500)
        watched = Watched()
        async with child(settings) as cache:
            for number in range(500):
                cache.put(str(number), answer("x" * 400))

        assert settings.path is not None
        with settings.path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (settings.path.stat().st_size - 4096))

        async with child(settings, watched.bus) as cache:
            broken = cache.disk
            for number in range(500):
                await cache.fetch(str(number))

            await eventually(lambda: cache.disk is not None and cache.disk is not broken)
            cache.put("k", answer("new"))

        async with child(settings) as cache:
            assert "new" == (await cache.fetch("k")).text

        assert any("is now" in words for words in watched.faults)
        assert 1 == len(list(tmp_path.glob("cache.db.broken-*[0-9]")))

    async def test_a_file_that_is_broken_at_the_start_is_replaced(self, tmp_path: Path) -> None:
        """The same, before the first call."""
        path = tmp_path / "cache.db"
        path.write_bytes(b"not a database" * 1_000)
        watched = Watched()
        async with child(CacheSettings(path=path), watched.bus) as cache:
            cache.put("k", answer())
            await eventually(lambda: watched.faults)

        assert "is now" in watched.faults[0]
        async with child(CacheSettings(path=path)) as cache:
            assert await cache.fetch("k") is not None


def ask(text: str = "hi") -> Request:
    return Request((Message("user", text),))


def runtime(transport: FakeTransport, path: Path, url: str = "http://fake") -> Runtime:
    return Runtime(
        default="fake/m",
        providers={"fake": ProviderSettings(base_url=url)},
        cache=CacheSettings(path=path),
        session=transport.session,
        log="off",
    )


class TestCalls:
    async def test_each_call_is_one_hit_or_one_miss(self, tmp_path: Path) -> None:
        """By the level that answered it."""
        transport = FakeTransport(lambda _: chat_reply("yes"))
        path = tmp_path / "cache.db"
        async with runtime(transport, path) as one:
            watched = Watched(one.bus)
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(one.client().complete(ask()))

            await one.client().complete(ask())

        async with runtime(transport, path) as two:
            later = Watched(two.bus)
            assert (await two.client().complete(ask())).cached
            await two.client().complete(ask(), cache="refresh")

        assert [
            ("miss", None),
            ("hit", "flight"),
            ("hit", "flight"),
            ("hit", "memory"),
        ] == watched.events
        assert [("hit", "disk")] == later.events
        assert 2 == len(transport.requests)

    async def test_a_server_of_the_same_name_elsewhere_is_another(self, tmp_path: Path) -> None:
        """Two projects share the disk and not the meaning of "local"."""
        path = tmp_path / "cache.db"
        async with runtime(FakeTransport(lambda _: chat_reply("one")), path, "http://a") as one:
            await one.client().complete(ask())

        other = FakeTransport(lambda _: chat_reply("two"))
        async with runtime(other, path, "http://b") as two:
            assert "two" == (await two.client().complete(ask())).text

    async def test_equal_calls_read_the_disk_once(self, tmp_path: Path) -> None:
        """The one that leads looks there for all."""
        path = tmp_path / "cache.db"
        transport = FakeTransport(lambda _: chat_reply("yes" * 50_000))
        async with runtime(transport, path) as one:
            await one.client().complete(ask())

        async with runtime(transport, path) as two:
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(two.client().complete(ask())) for _ in range(20)]

            cache = two.statistics().cache
            assert cache is not None
            assert (1, 19) == (cache.disk_hits, cache.shared)

        assert all(call.result().cached for call in calls)
        assert 1 == len(transport.requests)

    async def test_a_reader_that_is_cancelled_hands_over(self, tmp_path: Path) -> None:
        """While it waits for the disk, as while it waits for the provider."""
        path = tmp_path / "cache.db"
        transport = FakeTransport(lambda _: chat_reply("yes" * 50_000))
        async with runtime(transport, path) as one:
            await one.client().complete(ask())

        async with runtime(transport, path) as two:
            client = two.client()
            leader = asyncio.create_task(client.complete(ask()))
            follower = asyncio.create_task(client.complete(ask()))
            await asyncio.sleep(0)
            leader.cancel()

            assert (await follower).cached
            assert leader.cancelled()

        assert 1 == len(transport.requests)

    async def test_a_crash_of_the_cache_leaves_the_disk_whole(self, tmp_path: Path) -> None:
        """What was put is there when the child is back."""
        transport = FakeTransport(lambda _: chat_reply("yes"))
        async with runtime(transport, tmp_path / "cache.db") as one:
            await one.client().complete(ask())
            crash(one.root.ref("services").ref("cache"))
            await eventually(lambda: one.cache is not None)

            assert (await one.client().complete(ask())).cached

        assert 1 == len(transport.requests)
