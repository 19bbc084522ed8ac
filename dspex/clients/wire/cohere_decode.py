"""An answer of Cohere's chat, version 2, as a Response.

The tokens that count are `tokens`; `billed_units` are what is paid for, and stand in where the
others are missing. Both are floats. A stream is put together to the same message and read here too.
"""

from __future__ import annotations

from typing import Any, Final

from dspex.clients.failures.classify import classify_response
from dspex.clients.loose import count_of, is_object, list_of, object_of, text_of
from dspex.clients.wire.cohere_turns import TOOL_PLAN
from dspex.clients.wire.reading import (
    arguments_text,
    load_json_object,
    number_of,
    protocol_error,
    raise_inner_error,
)
from dspex.errors import ErrorData, ErrorKind, ServerError, to_exception
from dspex.messages import (
    Choice,
    Citation,
    FinishReason,
    ReasoningPart,
    Response,
    TokenLogprob,
    ToolCall,
)
from dspex.usage import Usage

__all__ = ("decode_body", "decode_usage", "read_answer")

_FINISH_REASONS: Final = {
    "COMPLETE": FinishReason.STOP,
    "STOP_SEQUENCE": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "TOOL_CALL": FinishReason.TOOL_CALLS,
}
_FAILED: Final = frozenset({"ERROR", "TIMEOUT"})


def decode_body(body: bytes) -> Response:
    """Return the answer in `body`.

    Raises:
        ProtocolError: it is not an answer.
        ServerError: the provider failed while it answered.
        ProviderError: it holds an error, classified as one.
    """
    answer = load_json_object(body)
    raise_inner_error(answer, body)
    message = answer.get("message")
    if not is_object(message):
        _raise_failed(answer)
        if message and isinstance(message, str):
            # As it writes its errors, under a status that says that all is well.
            raise to_exception(classify_response(200, {}, body, provider="", model=""))

        raise protocol_error("the answer has no message", body)

    return read_answer(answer)


def read_answer(answer: dict[str, Any]) -> Response:
    """Return an answer as a Response.

    Raises:
        ServerError: the provider failed while it answered.
    """
    _raise_failed(answer)
    return Response(
        (_choice(answer),),
        model=text_of(answer.get("model")),
        request_id=text_of(answer.get("id")) or None,
        usage=decode_usage(answer.get("usage")),
    )


def decode_usage(value: object) -> Usage:
    """Return the usage in the normal form."""
    row = object_of(value)
    counts = object_of(row.get("tokens")) or object_of(row.get("billed_units"))
    return Usage(
        input_tokens=count_of(counts.get("input_tokens")),
        output_tokens=count_of(counts.get("output_tokens")),
        cache_read_tokens=count_of(row.get("cached_tokens")),
        cost_usd=None,
        calls=1,
    )


def _raise_failed(answer: dict[str, Any]) -> None:
    finish = answer.get("finish_reason")
    if not isinstance(finish, str) or finish not in _FAILED:
        return

    # The text so far is no answer, and the next try may well be one.
    said = text_of(answer.get("failure")) or "the provider gives no reason"
    raise ServerError(
        ErrorData(
            ErrorKind.SERVER,
            f"the answer ended with {finish}: {said}",
            status=200,
            code=finish.lower(),
            stage="body",
        )
    )


def _choice(answer: dict[str, Any]) -> Choice:
    message = object_of(answer.get("message"))
    content = message.get("content")
    thinking = _thinking(list_of(content), text_of(message.get("tool_plan")))
    calls = [row for row in list_of(message.get("tool_calls")) if is_object(row)]
    return Choice(
        text_of(content),
        finish_reason=_finish_reason(answer.get("finish_reason"), tool_calls=bool(calls)),
        reasoning="".join(part.text for part in thinking) or None,
        tool_calls=tuple(_tool_call(row, index) for index, row in enumerate(calls)),
        thinking=thinking,
        logprobs=_logprobs(list_of(answer.get("logprobs"))),
        citations=tuple(
            citation
            for row in list_of(message.get("citations"))
            for citation in _citations(object_of(row))
        ),
    )


def _finish_reason(value: object, *, tool_calls: bool) -> FinishReason:
    found = _FINISH_REASONS.get(value) if isinstance(value, str) else None
    if tool_calls and found in (None, FinishReason.STOP):
        return FinishReason.TOOL_CALLS

    return found or FinishReason.UNKNOWN


def _thinking(content: list[Any], plan: str) -> tuple[ReasoningPart, ...]:
    thoughts = [text_of(object_of(block).get("thinking")) for block in content]
    found = [ReasoningPart(text) for text in thoughts if text]
    return (*found, ReasoningPart(plan, id=TOOL_PLAN)) if plan else tuple(found)


def _tool_call(row: dict[str, Any], index: int) -> ToolCall:
    function = object_of(row.get("function"))
    return ToolCall(
        text_of(row.get("id")) or f"call_{index}",
        text_of(function.get("name")),
        arguments_text(function.get("arguments")),
    )


def _logprobs(rows: list[Any]) -> tuple[TokenLogprob, ...]:
    """Return the log-probability of each piece of text, which may be of several tokens."""
    found: list[TokenLogprob] = []
    for row in filter(is_object, rows):
        numbers = [number_of(value) for value in list_of(row.get("logprobs"))]
        known = [number for number in numbers if number is not None]
        if known:
            found.append(TokenLogprob(text_of(row.get("text")), sum(known)))

    return tuple(found)


def _citations(row: dict[str, Any]) -> list[Citation]:
    """Return a citation for each source; its place is one in the answer, and is left out."""
    passage = text_of(row.get("text"))
    sources = [_source(source) for source in list_of(row.get("sources")) if is_object(source)]
    return [Citation(passage, source=source) for source in sources or [None]]


def _source(row: dict[str, Any]) -> str | None:
    document = object_of(row.get("document"))
    for said in (document.get("title"), document.get("url"), row.get("id")):
        if text := text_of(said):
            return text

    return None
