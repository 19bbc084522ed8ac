"""A message of Anthropic's as a Response.

Content comes in blocks: text with citations, thinking with its signature, thinking that nobody may
read, calls of tools. Blocks of the server's own tools are passed over. A stream is put together to
the same blocks and read here too, so that both ways give the same answer.
"""

from __future__ import annotations

from typing import Any, Final

from dspex.clients.loose import count_of, is_list, is_object, list_of, object_of, text_of
from dspex.clients.wire.reading import (
    arguments_text,
    load_json_object,
    protocol_error,
    raise_inner_error,
)
from dspex.errors import ContextWindowExceeded, ErrorData, ErrorKind
from dspex.messages import Choice, Citation, FinishReason, ReasoningPart, Response, ToolCall
from dspex.usage import Usage

__all__ = ("decode_body", "decode_usage", "read_message")

_CONTEXT_WINDOW: Final = "model_context_window_exceeded"

_FINISH_REASONS: Final = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    # The server's own tools have run their allowed number of times: the turn is not over.
    "pause_turn": FinishReason.LENGTH,
    "refusal": FinishReason.CONTENT_FILTER,
}


def decode_body(body: bytes) -> Response:
    """Return the answer in `body`.

    Raises:
        ProtocolError: it is not an answer.
        ContextWindowExceeded: the model had no room left to go on.
        ProviderError: it holds an error, classified as one.
    """
    answer = load_json_object(body)
    raise_inner_error(answer, body)
    if not is_list(answer.get("content")):
        raise protocol_error("the answer has no content", body)

    return read_message(answer)


def read_message(answer: dict[str, Any]) -> Response:
    """Return a message as a Response.

    Raises:
        ContextWindowExceeded: the model had no room left to go on.
    """
    usage = decode_usage(answer.get("usage"))
    if answer.get("stop_reason") == _CONTEXT_WINDOW:
        raise _out_of_context(usage)

    return Response(
        (_choice(answer),),
        model=text_of(answer.get("model")),
        request_id=text_of(answer.get("id")) or None,
        usage=usage,
    )


def decode_usage(value: object) -> Usage:
    """Return the usage in the normal form: what the cache served or took is input too."""
    row = object_of(value)
    cache_read = count_of(row.get("cache_read_input_tokens"))
    cache_write = count_of(row.get("cache_creation_input_tokens"))
    details = object_of(row.get("output_tokens_details"))
    return Usage(
        input_tokens=count_of(row.get("input_tokens")) + cache_read + cache_write,
        output_tokens=count_of(row.get("output_tokens")),
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        reasoning_tokens=count_of(details.get("thinking_tokens")),
        cost_usd=None,
        calls=1,
    )


def _out_of_context(usage: Usage) -> ContextWindowExceeded:
    return ContextWindowExceeded(
        ErrorData(
            ErrorKind.CONTEXT_WINDOW,
            f"the model ran out of context after {usage.input_tokens} tokens in and "
            f"{usage.output_tokens} out",
            status=200,
            code=_CONTEXT_WINDOW,
            stage="body",
        )
    )


def _choice(answer: dict[str, Any]) -> Choice:
    blocks = [block for block in list_of(answer.get("content")) if is_object(block)]
    texts = [block for block in blocks if block.get("type") == "text"]
    calls = [block for block in blocks if block.get("type") == "tool_use"]
    thinking = tuple(part for part in map(_thinking, blocks) if part is not None)
    return Choice(
        "".join(text_of(block.get("text")) for block in texts),
        finish_reason=_finish_reason(answer.get("stop_reason"), tool_calls=bool(calls)),
        reasoning="".join(part.text for part in thinking) or None,
        refusal=_refusal(answer),
        tool_calls=tuple(_tool_call(call, index) for index, call in enumerate(calls)),
        thinking=thinking,
        citations=tuple(
            _citation(row)
            for block in texts
            for row in list_of(block.get("citations"))
            if is_object(row)
        ),
    )


def _finish_reason(value: object, *, tool_calls: bool) -> FinishReason:
    found = _FINISH_REASONS.get(value) if isinstance(value, str) else None
    if tool_calls and found in (None, FinishReason.STOP):
        return FinishReason.TOOL_CALLS

    return found or FinishReason.UNKNOWN


def _refusal(answer: dict[str, Any]) -> str | None:
    if answer.get("stop_reason") != "refusal":
        return None

    details = object_of(answer.get("stop_details"))
    said = text_of(details.get("explanation")) or text_of(details.get("category"))
    return said or "the provider gives no reason"


def _thinking(block: dict[str, Any]) -> ReasoningPart | None:
    match block.get("type"):
        case "thinking":
            signature = text_of(block.get("signature")) or None
            return ReasoningPart(text_of(block.get("thinking")), signature=signature)
        case "redacted_thinking":
            return ReasoningPart(encrypted=text_of(block.get("data")))
        case _:
            return None


def _tool_call(block: dict[str, Any], index: int) -> ToolCall:
    return ToolCall(
        text_of(block.get("id")) or f"call_{index}",
        text_of(block.get("name")),
        arguments_text(block.get("input")),
    )


def _citation(row: dict[str, Any]) -> Citation:
    """Return a citation; where it stands is counted in characters, pages or blocks."""
    return Citation(
        text_of(row.get("cited_text")),
        source=_source(row),
        start=_first(row, "start_char_index", "start_page_number", "start_block_index"),
        end=_first(row, "end_char_index", "end_page_number", "end_block_index"),
    )


def _source(row: dict[str, Any]) -> str | None:
    for name in ("document_title", "url", "source", "title"):
        if said := text_of(row.get(name)):
            return said

    index = _first(row, "document_index", "search_result_index")
    return None if index is None else str(index)


def _first(row: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = row.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return count_of(value)

    return None
