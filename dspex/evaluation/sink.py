"""Where outcomes go the moment they exist.

A `Sink` takes outcomes: a file, a database, a queue of yours. A `Store` is a sink that can be read
back, by a number it gave for each outcome, so that a report can show outcomes it does not hold in
memory. `evaluate` adds a `SpillSink` when the sink it was given is not a store.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dspex.errors import EvaluationError
from dspex.evaluation.outcome import Outcome
from dspex.evaluation.writer import LineFile, TemporaryFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ("JsonlSink", "MemorySink", "Sink", "SpillSink", "Store", "read_outcomes")

_OWN_LINE = b'{"index":'


class Sink(Protocol):
    """Takes outcomes in the order in which they come, which is not the dataset's."""

    async def put(self, outcome: Outcome) -> object:
        """Take one outcome. May wait: a slow sink slows the run instead of filling memory."""
        ...

    async def close(self) -> None:
        """Bring everything taken to safety. Called at the end of a run, also of a failed one."""
        ...


@runtime_checkable
class Store(Sink, Protocol):
    """A sink that can be read back, during the run and after `close`."""

    async def put(self, outcome: Outcome) -> int:
        """Take one outcome and return the number under which `read` finds it."""
        ...

    def read(self, numbers: Iterable[int]) -> Iterator[Outcome]:
        """Return the outcomes with these numbers, in the order of the numbers."""
        ...


class MemorySink:
    """Keeps outcomes in memory, each as one line of JSON, which takes a few hundred bytes."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    async def put(self, outcome: Outcome) -> int:
        """Keep one outcome."""
        self._lines.append(outcome.to_json())
        return len(self._lines) - 1

    async def close(self) -> None:
        """Do nothing: the outcomes stay readable."""

    def read(self, numbers: Iterable[int]) -> Iterator[Outcome]:
        """Return the outcomes with these numbers."""
        return (Outcome.from_json(self._lines[number]) for number in numbers)

    def __iter__(self) -> Iterator[Outcome]:
        return self.read(range(len(self)))

    def __len__(self) -> int:
        return len(self._lines)

    def __repr__(self) -> str:
        return f"<MemorySink {len(self)} outcomes>"


class SpillSink:
    """Keeps the first outcomes in memory and the rest in a temporary file without a name.

    The file goes when the last report that reads from it goes, or with the process.

    Args:
        memory_bytes: how much is kept in memory before there is a file at all.
    """

    __slots__ = ("_file", "_head", "_memory_bytes")

    def __init__(self, memory_bytes: int = 1 << 20) -> None:
        self._memory_bytes = memory_bytes
        self._head = bytearray()
        self._file: TemporaryFile | None = None

    async def put(self, outcome: Outcome) -> int:
        """Keep one outcome."""
        line = outcome.to_json()
        if self._file is None and len(self._head) + len(line) < self._memory_bytes:
            number = len(self._head)
            self._head += line
            self._head += b"\n"
            return number

        if self._file is None:
            self._file = TemporaryFile()

        return len(self._head) + await self._file.append(line)

    async def close(self) -> None:
        """Write what is still buffered; the outcomes stay readable."""
        if self._file is not None:
            await self._file.close()

    def read(self, numbers: Iterable[int]) -> Iterator[Outcome]:
        """Return the outcomes with these numbers; needs `close` first for the latest ones."""
        for number in numbers:
            yield Outcome.from_json(self._line(number))

    def _line(self, number: int) -> bytes:
        if number < len(self._head):
            return bytes(self._head[number : self._head.index(b"\n", number)])

        assert self._file is not None
        return self._file.line_at(number - len(self._head))

    def __repr__(self) -> str:
        return f"<SpillSink {len(self._head)} bytes in memory, {self._file or 'no file'}>"


class JsonlSink:
    """Appends outcomes to a file, one line of JSON each, without ever blocking the event loop.

    Lines are on their way to the file within `flush_interval_s`; a killed process loses no more
    than those. An unfinished last line that such a kill left is removed when the file is opened
    again. `close` writes the rest; a later `put` opens the file again.
    """

    __slots__ = ("_file", "path")

    def __init__(self, path: str | Path, *, flush_interval_s: float = 0.05) -> None:
        self.path = Path(path)
        self._file = LineFile(self.path, own_line=_OWN_LINE, flush_interval_s=flush_interval_s)

    async def put(self, outcome: Outcome) -> int:
        """Append one outcome."""
        return await self._file.append(outcome.to_json())

    async def close(self) -> None:
        """Write what is still buffered and let go of the file."""
        await self._file.close()

    def read(self, numbers: Iterable[int]) -> Iterator[Outcome]:
        """Return the outcomes with these numbers; needs `close` first for the latest ones."""
        return (Outcome.from_json(line) for line in self._file.lines_at(numbers))

    def __repr__(self) -> str:
        return f"<JsonlSink {str(self.path)!r}>"


def read_outcomes(path: str | Path) -> Iterator[Outcome]:
    """Read a file that a `JsonlSink` wrote; an unfinished last line is left out.

    An example that was run again has several outcomes: the last one counts.

    Raises:
        EvaluationError: a line is no outcome; names the line.
    """
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return

            try:
                yield Outcome.from_json(line)
            except (ValueError, KeyError, TypeError) as exc:
                raise EvaluationError(
                    f"{path}: line {number} is not an outcome: {line[:80]!r}; is this a file of "
                    "a JsonlSink?"
                ) from exc
