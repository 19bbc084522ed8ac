"""A streamed answer of Cohere's chat, version 2, put together again while it comes.

    message-start                          the id
    content-start, -delta, -end            text or thinking of block `index`
    tool-plan-delta                        why tools are called
    tool-call-start, -delta, -end          call `index`, its arguments piece by piece
    citation-start, -end                   a citation, whole
    message-end                            why it stopped, the usage, an error
    [DONE]                                 not always

The answer is complete with message-end. A stream that ends before is cut, and raises.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dspex.clients.loose import is_object, list_of, object_of, text_of
from dspex.clients.wire.cohere_decode import read_answer
from dspex.clients.wire.reading import (
    arguments_text,
    load_json_object,
    raise_inner_error,
    truncated_stream,
)
from dspex.clients.wire.streaming import SseStreamDecoder
from dspex.messages import StreamEnd, StreamEvent, StreamStart, TextDelta, ToolCallDelta

__all__ = ("CohereStreamDecoder",)


@dataclass(slots=True)
class _CallDraft:
    number: int
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])

    def finish(self) -> dict[str, Any]:
        """Return the call as it would have come in one piece."""
        arguments = "".join(self.arguments)
        return {"id": self.id, "function": {"name": self.name, "arguments": arguments}}


@dataclass(slots=True)
class _BlockDraft:
    text: list[str] = field(default_factory=list[str])
    thinking: list[str] = field(default_factory=list[str])

    def finish(self) -> list[dict[str, Any]]:
        """Return the block as it would have come in one piece; one may hold both kinds."""
        thought = {"type": "thinking", "thinking": "".join(self.thinking)}
        said = {"type": "text", "text": "".join(self.text)}
        return [block for block in (thought, said) if block[block["type"]]]


class CohereStreamDecoder(SseStreamDecoder):
    """Decodes one stream; see `StreamDecoder`."""

    __slots__ = ("_blocks", "_calls", "_citations", "_id", "_logprobs", "_plan")

    def __init__(self) -> None:
        super().__init__()
        self._blocks: dict[object, _BlockDraft] = {}
        self._calls: dict[object, _CallDraft] = {}
        self._citations: list[Any] = []
        self._logprobs: list[Any] = []
        self._plan: list[str] = []
        self._id = ""

    def _end(self, events: list[StreamEvent]) -> None:
        chars = sum(len(piece) for block in self._blocks.values() for piece in block.text)
        raise truncated_stream(f"{len(self._blocks)} blocks and {chars} characters of text")

    def _take(self, data: bytes, events: list[StreamEvent]) -> None:
        if self._done or not data.strip() or data.strip() == b"[DONE]":
            return

        row = load_json_object(data)
        raise_inner_error(row, data)
        self._id = self._id or text_of(row.get("id"))
        if not self._started:
            self._started = True
            events.append(StreamStart("", self._id or None))

        match row.get("type"):
            case "content-start" | "content-delta":
                self._take_content(row, events)
            case "tool-plan-delta":
                self._take_plan(row, events)
            case "tool-call-start" | "tool-call-delta":
                self._take_call(row, events)
            case "citation-start":
                self._take_citation(row)
            case "message-end":
                self._take_end(row, events)
            case _:
                pass

    def _take_content(self, row: dict[str, Any], events: list[StreamEvent]) -> None:
        block = self._blocks.setdefault(_key(row), _BlockDraft())
        content = object_of(_message(row).get("content"))
        if thought := text_of(content.get("thinking")):
            block.thinking.append(thought)
            events.append(TextDelta(thought, reasoning=True))

        if text := text_of(content.get("text")):
            block.text.append(text)
            events.append(TextDelta(text))

        if is_object(row.get("logprobs")):
            self._logprobs.append(row["logprobs"])

    def _take_plan(self, row: dict[str, Any], events: list[StreamEvent]) -> None:
        if text := text_of(_message(row).get("tool_plan")):
            self._plan.append(text)
            events.append(TextDelta(text, reasoning=True))

    def _take_call(self, row: dict[str, Any], events: list[StreamEvent]) -> None:
        call = self._calls.setdefault(_key(row), _CallDraft(len(self._calls)))
        said = _one(_message(row).get("tool_calls"))
        function = object_of(said.get("function"))
        identity, name = text_of(said.get("id")), text_of(function.get("name"))
        arguments = arguments_text(function.get("arguments"))
        new_id, new_name = None if call.id else identity, None if call.name else name
        call.id, call.name = call.id or identity, call.name or name
        call.arguments.append(arguments)
        events.append(
            ToolCallDelta(
                call.number, id=new_id or None, name=new_name or None, arguments=arguments
            )
        )

    def _take_citation(self, row: dict[str, Any]) -> None:
        said = _message(row).get("citations")
        self._citations.extend(list_of(said) or [object_of(said)])

    def _take_end(self, row: dict[str, Any], events: list[StreamEvent]) -> None:
        delta = object_of(row.get("delta"))
        message: dict[str, Any] = {
            "content": [part for block in self._blocks.values() for part in block.finish()],
            "tool_plan": "".join(self._plan),
            "tool_calls": [call.finish() for call in self._calls.values()],
            "citations": self._citations,
        }
        answer = {
            "id": self._id,
            "message": message,
            "finish_reason": "ERROR" if delta.get("error") else delta.get("finish_reason"),
            "failure": delta.get("error"),
            "logprobs": self._logprobs,
            "usage": delta.get("usage"),
        }
        self._done = True
        events.append(StreamEnd(read_answer(answer)))


def _key(row: dict[str, Any]) -> object:
    index = row.get("index")
    return index if isinstance(index, int) else 0


def _message(row: dict[str, Any]) -> dict[str, Any]:
    return object_of(object_of(row.get("delta")).get("message"))


def _one(value: object) -> dict[str, Any]:
    """Return an object that stands alone, or first in a list."""
    rows = list_of(value)
    return object_of(rows[0] if rows else value)
