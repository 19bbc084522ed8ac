"""The body of OpenAI's Responses as a Response.

A good HTTP status proves nothing here: the body has a status of its own, under which a failed
answer comes too, to be retried or not by the code of its error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from dspex.clients.loose import count_of, is_list, is_object, list_of, object_of, text_of
from dspex.clients.wire.openai_parts import citations, token_logprobs
from dspex.clients.wire.reading import (
    arguments_text,
    load_json_object,
    protocol_error,
    raise_inner_error,
)
from dspex.errors import ErrorData, ErrorKind, to_exception
from dspex.messages import Choice, FinishReason, ReasoningPart, Response, ToolCall
from dspex.usage import Usage

__all__ = ("decode_answer", "decode_body", "decode_usage")

_INCOMPLETE: Final = {
    "max_output_tokens": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_ENDED: Final = frozenset({"", "completed", "incomplete"})


def decode_body(body: bytes) -> Response:
    """Return the answer in `body`.

    Raises:
        ProtocolError: it is not an answer.
        ProviderError: it holds an error, or the answer has failed; classified.
    """
    return decode_answer(load_json_object(body), body)


def decode_answer(answer: dict[str, Any], body: bytes) -> Response:
    """Return the answer in `answer`, which was read from `body`; raises as `decode_body` does."""
    raise_inner_error(answer, body)
    status = text_of(answer.get("status"))
    if status not in _ENDED:
        raise _unfinished(status)

    items = answer.get("output")
    if not is_list(items):
        raise protocol_error("the answer has no output", body)

    return Response(
        (_choice(items, answer, status),),
        model=text_of(answer.get("model")),
        request_id=text_of(answer.get("id")) or None,
        usage=decode_usage(answer.get("usage")),
    )


def decode_usage(value: object) -> Usage:
    """Return the usage of one call in the normal form; what makes no sense counts as zero."""
    row = object_of(value)
    asked = object_of(row.get("input_tokens_details"))
    answered = object_of(row.get("output_tokens_details"))
    return Usage(
        input_tokens=count_of(row.get("input_tokens")),
        output_tokens=count_of(row.get("output_tokens")),
        cache_read_tokens=count_of(asked.get("cached_tokens")),
        cache_write_tokens=count_of(asked.get("cache_write_tokens")),
        reasoning_tokens=count_of(answered.get("reasoning_tokens")),
        cost_usd=None,
        calls=1,
    )


@dataclass(slots=True)
class _Found:
    """What the items of an answer hold, in their order."""

    text: list[str] = field(default_factory=list[str])
    refusal: list[str] = field(default_factory=list[str])
    thinking: list[ReasoningPart] = field(default_factory=list[ReasoningPart])
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    annotations: list[object] = field(default_factory=list[object])
    logprobs: list[object] = field(default_factory=list[object])

    def take(self, item: dict[str, Any]) -> None:
        """Add one item; hosted tools and kinds that are yet to come are passed over."""
        match item.get("type"):
            case "message":
                for part in list_of(item.get("content")):
                    self._take_part(object_of(part))
            case "reasoning":
                self.thinking.append(_reasoning(item))
            case "function_call":
                self.calls.append(_tool_call(item, len(self.calls)))
            case _:
                pass

    def _take_part(self, part: dict[str, Any]) -> None:
        self.text.append(text_of(part.get("text")))
        self.refusal.append(text_of(part.get("refusal")))
        self.annotations += list_of(part.get("annotations"))
        self.logprobs += list_of(part.get("logprobs"))


def _choice(items: list[Any], answer: dict[str, Any], status: str) -> Choice:
    found = _Found()
    for item in items:
        if is_object(item):
            found.take(item)

    readable = [part.text for part in found.thinking if part.text]
    return Choice(
        "".join(found.text),
        finish_reason=_finish_reason(answer, status, tool_calls=bool(found.calls)),
        reasoning="\n\n".join(readable) or None,
        refusal="".join(found.refusal) or None,
        tool_calls=tuple(found.calls),
        thinking=tuple(found.thinking),
        logprobs=token_logprobs(found.logprobs),
        citations=citations(found.annotations),
    )


def _finish_reason(answer: dict[str, Any], status: str, *, tool_calls: bool) -> FinishReason:
    if status == "incomplete":
        reason = text_of(object_of(answer.get("incomplete_details")).get("reason"))
        return _INCOMPLETE.get(reason, FinishReason.UNKNOWN)

    return FinishReason.TOOL_CALLS if tool_calls else FinishReason.STOP


def _reasoning(item: dict[str, Any]) -> ReasoningPart:
    """Return a piece of thinking: its summary if there is one, else itself."""
    rows = list_of(item.get("summary")) or list_of(item.get("content"))
    texts = [text_of(object_of(row).get("text")) for row in rows]
    return ReasoningPart(
        "\n\n".join(text for text in texts if text),
        encrypted=text_of(item.get("encrypted_content")) or None,
        id=text_of(item.get("id")) or None,
    )


def _tool_call(item: dict[str, Any], index: int) -> ToolCall:
    return ToolCall(
        text_of(item.get("call_id")) or text_of(item.get("id")) or f"call_{index}",
        text_of(item.get("name")),
        arguments_text(item.get("arguments")),
    )


def _unfinished(status: str) -> Exception:
    return to_exception(
        ErrorData(
            ErrorKind.SERVER,
            f"the answer's status is {status!r}, without an error that says why",
            status=200,
            code=status,
            stage="body",
        )
    )
