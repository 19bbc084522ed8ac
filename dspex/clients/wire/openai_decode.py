"""The body of an OpenAI chat completion as a Response, whoever wrote it.

Many servers speak this wire and few speak it whole: usage, id, finish reason, even the index of a
choice may be missing, arguments may be an object, content a list. All of that is read for what it
is. What holds no answer raises, and the message shows what was seen.
"""

from __future__ import annotations

from typing import Any, Final, TypeGuard

from dspex.clients.loose import count_of, is_object, list_of, object_of, text_of
from dspex.clients.wire.openai_parts import citations, token_logprobs
from dspex.clients.wire.reading import (
    arguments_text,
    load_json_object,
    protocol_error,
    raise_inner_error,
    raise_part_error,
)
from dspex.messages import Choice, FinishReason, ReasoningPart, Response, ToolCall
from dspex.usage import Usage

__all__ = (
    "decode_body",
    "decode_usage",
    "finish_reason",
    "reasoning_text",
    "thinking_parts",
)

_FINISH_REASONS: Final = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    # Words of other servers for the same things.
    "function_call": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "end_turn": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "sensitive": FinishReason.CONTENT_FILTER,
    "error": FinishReason.ERROR,
    "insufficient_system_resource": FinishReason.ERROR,
    "network_error": FinishReason.ERROR,
}
_MORE_THAN_TEXT: Final = (
    "tool_calls",
    "reasoning_content",
    "reasoning",
    "refusal",
    "annotations",
    "audio",
)


def decode_body(body: bytes) -> Response:
    """Return the answer in `body`; about 4 us for 1 KB.

    Raises:
        ProtocolError: it is not an answer.
        ProviderError: it holds an error, classified as one.
    """
    answer = load_json_object(body)
    response = _plain_answer(answer)
    if response is not None:
        return response

    raise_inner_error(answer, body)
    rows = list_of(answer.get("choices"))
    if not rows:
        raise protocol_error("the answer has no choices", body)

    if len(rows) > 1:
        rows = sorted(rows, key=lambda row: count_of(object_of(row).get("index")))

    return Response(
        tuple(_choice(object_of(row), body) for row in rows),
        model=text_of(answer.get("model")),
        request_id=text_of(answer.get("id")) or None,
        usage=decode_usage(answer.get("usage")),
    )


def _plain_answer(answer: dict[str, Any]) -> Response | None:
    """Return an answer that is one plain text, as nearly all are, at half the price; else None."""
    if "error" in answer or answer.get("object") == "error":
        return None

    try:
        (row,) = answer["choices"]
        message = row["message"]
        text, finish = message["content"], _FINISH_REASONS[row["finish_reason"]]
        model, request_id, counts = answer["model"], answer["id"], answer["usage"]
    except (KeyError, TypeError, ValueError):
        return None

    if not (type(text) is type(model) is type(request_id) is str):
        return None

    if any(map(message.get, _MORE_THAN_TEXT)) or row.get("logprobs") or row.get("error"):
        return None

    choice = Choice(text, finish_reason=finish)
    return Response(
        (choice,), model=model, request_id=request_id or None, usage=decode_usage(counts)
    )


def decode_usage(value: object) -> Usage:
    """Return the usage of one call in the normal form; its cost is not known yet.

    What is missing or makes no sense counts as zero.
    """
    row = object_of(value)
    asked, answered = row.get("prompt_tokens"), row.get("completion_tokens")
    if len(row) == 3 and "total_tokens" in row and _is_count(asked) and _is_count(answered):
        return Usage(input_tokens=asked, output_tokens=answered, cost_usd=None, calls=1)

    prompt = object_of(row.get("prompt_tokens_details"))
    completion = object_of(row.get("completion_tokens_details"))
    return Usage(
        input_tokens=count_of(row.get("prompt_tokens")),
        output_tokens=count_of(row.get("completion_tokens")),
        cache_read_tokens=count_of(prompt.get("cached_tokens")),
        cache_write_tokens=count_of(prompt.get("cache_write_tokens")),
        reasoning_tokens=count_of(completion.get("reasoning_tokens")),
        cost_usd=None,
        calls=1,
    )


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and value == count_of(value)


def finish_reason(value: object, *, tool_calls: bool) -> FinishReason:
    """Return why the model stopped; a call of a tool counts as that, whatever the server says."""
    found = _FINISH_REASONS.get(value) if isinstance(value, str) else None
    if tool_calls and found in (None, FinishReason.STOP):
        return FinishReason.TOOL_CALLS

    return found or FinishReason.UNKNOWN


def reasoning_text(message: dict[str, Any]) -> str:
    """Return the model's thinking, under either of the names that servers have for it."""
    said = message.get("reasoning_content") or message.get("reasoning")
    return text_of(said) if said else ""


def thinking_parts(text: str) -> tuple[ReasoningPart, ...]:
    """Return thinking as what goes back to a server that wants it."""
    return (ReasoningPart(text),) if text else ()


def _choice(row: dict[str, Any], body: bytes) -> Choice:
    raise_part_error(row, body)
    message = row.get("message")
    if not is_object(message):
        raise protocol_error("a choice has no message", body)

    rows = enumerate(list_of(message.get("tool_calls")))
    calls = tuple(_tool_call(object_of(call), index) for index, call in rows)
    thinking = reasoning_text(message)
    return Choice(
        text_of(message.get("content")),
        finish_reason=finish_reason(row.get("finish_reason"), tool_calls=bool(calls)),
        reasoning=thinking or None,
        refusal=text_of(message.get("refusal")) or None,
        tool_calls=calls,
        thinking=thinking_parts(thinking),
        logprobs=token_logprobs(list_of(object_of(row.get("logprobs")).get("content"))),
        citations=citations(list_of(message.get("annotations"))),
    )


def _tool_call(row: dict[str, Any], index: int) -> ToolCall:
    function = object_of(row.get("function"))
    return ToolCall(
        text_of(row.get("id")) or f"call_{index}",
        text_of(function.get("name")),
        arguments_text(function.get("arguments")),
    )
