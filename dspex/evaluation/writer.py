"""Files that grow by lines and are written by a thread of their own.

Lines are collected and handed over in blocks, so that a line costs an append and the event loop
never waits for a disk. What waits to be written is bounded: then `append` waits.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dspex.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ("BlockWriter", "LineFile", "TemporaryFile", "appender")

_BLOCK_BYTES: Final = 1 << 16
_MAX_WAITING_BYTES: Final = 1 << 22
_LINE_GUESS_BYTES: Final = 1 << 12


class BlockWriter:
    """Collects bytes and writes them, in order, in a thread of its own.

    After a write that failed nothing more is written: what it left may be half a line, which may
    only be the last.

    Args:
        write: writes one block; runs in the thread.
        flush_interval_s: bytes wait no longer than this for company; None: until a block is full.
        sync: brings what is written to safety; runs in the thread, also before the end.
        sync_interval_s: what is written waits no longer than this to be brought to safety; at 0
            each block is at once.
        on_close: called at the end, when nothing is being written any more.
    """

    __slots__ = (
        "_broken",
        "_buffer",
        "_error",
        "_flush_interval_s",
        "_last",
        "_on_close",
        "_sync",
        "_sync_interval_s",
        "_sync_timer",
        "_thread",
        "_timer",
        "_waiting_bytes",
        "_write",
    )

    def __init__(
        self,
        write: Callable[[bytes], None],
        *,
        flush_interval_s: float | None = None,
        sync: Callable[[], None] | None = None,
        sync_interval_s: float = 0.0,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._write = write
        self._sync = sync
        self._sync_interval_s = sync_interval_s
        self._sync_timer: asyncio.TimerHandle | None = None
        self._on_close = on_close
        self._flush_interval_s = flush_interval_s
        self._buffer = bytearray()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dspex-writer")
        self._timer: asyncio.TimerHandle | None = None
        self._last: asyncio.Future[None] | None = None
        self._waiting_bytes = 0
        self._broken = False  # the thread's
        self._error: BaseException | None = None

    async def append(self, data: bytes) -> None:
        """Take bytes to be written; raise what an earlier write raised."""
        self._check()
        self._buffer += data
        if len(self._buffer) >= _BLOCK_BYTES:
            self._flush()
            if self._waiting_bytes > _MAX_WAITING_BYTES:
                await self._drain()
        elif self._timer is None and self._flush_interval_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._flush_interval_s, self._flush)

    async def flush(self) -> None:
        """Write what there is, and bring it to safety where each block is; raise what that did."""
        self._flush()
        await self._drain()
        self._check()

    async def close(self) -> None:
        """Write the rest, bring it to safety and end the thread; raise what went wrong."""
        self._flush()
        self._sync_now()
        if self._on_close is not None:
            self._submit(self._on_close, 0)

        try:
            await self._drain()
        finally:
            # What was submitted is done in its turn, also if nobody waits for it any more.
            self._thread.shutdown(wait=False)

        self._check()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

        if not self._buffer:
            return

        block = bytes(self._buffer)
        self._buffer.clear()
        self._waiting_bytes += len(block)
        self._submit(partial(self._write_block, block), len(block))
        if self._sync is None:
            return

        if self._sync_interval_s == 0:
            self._sync_now()
        elif self._sync_timer is None:
            loop = asyncio.get_running_loop()
            self._sync_timer = loop.call_later(self._sync_interval_s, self._sync_now)

    def _write_block(self, block: bytes) -> None:
        if self._broken:
            return

        try:
            self._write(block)
        except BaseException:
            self._broken = True
            raise

    def _sync_now(self) -> None:
        if self._sync_timer is not None:
            self._sync_timer.cancel()
            self._sync_timer = None

        if self._sync is not None:
            self._submit(self._sync, 0)

    def _submit(self, function: Callable[[], None], size: int) -> None:
        loop = asyncio.get_running_loop()
        self._last = loop.run_in_executor(self._thread, function)
        self._last.add_done_callback(lambda done: self._written(size, done))

    def _written(self, size: int, done: asyncio.Future[None]) -> None:
        self._waiting_bytes -= size
        if not done.cancelled() and done.exception() is not None:
            self._error = self._error or done.exception()

    async def _drain(self) -> None:
        if self._last is not None:
            await asyncio.wait([self._last])  # unlike a bare await, it does not cancel the write

    def _check(self) -> None:
        if self._error is not None:
            raise self._error


class TemporaryFile:
    """A file of lines without a name, gone when this object is."""

    __slots__ = ("__weakref__", "_fd", "_size", "_writer")

    def __init__(self) -> None:
        self._fd, path = tempfile.mkstemp(prefix="dspex-")
        Path(path).unlink()
        weakref.finalize(self, os.close, self._fd)
        self._size = 0
        self._writer: BlockWriter | None = None

    async def append(self, line: bytes) -> int:
        """Take one line and return where it stands."""
        if self._writer is None:
            self._writer = BlockWriter(appender(self._fd))

        place = self._size
        self._size += len(line) + 1
        await self._writer.append(line + b"\n")
        return place

    async def close(self) -> None:
        """Write what is buffered; lines stay readable, and more may be appended."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    def line_at(self, place: int) -> bytes:
        """Return the line at `place`, once it is written."""
        return _line_at(self._fd, place)

    def __repr__(self) -> str:
        return f"<TemporaryFile {self._size} bytes>"


