"""A streamed OpenAI chat completion, put together again while it comes.

    data: {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": null}]}
    data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    data: {"choices": [], "usage": {...}}        only when asked for, and not by every server
    data: [DONE]                                 not by every server

The answer is complete with [DONE], or with the end of the stream once every choice has said why it
stopped. A stream that ends before is cut, and raises: half an answer must not pass for a whole one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dspex.clients.loose import is_object, list_of, object_of, text_of
from dspex.clients.wire.openai_decode import (
    decode_usage,
    finish_reason,
    reasoning_text,
    thinking_parts,
)
from dspex.clients.wire.openai_parts import citations, token_logprobs
from dspex.clients.wire.reading import (
    arguments_text,
    load_json_object,
    raise_inner_error,
    raise_part_error,
    truncated_stream,
)
from dspex.clients.wire.streaming import SseStreamDecoder
from dspex.messages import (
    Choice,
    Response,
    StreamEnd,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)

if TYPE_CHECKING:
    from dspex.errors import ProtocolError
    from dspex.usage import Usage

__all__ = ("OpenAIStreamDecoder",)

_DONE: Final = b"[DONE]"


@dataclass(slots=True)
class _ToolCallDraft:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])

    def finish(self, index: int) -> ToolCall:
        return ToolCall(self.id or f"call_{index}", self.name, "".join(self.arguments))


@dataclass(slots=True)
class _ChoiceDraft:
    text: list[str] = field(default_factory=list[str])
    reasoning: list[str] = field(default_factory=list[str])
    refusal: list[str] = field(default_factory=list[str])
    calls: list[_ToolCallDraft] = field(default_factory=list[_ToolCallDraft])
    slots: dict[int, int] = field(default_factory=dict[int, int])
    logprobs: list[object] = field(default_factory=list[object])
    annotations: list[object] = field(default_factory=list[object])
    stopped: object = None

    def finish(self) -> Choice:
        calls = tuple(call.finish(index) for index, call in enumerate(self.calls))
        thinking = "".join(self.reasoning)
        return Choice(
            "".join(self.text),
            finish_reason=finish_reason(self.stopped, tool_calls=bool(calls)),
            reasoning=thinking or None,
            refusal="".join(self.refusal) or None,
            tool_calls=calls,
            thinking=thinking_parts(thinking),
            logprobs=token_logprobs(self.logprobs),
            citations=citations(self.annotations),
        )

    def call_index(self, row: dict[str, Any]) -> int:
        """Return which call a piece belongs to; without an index, a new id begins a new one."""
        said = row.get("index")
        key = said if isinstance(said, int) and not isinstance(said, bool) else None
        if key is None:
            if not self.calls or self._begins(row):
                self.calls.append(_ToolCallDraft())

            return len(self.calls) - 1

        if key not in self.slots:
            self.slots[key] = len(self.calls)
            self.calls.append(_ToolCallDraft())

        return self.slots[key]

    def _begins(self, row: dict[str, Any]) -> bool:
        said = text_of(row.get("id"))
        return bool(said) and said != self.calls[-1].id


class OpenAIStreamDecoder(SseStreamDecoder):
    """Decodes one stream; see `StreamDecoder`."""

    __slots__ = ("_choices", "_id", "_model", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _ChoiceDraft] = {}
        self._usage: Usage | None = None
        self._model = ""
        self._id = ""

    def _take(self, data: bytes, events: list[StreamEvent]) -> None:
        if self._done:
            return

        if data.strip() == _DONE:
            self._end(events, told=True)
            return

        self._take_chunk(load_json_object(data), data, events)

    def _take_chunk(self, chunk: dict[str, Any], data: bytes, events: list[StreamEvent]) -> None:
        raise_inner_error(chunk, data)
        self._model = self._model or text_of(chunk.get("model"))
        self._id = self._id or text_of(chunk.get("id"))
        if not self._started:
            self._started = True
            events.append(StreamStart(self._model, self._id or None))

        if isinstance(chunk.get("usage"), dict):
            self._usage = decode_usage(chunk["usage"])

        for row in list_of(chunk.get("choices")):
            if is_object(row):
                if "error" in row:
                    raise_part_error(row, data)

                self._take_choice(row, events)

    def _take_choice(self, row: dict[str, Any], events: list[StreamEvent]) -> None:
        said = row.get("index")
        index = said if isinstance(said, int) and not isinstance(said, bool) else 0
        draft = self._choices.get(index)
        if draft is None:
            draft = self._choices[index] = _ChoiceDraft()

        # Some servers send an empty reason until there is one.
        draft.stopped = row.get("finish_reason") or draft.stopped
        if logprobs := row.get("logprobs"):
            draft.logprobs += list_of(object_of(logprobs).get("content"))

        # A server that does not stream may send the whole message at once.
        delta = row["delta"] if "delta" in row else row.get("message")
        _take_delta(draft, index, object_of(delta), events)

    def _end(self, events: list[StreamEvent], *, told: bool = False) -> None:
        drafts = [draft for _, draft in sorted(self._choices.items())]
        if not drafts or not (told or all(draft.stopped is not None for draft in drafts)):
            raise self._cut()

        self._done = True
        response = Response(
            tuple(draft.finish() for draft in drafts),
            model=self._model,
            request_id=self._id or None,
            usage=decode_usage(None) if self._usage is None else self._usage,
        )
        events.append(StreamEnd(response))

    def _cut(self) -> ProtocolError:
        chars = sum(len(piece) for draft in self._choices.values() for piece in draft.text)
        return truncated_stream(f"{len(self._choices)} choices and {chars} characters of text")


def _take_delta(
    draft: _ChoiceDraft, index: int, delta: dict[str, Any], events: list[StreamEvent]
) -> None:
    if thinking := reasoning_text(delta):
        draft.reasoning.append(thinking)
        events.append(TextDelta(thinking, choice=index, reasoning=True))

    if text := text_of(delta.get("content")):
        draft.text.append(text)
        events.append(TextDelta(text, choice=index))

    if refusal := delta.get("refusal"):
        draft.refusal.append(text_of(refusal))

    if annotations := delta.get("annotations"):
        draft.annotations += list_of(annotations)

    for row in list_of(delta.get("tool_calls")):
        if is_object(row):
            _take_call(draft, index, row, events)


def _take_call(
    draft: _ChoiceDraft, index: int, row: dict[str, Any], events: list[StreamEvent]
) -> None:
    number = draft.call_index(row)
    call = draft.calls[number]
    function = object_of(row.get("function"))
    identity, name = text_of(row.get("id")), text_of(function.get("name"))
    new_id = identity if identity and not call.id else None
    new_name = name if name and not call.name else None
    call.id = call.id or identity
    call.name = call.name or name
    arguments = arguments_text(function.get("arguments"))
    call.arguments.append(arguments)
    events.append(
        ToolCallDelta(number, id=new_id, name=new_name, arguments=arguments, choice=index)
    )
