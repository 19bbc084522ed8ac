"""The writing thread: in order, bounded, and honest about failure."""

from __future__ import annotations

import asyncio
import threading

import pytest

from dspex.errors import EvaluationError
from dspex.evaluation.writer import BlockWriter, TemporaryFile

BLOCK = b"x" * (1 << 16)


class TestBlockWriter:
    async def test_writes_in_order(self) -> None:
        """Blocks arrive as they were taken, however many there are."""
        written: list[bytes] = []
        writer = BlockWriter(written.append)
        expected = [bytes([65 + number % 26]) * 40_000 for number in range(50)]
        for data in expected:
            await writer.append(data)

        await writer.close()
        assert b"".join(written) == b"".join(expected)

    async def test_slow_disk_makes_append_wait(self) -> None:
        """What waits to be written is bounded: then the producer waits."""
        gate = threading.Event()

        def write(_: bytes) -> None:
            gate.wait(10)

        writer = BlockWriter(write)
        taken = 0

        async def produce() -> None:
            nonlocal taken
            for _ in range(200):
                await writer.append(BLOCK)
                taken += 1

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            for _ in range(1_000):
                await asyncio.sleep(0)

            assert taken < 100
            gate.set()

        assert taken == 200
        await writer.close()

    async def test_cancelled_append_loses_nothing(self) -> None:
        """A producer that is cancelled while it waits leaves the write going."""
        gate, written = threading.Event(), bytearray()

        def write(block: bytes) -> None:
            gate.wait(10)
            written.extend(block)

        writer = BlockWriter(write)

        async def produce() -> None:
            while True:
                await writer.append(BLOCK)

        task = asyncio.create_task(produce())
        for _ in range(300):
            await asyncio.sleep(0)

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        gate.set()
        await writer.close()
        assert len(written) > 1 << 22
        assert len(written) % len(BLOCK) == 0

    async def test_failure_is_raised_by_close_and_stays(self) -> None:
        """The error of a write comes out at the next chance."""

        def write(_: bytes) -> None:
            raise OSError("no space")

        writer = BlockWriter(write)
        await writer.append(b"x")
        with pytest.raises(OSError, match="no space"):
            await writer.close()

        with pytest.raises(OSError, match="no space"):
            await writer.append(b"y")

    async def test_nothing_follows_half_a_line(self) -> None:
        """A disk that was full may have taken a part: what comes after it would be damage."""
        written: list[bytes] = []

        def write(block: bytes) -> None:
            written.append(block)
            if len(written) == 2:
                raise OSError("no space")

        writer = BlockWriter(write)
        await writer.append(b"one")
        await writer.flush()
        await writer.append(b"two")
        with pytest.raises(OSError, match="no space"):
            await writer.flush()

        writer = BlockWriter(write)
        written.clear()
        for _ in range(3):
            await writer.append(BLOCK)

        with pytest.raises(OSError, match="no space"):
            await writer.close()

        assert len(written) == 2

    async def test_on_close_comes_last(self) -> None:
        """The file is let go only when everything is written, even if that failed."""
        seen: list[str] = []
        done = threading.Event()

        def write(_: bytes) -> None:
            seen.append("write")
            raise OSError("no space")

        def on_close() -> None:
            seen.append("close")
            done.set()

        writer = BlockWriter(write, on_close=on_close)
        await writer.append(b"x")
        with pytest.raises(OSError, match="no space"):
            await writer.close()

        assert await asyncio.to_thread(done.wait, 5)
        assert seen == ["write", "close"]


class TestTemporaryFile:
    async def test_reading_what_is_not_written_yet(self) -> None:
        """A line that is still buffered is an error that says what to do."""
        file = TemporaryFile()
        place = await file.append(b"line")
        with pytest.raises(EvaluationError, match="close the sink before reading"):
            file.line_at(place)

        await file.close()
        assert file.line_at(place) == b"line"


class TestSyncing:
    async def test_each_block_at_once(self) -> None:
        """What is flushed is written and brought to safety, in this order."""
        done: list[str] = []
        writer = BlockWriter(
            lambda block: done.append(block.decode()), sync=lambda: done.append("sync")
        )
        await writer.append(b"a")
        await writer.flush()
        assert done == ["a", "sync"]
        await writer.append(b"b")
        await writer.close()
        assert done[:4] == ["a", "sync", "b", "sync"]

    async def test_every_so_often(self) -> None:
        """Several blocks share one, and the last comes with the end."""
        done: list[str] = []
        writer = BlockWriter(
            lambda block: done.append(block.decode()),
            sync=lambda: done.append("sync"),
            sync_interval_s=60,
        )
        for text in (b"a", b"b"):
            await writer.append(text)
            await writer.flush()

        assert done == ["a", "b"]
        await writer.close()
        assert done == ["a", "b", "sync"]

    async def test_failure_is_told_once_it_happened(self) -> None:
        """By the next append, and again by the end."""

        def sync() -> None:
            raise OSError("gone")

        writer = BlockWriter(lambda _: None, sync=sync)
        await writer.append(b"a")
        with pytest.raises(OSError, match="gone"):
            await writer.flush()

        with pytest.raises(OSError, match="gone"):
            await writer.append(b"b")

        with pytest.raises(OSError, match="gone"):
            await writer.close()

    async def test_closed_in_its_turn(self) -> None:
        """After the last block, and before `close` returns."""
        done: list[str] = []
        writer = BlockWriter(
            lambda block: done.append(block.decode()), on_close=lambda: done.append("close")
        )
        await writer.append(b"a")
        await writer.close()
        assert done == ["a", "close"]
