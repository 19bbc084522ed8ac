"""Sinks keep what they are given, in order, and give it back."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from dspex.errors import EvaluationError
from dspex.evaluation.outcome import Outcome, Status
from dspex.evaluation.sink import JsonlSink, MemorySink, SpillSink, Store, read_outcomes


def outcome(index: int, text: str = "x") -> Outcome:
    """Return a scored outcome."""
    return Outcome(index, f"{index:016x}", Status.SCORED, score=1.0, prediction={"answer": text})


def open_files() -> int:
    """Count the file descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a thread does."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a thread tells nobody
            await asyncio.sleep(0.001)


stores = pytest.mark.parametrize(
    "build",
    [
        lambda _: MemorySink(),
        lambda _: SpillSink(),
        lambda _: SpillSink(memory_bytes=0),
        lambda _: SpillSink(memory_bytes=1_000),
        lambda folder: JsonlSink(folder / "outcomes.jsonl"),
    ],
    ids=["memory", "spill in memory", "spill in a file", "spill in both", "jsonl"],
)


@stores
class TestStores:
    async def test_reads_back_by_number(
        self, build: Callable[[Path], Store], tmp_path: Path
    ) -> None:
        """Each number gives the outcome it was handed out for, in the order asked."""
        store = build(tmp_path)
        numbers = [await store.put(outcome(index)) for index in range(50)]
        await store.close()
        assert [row.index for row in store.read(reversed(numbers))] == list(range(49, -1, -1))

    async def test_long_outcomes(self, build: Callable[[Path], Store], tmp_path: Path) -> None:
        """An outcome longer than any block comes back whole."""
        store = build(tmp_path)
        long = "line\n" * 40_000
        numbers = [await store.put(outcome(0, long)), await store.put(outcome(1, "short"))]
        await store.close()
        assert [row.prediction for row in store.read(numbers)] == [
            {"answer": long},
            {"answer": "short"},
        ]

    async def test_goes_on_after_close(
        self, build: Callable[[Path], Store], tmp_path: Path
    ) -> None:
        """A closed sink takes more and keeps what it had."""
        store = build(tmp_path)
        first = await store.put(outcome(0))
        await store.close()
        second = await store.put(outcome(1))
        await store.close()
        assert [row.index for row in store.read([first, second])] == [0, 1]

    async def test_close_twice(self, build: Callable[[Path], Store], tmp_path: Path) -> None:
        """Closing again changes nothing."""
        store = build(tmp_path)
        number = await store.put(outcome(0))
        await store.close()
        await store.close()
        assert [row.index for row in store.read([number])] == [0]

    async def test_says_what_it_is(self, build: Callable[[Path], Store], tmp_path: Path) -> None:
        """The representation names the class."""
        store = build(tmp_path)
        assert type(store).__name__ in repr(store)


class TestMemorySink:
    async def test_iterates_in_order_of_arrival(self) -> None:
        """All outcomes can be looked at, with their number."""
        sink = MemorySink()
        for index in (2, 0, 1):
            await sink.put(outcome(index))

        assert [row.index for row in sink] == [2, 0, 1]
        assert len(sink) == 3


class TestSpillSink:
    async def test_no_file_while_small(self) -> None:
        """A small run touches no disk."""
        before = open_files()
        sink = SpillSink()
        await sink.put(outcome(0))
        assert open_files() == before

    async def test_file_goes_with_the_sink(self) -> None:
        """The temporary file has no name and is gone when nobody reads from it."""
        gc.collect()
        before = open_files()
        sink = SpillSink(memory_bytes=0)
        await sink.put(outcome(0))
        await sink.close()
        assert open_files() == before + 1
        del sink
        gc.collect()
        assert open_files() == before


