"""Records that tell whether they are whole: a checksum, one line of JSON, and the end of the line.

A file of records only ever grows. A process that is killed, or a machine that loses power, leaves
at worst a torn end: bytes after the last whole record that hold no whole record. They are cut off
when the file is opened again. A record that is broken in front of whole ones is damage of another
kind, and is refused with its place.

The checksum is the CRC-32 of the JSON, in eight hexadecimal digits: a file can be read with
`cut -c10-`, and searched like any text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zlib import crc32

from dspex.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ("RecordReader", "frame", "unframe")

_DIGITS: Final = 8
_START: Final = _DIGITS + 1
_SHOWN: Final = 60


def frame(payload: bytes) -> bytes:
    """Return the line that holds `payload`, which must not have a line's end in it."""
    return b"%08x %b\n" % (crc32(payload), payload)


def unframe(line: bytes) -> bytes | None:
    """Return what a line holds; None if it is not a whole record."""
    if line[-1:] != b"\n" or line[_DIGITS:_START] != b" ":
        return None

    payload = line[_START:-1]
    try:
        told = int(line[:_DIGITS], 16)
    except ValueError:
        return None

    return payload if told == crc32(payload) else None


class RecordReader:
    """Reads a file of records from its beginning.

    After the last record `end` is where the whole records end, and `torn_bytes` how many follow.
    """

    __slots__ = ("_file", "_name", "end", "torn_bytes")

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self.end = 0
        self.torn_bytes = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield the place of each record and what it holds.

        Raises:
            EvaluationError: a record is broken and whole ones follow; names its line and place.
        """
        for number, line in enumerate(self._file, start=1):
            payload = unframe(line)
            if payload is None:
                self._read_torn_end(number, line)
                return

            place = self.end
            self.end += len(line)
            yield place, payload

    def _read_torn_end(self, number: int, broken: bytes) -> None:
        self.torn_bytes = len(broken)
        for line in self._file:
            if unframe(line) is not None:
                raise EvaluationError(
                    f"{self._name}: line {number}, at byte {self.end}, is damaged, and whole "
                    f"records follow: {broken[:_SHOWN]!r}. Without that line the file is sound, "
                    "and what it held is run again"
                )

            self.torn_bytes += len(line)
