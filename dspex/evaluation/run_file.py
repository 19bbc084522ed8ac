"""The file of a run: every outcome the moment it exists, and what it takes to go on after a crash.

A run file is a sink that can be read back and resumed. Its first record says whose outcomes these
are; each time the run is begun a record says by whom; all others are outcomes, one for each run of
an example. The last outcome of an example counts.

How much can be lost. Whatever `fsync` is, an outcome is on its way to the system within
`flush_interval_s`: a killed process loses no more than that, and a machine that loses power no
more than its own delay. "interval": the machine loses what came in the last `fsync_interval_s`.
"always": nothing; `put` returns when the outcome is on the disk, which takes some milliseconds for
each and bounds the run's speed. What was lost is run again.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, runtime_checkable

import orjson

from dspex.errors import EvaluationError
from dspex.evaluation.locking import try_lock
from dspex.evaluation.outcome import Outcome
from dspex.evaluation.records import RecordReader, frame, unframe
from dspex.evaluation.run_head import RunHead, head_of, may_be_torn_head, not_a_run_file
from dspex.evaluation.sink import Store
from dspex.evaluation.threads import in_thread
from dspex.evaluation.writer import BlockWriter, appender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ("Fsync", "Resumable", "RunFile", "read_run")

_log: Final = logging.getLogger(__name__)

Fsync: TypeAlias = Literal["always", "interval", "off"]
"""When what is written is forced to the disk: each outcome, every so often, when it likes."""

_OUTCOME: Final = b'{"index":'
_BATCH: Final = 500
_MODE: Final = 0o644
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)
"""Where the system would else change the ends of lines."""


@runtime_checkable
class Resumable(Store, Protocol):
    """A store that knows what an earlier session of the same run has finished."""

    async def begin(self, head: RunHead, take: Callable[[Outcome, int], None]) -> None:
        """Open the run, and hand over what was recorded: outcome and number, oldest first.

        Raises:
            EvaluationError: it is another run, another process is at it, or it is damaged.
        """
        ...


class RunFile:
    """A run's outcomes in one file; give it to `evaluate` as its sink, and the run resumes.

    One process at a time: the file is locked from the run's begin to its end. Not thread-safe.

    Args:
        path: the file; made, with its folder, when the run begins.
        fsync: see the module's docstring.
        fsync_interval_s: how long what is written may wait to be forced to the disk.
        flush_interval_s: how long an outcome waits for others before it is written.
    """

    __slots__ = ("_flush_interval_s", "_fsync", "_fsync_interval_s", "_size", "_writer", "path")

    def __init__(
        self,
        path: str | Path,
        *,
        fsync: Fsync = "interval",
        fsync_interval_s: float = 1.0,
        flush_interval_s: float = 0.02,
    ) -> None:
        if fsync not in ("always", "interval", "off"):
            raise EvaluationError(f"fsync is {fsync!r}; use 'always', 'interval' or 'off'")

        if not (fsync_interval_s > 0 and flush_interval_s >= 0):
            raise EvaluationError(
                f"fsync_interval_s is {fsync_interval_s!r} and flush_interval_s is "
                f"{flush_interval_s!r}; use seconds, the first more than 0"
            )

        self.path = Path(path)
        self._fsync: Fsync = fsync
        self._fsync_interval_s = fsync_interval_s
        self._flush_interval_s = flush_interval_s
        self._size = 0
        self._writer: BlockWriter | None = None

    def __repr__(self) -> str:
        return f"<RunFile {str(self.path)!r}>"

    async def begin(self, head: RunHead, take: Callable[[Outcome, int], None]) -> None:
        """Open the file and hand over what an earlier session recorded in it."""
        if self._writer is not None:
            raise EvaluationError(f"{self!r} is in use by another run in this process")

        opened: list[int] = []  # filled by the thread, which ends also where its result is lost
        try:
            await in_thread(lambda: opened.append(_open_locked(self.path, sync=self._syncs)))
            await self._load(opened[0], head, take)
        except BaseException:
            for fd in opened:
                os.close(fd)

            raise

        self._writer = self._make_writer(opened[0])
        try:
            await self._append({"session": {"pid": os.getpid(), "options": dict(head.options)}})
            await self._writer.flush()
        except BaseException:
            await self.close()
            raise

    async def put(self, outcome: Outcome) -> int:
        """Append one outcome; how safe it then is depends on `fsync`."""
        return await self._append(outcome.to_json())

    async def close(self) -> None:
        """Bring everything to safety and let go of the file and its lock."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    def read(self, numbers: Iterable[int]) -> Iterator[Outcome]:
        """Return the outcomes with these numbers; needs `close` first for the latest ones."""
        with self.path.open("rb") as file:
            for number in numbers:
                file.seek(number)
                payload = unframe(file.readline())
                if payload is None:
                    raise EvaluationError(f"{self.path}: there is no whole record at byte {number}")

                yield Outcome.from_json(payload)

    @property
    def _syncs(self) -> bool:
        return self._fsync != "off"

    async def _append(self, record: bytes | dict[str, Any]) -> int:
        writer = self._writer
        if writer is None:
            raise EvaluationError(f"{self!r} is not open: give it to `evaluate` as its sink")

        line = frame(record if isinstance(record, bytes) else orjson.dumps(record))
        place = self._size
        self._size += len(line)
        await writer.append(line)
        if self._fsync == "always":
            await writer.flush()

        return place

    async def _load(self, fd: int, head: RunHead, take: Callable[[Outcome, int], None]) -> None:
        with self.path.open("rb") as file:
            reader = RecordReader(file, str(self.path))
            records = iter(reader)
            first = await in_thread(partial(next, records, None))
            if first is not None:
                head.check(self.path, head_of(self.path, first[1]))
                while batch := await in_thread(lambda: _parsed(self.path, records)):
                    for place, outcome in batch:
                        take(outcome, place)

        if first is None and not may_be_torn_head(self.path):
            raise not_a_run_file(self.path)

        self._size = reader.end
        if reader.torn_bytes:
            _log.warning(
                "%s: cut off a torn end of %d bytes that an interrupted write left",
                self.path,
                reader.torn_bytes,
            )
            os.ftruncate(fd, reader.end)

        if first is None:
            line = frame(head.to_json())
            appender(fd)(line)
            self._size = len(line)

    def _make_writer(self, fd: int) -> BlockWriter:
        return BlockWriter(
            appender(fd),
            flush_interval_s=self._flush_interval_s,
            sync=partial(os.fsync, fd) if self._syncs else None,
            sync_interval_s=0.0 if self._fsync == "always" else self._fsync_interval_s,
            on_close=partial(os.close, fd),
        )