class TestJsonlSink:
    async def test_lines_arrive_soon(self, tmp_path: Path) -> None:
        """Without a close, lines are in the file after the interval."""
        path = tmp_path / "o.jsonl"
        sink = JsonlSink(path, flush_interval_s=0.001)
        await sink.put(outcome(0))
        await until(lambda: bool(path.read_bytes()))
        assert [row.index for row in read_outcomes(path)] == [0]
        await sink.close()

    async def test_appends_to_an_earlier_run(self, tmp_path: Path) -> None:
        """A second sink on the same file adds to it, and its numbers fit."""
        path = tmp_path / "o.jsonl"
        for index in (0, 1):
            sink = JsonlSink(path)
            number = await sink.put(outcome(index))
            await sink.close()
            assert [row.index for row in sink.read([number])] == [index]

        assert [row.index for row in read_outcomes(path)] == [0, 1]

    @pytest.mark.parametrize("cut", [1, 20, 60])
    async def test_torn_line_is_removed(self, tmp_path: Path, cut: int) -> None:
        """What a killed process left half-written is gone when the file is opened again."""
        path = tmp_path / "o.jsonl"
        whole = outcome(0).to_json() + b"\n"
        path.write_bytes(whole + outcome(1).to_json()[:cut])
        sink = JsonlSink(path)
        await sink.put(outcome(2))
        await sink.close()
        assert path.read_bytes() == whole + outcome(2).to_json() + b"\n"

    async def test_long_torn_line(self, tmp_path: Path) -> None:
        """A torn line longer than a block is found as well."""
        path = tmp_path / "o.jsonl"
        path.write_bytes(outcome(0).to_json() + b"\n" + outcome(1, "x" * 200_000).to_json()[:-1])
        sink = JsonlSink(path)
        await sink.put(outcome(2))
        await sink.close()
        assert [row.index for row in read_outcomes(path)] == [0, 2]

    async def test_foreign_file_is_left_alone(self, tmp_path: Path) -> None:
        """A file that is not ours is refused and not shortened."""
        path = tmp_path / "notes.txt"
        path.write_bytes(b"first\nsecond, without an end")
        before = open_files()
        with pytest.raises(EvaluationError, match=r"second, without an end.*file of its own"):
            await JsonlSink(path).put(outcome(0))

        assert path.read_bytes() == b"first\nsecond, without an end"
        assert open_files() == before

    async def test_missing_folder(self, tmp_path: Path) -> None:
        """A folder that does not exist is an error at the first outcome."""
        with pytest.raises(FileNotFoundError):
            await JsonlSink(tmp_path / "no" / "o.jsonl").put(outcome(0))

    async def test_close_lets_go_of_the_file(self, tmp_path: Path) -> None:
        """After close no descriptor stays open."""
        before = open_files()
        sink = JsonlSink(tmp_path / "o.jsonl")
        await sink.put(outcome(0))
        await sink.close()
        await until(lambda: open_files() <= before)  # the writing thread closes it

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
    async def test_full_disk_is_raised(self) -> None:
        """What cannot be written is an error of close, not silence."""
        sink = JsonlSink("/dev/full")
        await sink.put(outcome(0))
        with pytest.raises(OSError, match="No space left"):
            await sink.close()

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
    async def test_full_disk_is_raised_by_a_later_put(self) -> None:
        """A run learns of a full disk while it runs."""
        sink = JsonlSink("/dev/full", flush_interval_s=0.001)
        await sink.put(outcome(0))
        await asyncio.sleep(0.05)
        with pytest.raises(OSError, match="No space left"):
            await sink.put(outcome(1))

        with pytest.raises(OSError, match="No space left"):
            await sink.close()


class TestReadOutcomes:
    def test_torn_last_line_is_left_out(self, tmp_path: Path) -> None:
        """The file of a killed run is read up to its last whole line."""
        path = tmp_path / "o.jsonl"
        path.write_bytes(outcome(0).to_json() + b"\n" + outcome(1).to_json())
        assert [row.index for row in read_outcomes(path)] == [0]

    @pytest.mark.parametrize("line", [b"garbage", b"[]", b'{"index": 1}', b"", b"null"])
    def test_line_that_is_no_outcome(self, tmp_path: Path, line: bytes) -> None:
        """A whole line that is no outcome is an error that names it."""
        path = tmp_path / "o.jsonl"
        path.write_bytes(outcome(0).to_json() + b"\n" + line + b"\n")
        with pytest.raises(EvaluationError, match="line 2 is not an outcome"):
            list(read_outcomes(path))
