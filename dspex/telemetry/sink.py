"""Where log lines go without holding up the loop: a thread writes them."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

from dspex.threads import BatchThread

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("LineLogger", "LogSink")

_MAX_WAITING: Final = 10_000
_BATCH: Final = 500


class LogSink:
    """A text stream as structlog wants one, whose writing never waits.

    A pipe that nobody reads, or a full disk, drops lines and counts them.

    Args:
        path: the file to append to, made if it is missing; None: standard error as it is now.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8", errors="backslashreplace")

        self._stream = sys.stderr if self._file is None else self._file
        self._dropped = 0
        self._thread: BatchThread[str] = BatchThread(
            "dspex-log",
            self._write,
            finish=self._finish,
            max_waiting=_MAX_WAITING,
            max_batch=_BATCH,
        )

    def __repr__(self) -> str:
        return f"<LogSink {self._stream.name} {self._dropped} dropped>"

    @property
    def dropped(self) -> int:
        """How many pieces of text were not written."""
        return self._dropped

    def write(self, text: str) -> int:
        """Have `text` written soon."""
        if not self._thread.offer(text):
            self._dropped += 1

        return len(text)

    def flush(self) -> None:
        """Do nothing: each batch is flushed when it is written."""

    def close(self, timeout_s: float) -> None:
        """Write what waits, in at most `timeout_s` seconds. Blocking."""
        self._thread.close(timeout_s)

    def _write(self, batch: list[str]) -> None:
        try:
            self._stream.write("".join(batch))
            self._stream.flush()
        except (OSError, ValueError):  # full, gone, or closed by the application
            self._dropped += len(batch)

    def _finish(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()


class LineLogger:
    """What structlog hands finished lines to, by whatever level's name.

    Its own PrintLogger keeps every stream it has ever seen.
    """

    __slots__ = ("_sink",)

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink

    def msg(self, line: str) -> None:
        """Write one line."""
        self._sink.write(f"{line}\n")

    log = debug = info = warn = warning = error = err = critical = fatal = exception = msg