def read_run(path: str | Path) -> Iterator[Outcome]:
    """Read the outcomes of a run file, oldest first; a torn end is left out.

    An example that was run again has several outcomes: the last one counts.

    Raises:
        EvaluationError: it is no run file, or damaged; names the place.
    """
    path = Path(path)
    with path.open("rb") as file:
        records = iter(RecordReader(file, str(path)))
        first = next(records, None)
        if first is not None:
            head_of(path, first[1])

        while batch := _parsed(path, records):
            yield from (outcome for _, outcome in batch)


def _parsed(path: Path, records: Iterator[tuple[int, bytes]]) -> list[tuple[int, Outcome]]:
    """Return the next outcomes; none are left when the list is empty."""
    outcomes = ((place, data) for place, data in records if data.startswith(_OUTCOME))
    try:
        return [(place, Outcome.from_json(data)) for place, data in islice(outcomes, _BATCH)]
    except (ValueError, KeyError, TypeError) as exc:
        raise EvaluationError(f"{path}: a record is no outcome: {exc!r}") from exc


def _open_locked(path: Path, *, sync: bool) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY, _MODE)
    except OSError as exc:
        raise EvaluationError(
            f"the run cannot be kept in {path}: {exc}. Give a folder that this process may write to"
        ) from exc

    try:
        _lock(fd, path)
        if is_new and sync:
            _sync_folder(path.parent)
    except BaseException:
        os.close(fd)
        raise

    return fd


def _lock(fd: int, path: Path) -> None:
    try:
        is_ours = try_lock(fd)
    except OSError as exc:
        raise EvaluationError(
            f"{path} cannot be locked: {exc}. Give a folder on a file system that knows locks"
        ) from exc

    if not is_ours:
        raise EvaluationError(
            f"{path} is being written by another process{_writer_of(path)}: wait for it, or give "
            "this run another run_id"
        )


def _writer_of(path: Path) -> str:
    """Return who said last that it writes the file."""
    pid = None
    with path.open("rb") as file:
        for line in file:
            payload = unframe(line)
            if payload is not None and payload.startswith(b'{"session":'):
                pid = orjson.loads(payload)["session"]["pid"]

    return "" if pid is None else f" (number {pid})"


def _sync_folder(folder: Path) -> None:
    # A new file is safe only when the folder that names it is.
    if os.name == "nt":
        return

    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
