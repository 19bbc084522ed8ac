"""A streamed answer of OpenAI's Responses, put together again while it comes.

    event: response.created             {"response": {"id", "model", ...}}
    event: response.output_text.delta   {"output_index", "delta": "Hel"}
    event: response.output_item.done    {"output_index", "item": {...}}
    event: response.completed           {"response": {... the whole answer ...}}

The terminal event holds the answer, and what came before is only to be seen early. A stream without
it is cut, and raises. Events of kinds that are yet to come are passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dspex.clients.failures.classify import classify_response
from dspex.clients.loose import count_of, object_of, text_of
from dspex.clients.wire.reading import (
    arguments_text,
    load_json_object,
    raise_inner_error,
    raise_part_error,
    truncated_stream,
)
from dspex.clients.wire.responses_decode import decode_answer
from dspex.clients.wire.streaming import SseStreamDecoder
from dspex.errors import to_exception
from dspex.messages import StreamEnd, StreamEvent, StreamStart, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from dspex.errors import ProtocolError

__all__ = ("ResponsesStreamDecoder",)

_DONE: Final = b"[DONE]"
_TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_TEXT: Final = "response.output_text.delta"
_REASONING: Final = frozenset(
    {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}
)


class ResponsesStreamDecoder(SseStreamDecoder):
    """Decodes one stream; see `StreamDecoder`."""

    __slots__ = ("_calls", "_chars", "_items")

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[int, int] = {}
        self._items: dict[int, Any] = {}
        self._chars = 0

    def _end(self, events: list[StreamEvent]) -> None:
        raise self._cut()

    def _take(self, data: bytes, events: list[StreamEvent]) -> None:
        if self._done:
            return

        if data.strip() == _DONE:
            raise self._cut()

        event = load_json_object(data)
        kind = text_of(event.get("type"))
        _raise_error(event, kind, data)
        answer = object_of(event.get("response"))
        if not self._started:
            self._started = True
            identity = text_of(answer.get("id")) or None
            events.append(StreamStart(text_of(answer.get("model")), identity))

        if kind in _TERMINAL:
            raise_part_error(answer, data)
            self._conclude(kind, answer, data, events)
        else:
            self._take_delta(kind, event, events)

    def _take_delta(self, kind: str, event: dict[str, Any], events: list[StreamEvent]) -> None:
        index = count_of(event.get("output_index"))
        if kind == _TEXT or kind in _REASONING:
            if text := text_of(event.get("delta")):
                self._chars += len(text)
                events.append(TextDelta(text, reasoning=kind != _TEXT))
        elif kind == "response.output_item.added":
            self._begin_call(index, object_of(event.get("item")), events)
        elif kind == "response.function_call_arguments.delta":
            arguments = arguments_text(event.get("delta"))
            events.append(ToolCallDelta(self._call_number(index), arguments=arguments))
        elif kind == "response.output_item.done":
            self._items[index] = event.get("item")

    def _begin_call(self, index: int, item: dict[str, Any], events: list[StreamEvent]) -> None:
        if item.get("type") != "function_call":
            return

        identity = text_of(item.get("call_id")) or text_of(item.get("id")) or None
        name = text_of(item.get("name")) or None
        events.append(ToolCallDelta(self._call_number(index), id=identity, name=name))

    def _call_number(self, index: int) -> int:
        """Return which call an item of the answer is, counting calls alone."""
        return self._calls.setdefault(index, len(self._calls))

    def _conclude(
        self, kind: str, answer: dict[str, Any], data: bytes, events: list[StreamEvent]
    ) -> None:
        told = {"status": kind.removeprefix("response."), **answer}
        if not told.get("output") and self._items:
            # Some servers do not repeat the items at the end.
            told["output"] = [item for _, item in sorted(self._items.items())]

        events.append(StreamEnd(decode_answer(told, data)))
        self._done = True

    def _cut(self) -> ProtocolError:
        return truncated_stream(f"{len(self._items)} items and {self._chars} characters of text")


def _raise_error(event: dict[str, Any], kind: str, data: bytes) -> None:
    raise_inner_error(event, data)
    if kind == "error":
        raise to_exception(classify_response(200, {}, data, provider="", model=""))