class LineFile:
    """A named file that lines are appended to; opened by the first of them.

    Args:
        path: where it is; its folder must exist.
        own_line: how each line begins. An unfinished last line is removed only if it does too.
        flush_interval_s: how long a line waits for others before it is written.
    """

    __slots__ = ("_flush_interval_s", "_own_line", "_path", "_size", "_writer")

    def __init__(self, path: Path, *, own_line: bytes, flush_interval_s: float) -> None:
        self._path = path
        self._own_line = own_line
        self._flush_interval_s = flush_interval_s
        self._size = 0
        self._writer: BlockWriter | None = None

    async def append(self, line: bytes) -> int:
        """Take one line and return where it stands."""
        writer = self._writer or self._open()
        place = self._size
        self._size += len(line) + 1
        await writer.append(line + b"\n")
        return place

    async def close(self) -> None:
        """Write what is buffered and close the file; a later `append` opens it again."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    def lines_at(self, places: Iterable[int]) -> Iterator[bytes]:
        """Return the lines at `places`, once they are written."""
        with self._path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size  # 0 for a device, which might never end
            for place in places:
                if place >= size:
                    raise _nothing_at(place)

                file.seek(place)
                yield file.readline()

    def _open(self) -> BlockWriter:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._size = self._remove_torn_line(fd)
        except BaseException:
            os.close(fd)
            raise

        self._writer = BlockWriter(
            appender(fd), flush_interval_s=self._flush_interval_s, on_close=partial(os.close, fd)
        )
        return self._writer

    def _remove_torn_line(self, fd: int) -> int:
        size = os.fstat(fd).st_size
        start = size
        while start > 0:
            begin = max(0, start - _BLOCK_BYTES)
            newline = os.pread(fd, start - begin, begin).rfind(b"\n")
            if newline >= 0:
                start = begin + newline + 1
                break

            start = begin

        if start == size:
            return size

        torn = os.pread(fd, 80, start)
        if not self._own_line.startswith(torn) and not torn.startswith(self._own_line):
            raise EvaluationError(
                f"{self._path} ends in the middle of a line that this sink did not write: "
                f"{torn!r}; give the sink a file of its own"
            )

        os.ftruncate(fd, start)
        return start


def appender(fd: int) -> Callable[[bytes], None]:
    """Return a function that writes all of a block to the end of an open file."""

    def write(block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(fd, rest) :]

    return write


def _line_at(fd: int, place: int) -> bytes:
    line = bytearray()
    while (end := line.find(b"\n")) < 0:
        more = os.pread(fd, _LINE_GUESS_BYTES, place + len(line))
        if not more:
            raise _nothing_at(place)

        line += more

    return bytes(line[:end])


def _nothing_at(place: int) -> EvaluationError:
    return EvaluationError(f"nothing is written at {place}: close the sink before reading")
