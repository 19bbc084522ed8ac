"""What the decoders of all wires share: events of server-sent events in, ours out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from dspex.clients.wire.sse import SseDecoder

if TYPE_CHECKING:
    from dspex.messages import StreamEvent

__all__ = ("SseStreamDecoder",)


class SseStreamDecoder(ABC):
    """Decodes one stream of server-sent events; see `StreamDecoder`.

    A wire says what an event of its own means, and what it means that no more come.
    """

    __slots__ = ("_done", "_sse", "_started")

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._started = False
        self._done = False

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that `chunk` completes.

        Raises:
            ProviderError: the stream holds an error, or something else.
        """
        events: list[StreamEvent] = []
        for event in self._sse.feed(chunk):
            self._take(event.data, events)

        return events

    def close(self) -> list[StreamEvent]:
        """Return the last events.

        Raises:
            ProtocolError: the answer is not complete.
        """
        events: list[StreamEvent] = []
        for event in self._sse.close():
            self._take(event.data, events)

        if not self._done:
            self._end(events)

        return events

    @abstractmethod
    def _take(self, data: bytes, events: list[StreamEvent]) -> None:
        """Add what one event's data means."""

    @abstractmethod
    def _end(self, events: list[StreamEvent]) -> None:
        """Add the end of a stream that has not told it, or raise if the answer is not complete."""
