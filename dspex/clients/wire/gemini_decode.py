"""A `GenerateContentResponse` of Gemini's as a Response.

The wire has no word for a turn that ends in calls of functions, so that they are looked for. A
prompt that was blocked has no candidates at all, and is a filtered call. A stream is put together
to the same candidates and read here too.
"""

from __future__ import annotations

from typing import Any, Final

from dspex.clients.loose import count_of, is_list, is_object, list_of, object_of, text_of
from dspex.clients.wire.gemini_citations import read_citations
from dspex.clients.wire.reading import (
    arguments_text,
    load_json,
    number_of,
    protocol_error,
    raise_inner_error,
)
from dspex.errors import ContentFiltered, ErrorData, ErrorKind
from dspex.messages import (
    Choice,
    FinishReason,
    ReasoningPart,
    Response,
    TokenLogprob,
    ToolCall,
)
from dspex.usage import Usage

__all__ = ("decode_body", "decode_usage", "raise_blocked", "read_answer")

_FILTERED: Final = (
    "BLOCKLIST",
    "ESCALATION",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_SAFETY",
    "MODEL_ARMOR",
    "PROHIBITED_CONTENT",
    "PUP_LIMITED_DISABLED",
    "RECITATION",
    "SAFETY",
    "SPII",
)
_FAILED: Final = (
    "IMAGE_OTHER",
    "LANGUAGE",
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "MISSING_THOUGHT_SIGNATURE",
    "NO_IMAGE",
    "TOO_MANY_TOOL_CALLS",
    "UNEXPECTED_TOOL_CALL",
)
_FINISH_REASONS: Final = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    # More would come for another request.
    "CONTINUATION": FinishReason.LENGTH,
    **dict.fromkeys(_FILTERED, FinishReason.CONTENT_FILTER),
    **dict.fromkeys(_FAILED, FinishReason.ERROR),
}


def decode_body(body: bytes) -> Response:
    """Return the answer in `body`.

    Raises:
        ProtocolError: it is not an answer.
        ContentFiltered: the prompt was blocked.
        ProviderError: it holds an error, classified as one.
    """
    value = load_json(body)
    answer = value[0] if is_list(value) and len(value) == 1 else value
    if not is_object(answer):
        raise protocol_error("the answer is not a JSON object", body)

    raise_inner_error(answer, body)
    if not list_of(answer.get("candidates")):
        raise_blocked(answer)
        raise protocol_error("the answer has no candidates", body)

    return read_answer(answer)


def raise_blocked(answer: dict[str, Any]) -> None:
    """Raise ContentFiltered if the prompt was blocked."""
    feedback = object_of(answer.get("promptFeedback"))
    reason = text_of(feedback.get("blockReason"))
    if not reason:
        return

    said = text_of(feedback.get("blockReasonMessage"))
    raise ContentFiltered(
        ErrorData(
            ErrorKind.CONTENT_FILTER,
            f"the prompt was blocked: {reason}" + (f" ({said})" if said else ""),
            status=200,
            code=reason.lower(),
            stage="body",
        )
    )


def read_answer(answer: dict[str, Any]) -> Response:
    """Return an answer with candidates as a Response."""
    rows = [object_of(row) for row in list_of(answer.get("candidates"))]
    rows.sort(key=lambda row: count_of(row.get("index")))
    return Response(
        tuple(_choice(row) for row in rows),
        model=text_of(answer.get("modelVersion")),
        request_id=text_of(answer.get("responseId")) or None,
        usage=decode_usage(answer.get("usageMetadata")),
    )


def decode_usage(value: object) -> Usage:
    """Return the usage in the normal form: thoughts are output, what tools were shown is input."""
    row = object_of(value)
    thoughts = count_of(row.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=count_of(row.get("promptTokenCount"))
        + count_of(row.get("toolUsePromptTokenCount")),
        output_tokens=count_of(row.get("candidatesTokenCount")) + thoughts,
        cache_read_tokens=count_of(row.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        cost_usd=None,
        calls=1,
    )


def _choice(row: dict[str, Any]) -> Choice:
    parts = [
        part for part in list_of(object_of(row.get("content")).get("parts")) if is_object(part)
    ]
    text = "".join(text_of(part.get("text")) for part in parts if not part.get("thought"))
    thoughts = [text_of(part.get("text")) for part in parts if part.get("thought")]
    calls = [part for part in parts if is_object(part.get("functionCall"))]
    finish = _finish_reason(row.get("finishReason"), tool_calls=bool(calls))
    return Choice(
        text,
        finish_reason=finish,
        reasoning="".join(thoughts) or None,
        refusal=_refusal(row, finish),
        tool_calls=tuple(_tool_call(part, index) for index, part in enumerate(calls)),
        thinking=_thinking(parts),
        logprobs=_logprobs(object_of(row.get("logprobsResult"))),
        citations=read_citations(row, text),
    )


def _finish_reason(value: object, *, tool_calls: bool) -> FinishReason:
    found = _FINISH_REASONS.get(value) if isinstance(value, str) else None
    if tool_calls and found in (None, FinishReason.STOP):
        return FinishReason.TOOL_CALLS

    return found or FinishReason.UNKNOWN


def _refusal(row: dict[str, Any], finish: FinishReason) -> str | None:
    if finish is not FinishReason.CONTENT_FILTER:
        return None

    return text_of(row.get("finishMessage")) or text_of(row.get("finishReason"))


def _tool_call(part: dict[str, Any], index: int) -> ToolCall:
    call = object_of(part.get("functionCall"))
    return ToolCall(
        text_of(call.get("id")) or f"call_{index}",
        text_of(call.get("name")),
        arguments_text(call.get("args", {})),
        signature=text_of(part.get("thoughtSignature")) or None,
    )


def _thinking(parts: list[dict[str, Any]]) -> tuple[ReasoningPart, ...]:
    """Return thoughts and signatures as they must go back.

    A run of thoughts is one piece, however it was cut, until one brings its signature. The
    signature of a visible text is a piece without text.
    """
    found: list[ReasoningPart] = []
    is_open = False
    for part in parts:
        text, signature = text_of(part.get("text")), text_of(part.get("thoughtSignature")) or None
        is_thought = bool(part.get("thought"))
        if is_thought and is_open:
            found[-1] = ReasoningPart(found[-1].text + text, signature=signature)
        elif (is_thought and text) or (signature and "functionCall" not in part):
            found.append(ReasoningPart(text if is_thought else "", signature=signature))

        is_open = is_thought and signature is None and (is_open or bool(text))

    return tuple(found)


def _logprobs(result: dict[str, Any]) -> tuple[TokenLogprob, ...]:
    tops = [
        list_of(object_of(row).get("candidates")) for row in list_of(result.get("topCandidates"))
    ]
    found: list[TokenLogprob] = []
    for index, row in enumerate(list_of(result.get("chosenCandidates"))):
        pair = _token(row)
        if pair is None:
            continue

        others = tops[index] if index < len(tops) else []
        top = tuple(other for other in map(_token, others) if other is not None)
        found.append(TokenLogprob(*pair, top))

    return tuple(found)


def _token(value: object) -> tuple[str, float] | None:
    row = object_of(value)
    logprob = number_of(row.get("logProbability"))
    return None if logprob is None else (text_of(row.get("token")), logprob)
