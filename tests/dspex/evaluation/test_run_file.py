"""The file of a run: what it holds, what it refuses, and what it survives."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from dspex.errors import EvaluationError
from dspex.evaluation.fingerprint import Fingerprint
from dspex.evaluation.outcome import Outcome, Status
from dspex.evaluation.records import frame
from dspex.evaluation.run_file import Fsync, RunFile, read_run
from dspex.evaluation.run_head import RunHead

HEAD = RunHead(
    "first",
    program=Fingerprint("P", "aa"),
    metric=Fingerprint("m", "bb"),
    models=("p/a",),
    options={"seed": 0},
)


def outcome(index: int) -> Outcome:
    """Return an outcome."""
    return Outcome(index, f"{index:016x}", Status.SCORED, score=1.0, latency_s=0.5)


async def session(path: Path, *indices: int, head: RunHead = HEAD, **options: Any) -> list[Outcome]:
    """Begin the run, add outcomes, and return what was recorded before."""
    found: list[Outcome] = []
    file = RunFile(path, **options)
    await file.begin(head, lambda outcome, _: found.append(outcome))
    for index in indices:
        await file.put(outcome(index))

    await file.close()
    return found


class TestSessions:
    @pytest.mark.parametrize("fsync", ["always", "interval", "off"])
    async def test_outcomes_come_back(self, tmp_path: Path, fsync: Fsync) -> None:
        """What one session wrote the next one finds, oldest first."""
        path = tmp_path / "runs" / "a.run"
        assert await session(path, 3, 1, fsync=fsync) == []
        assert await session(path, 2, fsync=fsync) == [outcome(3), outcome(1)]
        assert await session(path, fsync=fsync) == [outcome(3), outcome(1), outcome(2)]
        assert list(read_run(path)) == [outcome(3), outcome(1), outcome(2)]

    async def test_numbers_find_outcomes(self, tmp_path: Path) -> None:
        """Those of earlier sessions as well as those of this one."""
        path = tmp_path / "a.run"
        await session(path, 1)
        numbers: list[int] = []
        file = RunFile(path)
        await file.begin(HEAD, lambda _, number: numbers.append(number))
        numbers.append(await file.put(outcome(2)))
        await file.close()
        assert list(file.read(numbers)) == [outcome(1), outcome(2)]

    async def test_many(self, tmp_path: Path) -> None:
        """More than are read at a time."""
        path = tmp_path / "a.run"
        await session(path, *range(1_234))
        assert [found.index for found in await session(path)] == list(range(1_234))

    async def test_says_who_writes_and_how(self, tmp_path: Path) -> None:
        """The head once, and a record for each session."""
        path = tmp_path / "a.run"
        await session(path)
        await session(path)
        head, *sessions = (orjson.loads(line[9:]) for line in path.read_bytes().splitlines())
        assert head["run"]["program"] == {"name": "P", "digest": "aa"}
        assert [record["session"]["pid"] for record in sessions] == [os.getpid()] * 2
        assert sessions[0]["session"]["options"] == {"seed": 0}


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"run_id": "other"}, r"holds the run 'first', not 'other'"),
            ({"program": Fingerprint("P", "cc")}, r"another program: P \(aa\) then, P \(cc\) now"),
            ({"metric": Fingerprint("n", "bb")}, r"another metric: m \(bb\) then, n \(bb\) now"),
            ({"models": ("p/x", "p/y")}, r"another model: p/a then, p/x, p/y now"),
        ],
    )
    async def test_another_run(self, tmp_path: Path, change: dict[str, Any], named: str) -> None:
        """What differs is named, with both sides."""
        path = tmp_path / "a.run"
        await session(path, 1)
        other = replace(HEAD, **change)
        before = path.read_bytes()
        with pytest.raises(EvaluationError, match=named):
            await session(path, 2, head=other)

        assert path.read_bytes() == before

    async def test_a_newer_file(self, tmp_path: Path) -> None:
        """A file that this version does not know is left alone."""
        path = tmp_path / "a.run"
        head = orjson.loads(HEAD.to_json())["run"]
        path.write_bytes(frame(orjson.dumps({"run": head | {"version": 2}})))
        with pytest.raises(EvaluationError, match="has version 2, and this version of dspex knows"):
            await session(path)

    @pytest.mark.parametrize("content", [frame(b"[]"), frame(b'{"index":0}'), frame(b"{}")])
    async def test_another_kind_of_file(self, tmp_path: Path, content: bytes) -> None:
        """A file of records that are not a run's is not written to."""
        path = tmp_path / "a.run"
        path.write_bytes(content)
        with pytest.raises(EvaluationError, match="is not a run file"):
            await session(path)

        with pytest.raises(EvaluationError, match="is not a run file"):
            list(read_run(path))

        assert path.read_bytes() == content

    async def test_a_file_of_something_else(self, tmp_path: Path) -> None:
        """Text that holds no record at all is not taken for a torn end and cut off."""
        path = tmp_path / "notes.txt"
        path.write_text("my notes\nmore of them\n")
        with pytest.raises(EvaluationError, match="is not a run file"):
            await session(path)

        assert path.read_text() == "my notes\nmore of them\n"

    async def test_an_outcome_of_another_shape(self, tmp_path: Path) -> None:
        """A whole record that cannot be understood is no torn end."""
        path = tmp_path / "a.run"
        await session(path)
        with path.open("ab") as file:
            file.write(frame(b'{"index":0}'))

        with pytest.raises(EvaluationError, match="a record is no outcome: KeyError"):
            await session(path)

    async def test_two_at_a_time(self, tmp_path: Path) -> None:
        """The second is told who is at it; nothing is written twice."""
        path = tmp_path / "a.run"
        file = RunFile(path)
        await file.begin(HEAD, lambda *_: None)
        with pytest.raises(EvaluationError, match=rf"another process \(number {os.getpid()}\)"):
            await session(path)

        with pytest.raises(EvaluationError, match="in use by another run in this process"):
            await file.begin(HEAD, lambda *_: None)

        await file.close()
        assert await session(path) == []

    async def test_not_begun(self, tmp_path: Path) -> None:
        """It cannot be written to by hand."""
        with pytest.raises(EvaluationError, match="is not open"):
            await RunFile(tmp_path / "a.run").put(outcome(0))

    async def test_a_place_that_holds_nothing(self, tmp_path: Path) -> None:
        """A number of another file is found out."""
        path = tmp_path / "a.run"
        await session(path, 1)
        with pytest.raises(EvaluationError, match="no whole record at byte 3"):
            list(RunFile(path).read([3]))

    @pytest.mark.parametrize(
        "options",
        [{"fsync": "sometimes"}, {"fsync_interval_s": 0}, {"flush_interval_s": -1}],
    )
    def test_options(self, options: dict[str, Any]) -> None:
        """Impossible ones are refused at once."""
        with pytest.raises(EvaluationError, match=next(iter(options))):
            RunFile("a.run", **options)


