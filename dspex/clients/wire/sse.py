"""Server-sent events from bytes that come in any pieces (WHATWG HTML, section 9.2).

Lines end in CR, LF or CRLF, also when that is cut in two. An event ends with a blank line; one that
the end of the stream cuts off is given out by `close`, because servers forget the last blank line.
Data stay bytes: a chunk may end in the middle of a character, a line never does.

Some servers break off with an error as bare JSON, without `data:`. Lines that begin with a bracket
where an event may begin are therefore given out as an event, up to the next blank line; the
standard passes over them, and the reason of the failure with them.

The cost is linear in the bytes, however small the pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dspex.clients.wire.reading import protocol_error
from dspex.errors import ErrorData, ErrorKind, ProtocolError

__all__ = ("ServerSentEvent", "SseDecoder")

_BOM: Final = b"\xef\xbb\xbf"
_BRACKETS: Final = b"{["
_IGNORED: Final = frozenset({b"", b"id", b"retry"})


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event; `event` is its name, empty for the common one without."""

    data: bytes
    event: str = ""
    id: str = ""


class SseDecoder:
    """Collects bytes and gives out whole events.

    Args:
        max_event_bytes: an event larger than this is refused: memory is bounded.
    """

    __slots__ = (
        "_data",
        "_event",
        "_first_line",
        "_id",
        "_max_bytes",
        "_pending",
        "_pending_size",
        "_raw",
        "_size",
        "_skip_line_feed",
        "_stray",
    )

    def __init__(self, *, max_event_bytes: int = 16 * 1024 * 1024) -> None:
        self._max_bytes = max_event_bytes
        self._pending: list[bytes] = []
        self._data: list[bytes] = []
        self._event = ""
        self._id = ""
        self._pending_size = 0
        self._size = 0
        self._raw = False
        self._skip_line_feed = False
        self._first_line = True
        self._stray: bytes | None = None

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that `chunk` completes.

        Raises:
            ProtocolError: an event is larger than the bound.
        """
        if self._skip_line_feed and chunk:
            self._skip_line_feed = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]

        if not chunk:
            return []

        events: list[ServerSentEvent] = []
        lines = chunk.splitlines(keepends=True)
        rest = b"" if lines[-1].endswith((b"\n", b"\r")) else lines.pop()
        for line in lines:
            self._end_line(line.rstrip(b"\r\n"), events)

        self._skip_line_feed = not rest and chunk.endswith(b"\r")
        if rest:
            self._pending.append(rest)
            self._pending_size += len(rest)
            self._check_size()

        return events

    def close(self) -> list[ServerSentEvent]:
        """Return what the end of the stream completes: an event without its blank line.

        Raises:
            ProtocolError: there was no event, and what there was is something else.
        """
        events: list[ServerSentEvent] = []
        self._end_line(b"", events)
        self._end_line(b"", events)
        if self._stray:
            raise protocol_error("the answer is no stream of events", self._stray)

        return events

    def _end_line(self, tail: bytes, events: list[ServerSentEvent]) -> None:
        if self._pending:
            self._pending.append(tail)
            tail = b"".join(self._pending)
            self._pending.clear()
            self._pending_size = 0

        if self._first_line:
            self._first_line = False
            tail = tail.removeprefix(_BOM)

        if tail:
            self._field(tail, events)
        else:
            self._end_event(events)

    def _field(self, line: bytes, events: list[ServerSentEvent]) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            if self._raw:
                self._end_event(events)

            self._add(value)
        elif self._raw or (line[0] in _BRACKETS and not self._data):
            self._raw = True
            self._add(line)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif self._stray is None and name not in _IGNORED:
            self._stray = line

    def _add(self, line: bytes) -> None:
        self._data.append(line)
        self._size += len(line) + 1
        self._check_size()

    def _end_event(self, events: list[ServerSentEvent]) -> None:
        if self._data:
            events.append(ServerSentEvent(b"\n".join(self._data), self._event, self._id))
            self._data = []
            self._stray = b""  # it is a stream of events, whatever else is in it

        self._event = ""
        self._size = 0
        self._raw = False

    def _check_size(self) -> None:
        if self._size + self._pending_size > self._max_bytes:
            raise ProtocolError(
                ErrorData(
                    ErrorKind.PROTOCOL,
                    f"one event of the stream is larger than {self._max_bytes} bytes",
                    stage="body",
                )
            )
