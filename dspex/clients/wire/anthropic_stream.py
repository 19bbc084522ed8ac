"""A streamed message of Anthropic's, put together again while it comes.

    message_start         the message without content, with the usage of its input
    content_block_start   block `index` begins: text, thinking, tool_use, ...
    content_block_delta   more of it
    content_block_stop    it is whole
    message_delta         why it stopped, and the usage so far
    message_stop          the end; there is no [DONE]
    ping, error           at any time

The answer is complete with message_stop, or with the end of the stream once the model has said why
it stopped. A stream that ends before is cut, and raises: half an answer must not pass for a whole
one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dspex.clients.loose import is_object, list_of, object_of, text_of
from dspex.clients.wire.anthropic_decode import read_message
from dspex.clients.wire.reading import (
    arguments_text,
    load_json_object,
    raise_inner_error,
    truncated_stream,
)
from dspex.clients.wire.streaming import SseStreamDecoder
from dspex.messages import StreamEnd, StreamEvent, StreamStart, TextDelta, ToolCallDelta

__all__ = ("AnthropicStreamDecoder",)


@dataclass(slots=True)
class _BlockDraft:
    """A block while it comes; `pieces` are of its text, its thinking or its input."""

    first: dict[str, Any]
    call_index: int | None = None
    pieces: list[str] = field(default_factory=list[str])
    signature: list[str] = field(default_factory=list[str])
    citations: list[Any] = field(default_factory=list[Any])
    closed: bool = False

    def finish(self) -> dict[str, Any]:
        """Return the block as it would have come in one piece."""
        block, kind = dict(self.first), self.first.get("type")
        if kind == "tool_use":
            block["input"] = "".join(self.pieces)
        elif kind in ("text", "thinking"):
            block[kind] = text_of(block.get(kind)) + "".join(self.pieces)

        if self.signature:
            block["signature"] = "".join(self.signature)

        if self.citations:
            block["citations"] = [*list_of(block.get("citations")), *self.citations]

        return block


class AnthropicStreamDecoder(SseStreamDecoder):
    """Decodes one stream; see `StreamDecoder`."""

    __slots__ = ("_blocks", "_calls", "_message", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[object, _BlockDraft] = {}
        self._calls = 0

    def _take(self, data: bytes, events: list[StreamEvent]) -> None:
        if self._done or data.strip() == b"[DONE]":
            return

        row = load_json_object(data)
        raise_inner_error(row, data)
        match row.get("type"):
            case "message_start":
                self._take_start(row, events)
            case "content_block_start":
                self._begin(_key(row), object_of(row.get("content_block")), events)
            case "content_block_delta":
                self._take_delta(row, events)
            case "content_block_stop" if _key(row) in self._blocks:
                _close_block(self._blocks[_key(row)], events)
            case "message_delta":
                self._take_end(row, events)
            case "message_stop":
                self._end(events, told=True)
            case _:
                pass

    def _take_start(self, row: dict[str, Any], events: list[StreamEvent]) -> None:
        message = object_of(row.get("message"))
        self._message.update(message)
        self._add_usage(message.get("usage"))
        self._start(events)
        for index, block in enumerate(list_of(message.get("content"))):
            self._begin(index, object_of(block), events)

    def _start(self, events: list[StreamEvent]) -> None:
        if not self._started:
            self._started = True
            model, identity = self._message.get("model"), self._message.get("id")
            events.append(StreamStart(text_of(model), text_of(identity) or None))

    def _begin(self, key: object, block: dict[str, Any], events: list[StreamEvent]) -> None:
        self._start(events)
        draft = self._blocks[key] = _BlockDraft(block)
        kind = block.get("type")
        if kind == "tool_use":
            draft.call_index = self._calls
            self._calls += 1
            identity, name = text_of(block.get("id")), text_of(block.get("name"))
            events.append(ToolCallDelta(draft.call_index, id=identity or None, name=name or None))
        elif kind in ("text", "thinking") and (said := text_of(block.get(kind))):
            events.append(TextDelta(said, reasoning=kind == "thinking"))

    def _take_delta(self, row: dict[str, Any], events: list[StreamEvent]) -> None:
        delta = object_of(row.get("delta"))
        draft = self._blocks.get(_key(row))
        if draft is None:
            # A server that leaves out the beginning of a block: its first piece says what it is.
            self._begin(_key(row), _block_of(delta), events)
            draft = self._blocks[_key(row)]

        _take_piece(draft, delta, events)

    def _take_end(self, row: dict[str, Any], events: list[StreamEvent]) -> None:
        self._start(events)
        for name, value in object_of(row.get("delta")).items():
            if value is not None:
                self._message[name] = value

        self._add_usage(row.get("usage"))

    def _add_usage(self, value: object) -> None:
        """Take the latest of each count: they grow, and not every event has all of them."""
        for name, count in object_of(value).items():
            if count is not None:
                self._usage[name] = count

    def _end(self, events: list[StreamEvent], *, told: bool = False) -> None:
        if not self._started or not (told or self._message.get("stop_reason")):
            chars = sum(len(piece) for draft in self._blocks.values() for piece in draft.pieces)
            raise truncated_stream(f"{len(self._blocks)} blocks and {chars} characters")

        self._done = True
        for draft in self._blocks.values():
            _close_block(draft, events)

        content = [draft.finish() for draft in self._blocks.values()]
        message = {**self._message, "content": content, "usage": self._usage}
        events.append(StreamEnd(read_message(message)))


def _key(row: dict[str, Any]) -> object:
    index = row.get("index")
    return index if isinstance(index, int) else 0


def _block_of(delta: dict[str, Any]) -> dict[str, Any]:
    kinds = {"input_json_delta": "tool_use", "thinking_delta": "thinking"}
    kinds |= {"signature_delta": "thinking"}
    said = delta.get("type")
    return {"type": kinds.get(said, "text") if isinstance(said, str) else "text"}


def _take_piece(draft: _BlockDraft, delta: dict[str, Any], events: list[StreamEvent]) -> None:
    match delta.get("type"):
        case "text_delta":
            _add_text(draft, text_of(delta.get("text")), events)
        case "thinking_delta":
            _add_text(draft, text_of(delta.get("thinking")), events)
        case "input_json_delta":
            _add_arguments(draft, text_of(delta.get("partial_json")), events)
        case "signature_delta":
            draft.signature.append(text_of(delta.get("signature")))
        case "citations_delta" if is_object(delta.get("citation")):
            draft.citations.append(delta["citation"])
        case _:
            pass


def _add_text(draft: _BlockDraft, text: str, events: list[StreamEvent]) -> None:
    kind = draft.first.get("type")
    if text and kind in ("text", "thinking"):
        draft.pieces.append(text)
        events.append(TextDelta(text, reasoning=kind == "thinking"))


def _add_arguments(draft: _BlockDraft, text: str, events: list[StreamEvent]) -> None:
    if text and draft.call_index is not None:
        draft.pieces.append(text)
        events.append(ToolCallDelta(draft.call_index, arguments=text))


def _close_block(draft: _BlockDraft, events: list[StreamEvent]) -> None:
    """End a block; a call whose arguments came whole at its beginning gets them now."""
    if not draft.closed and draft.call_index is not None and not draft.pieces:
        _add_arguments(draft, arguments_text(draft.first.get("input", {})), events)

    draft.closed = True