class TestTornEnds:
    @pytest.mark.parametrize("cut", [1, 5, 20])
    async def test_torn_record_is_cut_off(
        self, tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The rest is kept, a note is left, and the file is sound again."""
        path = tmp_path / "a.run"
        await session(path, 1, 2)
        path.write_bytes(path.read_bytes()[:-cut])
        with caplog.at_level(logging.WARNING):
            assert await session(path, 3) == [outcome(1)]

        assert "cut off a torn end of" in caplog.text
        assert await session(path) == [outcome(1), outcome(3)]

    async def test_torn_head(self, tmp_path: Path) -> None:
        """A run that was killed while it was begun is begun again."""
        path = tmp_path / "a.run"
        await session(path)
        head = path.read_bytes().splitlines(keepends=True)[0]
        path.write_bytes(head[:-7])
        assert await session(path, 1) == []
        assert await session(path) == [outcome(1)]

    @pytest.mark.parametrize("content", [b"hello", b"password=", b"12345678-"])
    async def test_a_short_file_of_something_else(self, tmp_path: Path, content: bytes) -> None:
        """It is no head that was cut off, and is left alone."""
        path = tmp_path / "a.run"
        path.write_bytes(content)
        with pytest.raises(EvaluationError, match="is not a run file"):
            await session(path)

        assert path.read_bytes() == content

    async def test_head_cut_off_anywhere(self, tmp_path: Path) -> None:
        """The run is begun again."""
        path = tmp_path / "a.run"
        await session(path)
        head = path.read_bytes().splitlines(keepends=True)[0]
        for length in range(len(head)):
            path.write_bytes(head[:length])
            assert await session(path, 1) == []

    async def test_no_place_for_it(self, tmp_path: Path) -> None:
        """The error names the file and what is wrong with it."""
        (tmp_path / "file").write_text("x")
        (tmp_path / "folder.run").mkdir()
        for path in (tmp_path / "file" / "a.run", tmp_path / "folder.run"):
            with pytest.raises(EvaluationError, match=r"cannot be kept in .*(directory|exists)"):
                await session(path)

    async def test_damage_in_the_middle(self, tmp_path: Path) -> None:
        """It is named and nothing is lost."""
        path = tmp_path / "a.run"
        await session(path, 1, 2)
        broken = path.read_bytes().replace(b'"index":1', b'"index":7')
        path.write_bytes(broken)
        with pytest.raises(EvaluationError, match=r"line 3, at byte .* is damaged"):
            await session(path)

        assert path.read_bytes() == broken

    async def test_every_length(self, tmp_path: Path) -> None:
        """Wherever a kill cuts the file, the next session finds a beginning of what was written."""
        whole = tmp_path / "whole.run"
        await session(whole, 1, 2)
        data = whole.read_bytes()
        head = len(data.splitlines(keepends=True)[0])
        for length in range(head, len(data), 7):
            path = tmp_path / "cut.run"
            path.write_bytes(data[:length])
            assert [o.index for o in await session(path)] in ([], [1], [1, 2])


class TestSafety:
    async def test_always_is_on_the_disk_when_put_returns(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each outcome is synced before it counts."""
        path = tmp_path / "a.run"
        synced = [0]
        real = os.fsync

        def fsync(fd: int) -> None:
            real(fd)
            synced.append(os.fstat(fd).st_size)

        monkeypatch.setattr(os, "fsync", fsync)
        file = RunFile(path, fsync="always")
        await file.begin(HEAD, lambda *_: None)
        for index in range(3):
            place = await file.put(outcome(index))
            assert synced[-1] > place

        await file.close()

    @pytest.mark.parametrize(("fsync", "synced"), [("interval", True), ("off", False)])
    async def test_intervals(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: Fsync, synced: bool
    ) -> None:
        """What was written is synced within the interval, also when nothing follows it."""
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(os, "fsync", lambda _: loop.call_soon_threadsafe(done.set))
        file = RunFile(
            tmp_path / "a.run", fsync=fsync, fsync_interval_s=0.03, flush_interval_s=0.001
        )
        await file.begin(HEAD, lambda *_: None)
        await file.put(outcome(0))
        done.clear()
        try:
            async with asyncio.timeout(5 if synced else 0.1):
                await done.wait()
        except TimeoutError:
            assert not synced
        else:
            assert synced

        await file.close()

    async def test_flushed_without_being_asked(self, tmp_path: Path) -> None:
        """An outcome is in the file within the flush interval, for a kill to find it there."""
        path = tmp_path / "a.run"
        file = RunFile(path, flush_interval_s=0.001)
        await file.begin(HEAD, lambda *_: None)
        await file.put(outcome(0))
        for _ in range(500):
            await asyncio.sleep(0.002)
            if list(read_run(path)):
                break

        assert list(read_run(path)) == [outcome(0)]
        await file.close()

    async def test_failing_sync_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk that cannot keep its promise ends the run."""
        gone = False

        def fsync(_: int) -> None:
            if gone:
                raise OSError("disk gone")

        monkeypatch.setattr(os, "fsync", fsync)
        file = RunFile(tmp_path / "a.run", fsync="always")
        await file.begin(HEAD, lambda *_: None)
        gone = True
        with pytest.raises(OSError, match="disk gone"):
            await file.put(outcome(0))

        with pytest.raises(OSError, match="disk gone"):
            await file.close()

    async def test_closing_twice(self, tmp_path: Path) -> None:
        """The second time does nothing."""
        file = RunFile(tmp_path / "a.run")
        await file.begin(HEAD, lambda *_: None)
        await file.close()
        await file.close()

    async def test_the_lock_is_gone_when_close_returns(self, tmp_path: Path) -> None:
        """The next session need not wait."""
        for index in range(20):
            assert len(await session(tmp_path / "a.run", index)) == index

    async def test_cancelled_begin_leaves_no_lock(self, tmp_path: Path) -> None:
        """Nor does one that is refused."""
        path = tmp_path / "a.run"
        await session(path, *range(600))
        for turns in range(12):
            task = asyncio.create_task(session(path))
            for _ in range(turns):
                await asyncio.sleep(0.0005)

            task.cancel()
            await asyncio.wait([task])

        async with asyncio.timeout(5):
            while True:
                try:
                    assert len(await session(path)) == 600
                except EvaluationError:
                    await asyncio.sleep(0.005)
                else:
                    return


@pytest.mark.chaos
def test_killed_while_it_writes(tmp_path: Path) -> None:
    """Whatever "always" had acknowledged is there after a SIGKILL."""
    path = tmp_path / "a.run"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    with process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(50)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]

    found = [outcome.index for outcome in read_run(path)]
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1


WRITER = """
import asyncio, itertools, sys
from dspex.evaluation.fingerprint import Fingerprint
from dspex.evaluation.outcome import Outcome, Status
from dspex.evaluation.run_file import RunFile
from dspex.evaluation.run_head import RunHead

async def main():
    file = RunFile(sys.argv[1], fsync="always")
    same = Fingerprint("P", "aa")
    head = RunHead("first", program=same, metric=same, options={})
    await file.begin(head, lambda *_: None)
    for index in itertools.count():
        outcome = Outcome(index, f"{index:016x}", Status.SCORED, score=1.0, latency_s=0.5)
        await file.put(outcome)
        print(index, flush=True)

asyncio.run(main())
"""
