"""Answers as bytes: JSON, which any later version and any other tool can read, and no pickle."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final, TypeAlias

import orjson

from dspex.config.tables import is_mapping
from dspex.messages import Choice, EmbedResponse, FinishReason, Response
from dspex.usage import Usage

__all__ = (
    "FINISH_REASONS",
    "HIT",
    "Answer",
    "as_hit",
    "decode_answer",
    "decode_json",
    "encode_answer",
    "encode_json",
    "is_plain",
    "is_well_formed",
)

Answer: TypeAlias = Response | EmbedResponse
"""What is kept: a model's words, or vectors."""

HIT: Final = Usage(calls=1, cache_hits=1)
"""What an answer from the cache has used."""

FINISH_REASONS: Final = {reason.value: reason for reason in FinishReason}
"""By their values: the enum's own lookup costs ten times as much, on every hit."""

_MALFORMED: Final = frozenset(
    {FinishReason.ERROR, FinishReason.CONTENT_FILTER, FinishReason.UNKNOWN}
)
_PLAIN_FIELDS: Final = 4
_PLAIN_CHOICE: Final = frozenset({"text", "finish_reason", "reasoning", "refusal"})


def is_well_formed(answer: Answer) -> bool:
    """Tell whether an answer may be kept: it has choices, and each of them came to its end.

    Its end is a stop, a tool call or the caller's own length limit. Not kept is what the provider
    broke off, filtered, or ended for a reason we do not know: tomorrow it may do better. Of vectors
    there must be some.
    """
    if isinstance(answer, EmbedResponse):
        return bool(answer.vectors)

    choices = answer.choices
    if len(choices) == 1:
        return choices[0].finish_reason not in _MALFORMED

    return bool(choices) and all(choice.finish_reason not in _MALFORMED for choice in choices)


def is_plain(response: Response) -> bool:
    """Tell whether an answer is one choice of text, as nearly all are."""
    if len(response.choices) != 1 or response.dropped:
        return False

    choice = response.choices[0]
    return not (choice.tool_calls or choice.thinking or choice.logprobs or choice.citations)


def as_hit(answer: Answer) -> Answer:
    """Return a kept answer as it is handed out: marked `cached`, with nothing used."""
    return replace(answer, cached=True, usage=HIT, attempts=(), latency_s=0.0)


def encode_answer(answer: Answer) -> bytes:
    """Return an answer as JSON that its `from_dict` takes, without what it had cost."""
    if isinstance(answer, EmbedResponse) or not is_plain(answer):
        stripped = replace(answer, cached=False, usage=Usage(), attempts=(), latency_s=0.0)
        return encode_json(stripped.to_dict())

    choice = answer.choices[0]
    told: dict[str, Any] = {"text": choice.text, "finish_reason": choice.finish_reason.value}
    if choice.reasoning is not None:
        told["reasoning"] = choice.reasoning

    if choice.refusal is not None:
        told["refusal"] = choice.refusal

    return encode_json(
        {
            "choices": [told],
            "model": answer.model,
            "endpoint": answer.endpoint,
            "request_id": answer.request_id,
        }
    )


def decode_answer(value: bytes) -> Answer:
    """Return the answer as a hit; raise ValueError for bytes that are none, or none to be kept."""
    data = decode_json(value)
    found: Answer | None = _plain_response(data)
    if found is None:
        vectors = is_mapping(data) and "vectors" in data
        found = as_hit(EmbedResponse.from_dict(data) if vectors else Response.from_dict(data))

    if not is_well_formed(found):
        raise ValueError("an answer without an end is nothing that is kept")

    return found


def encode_json(value: object) -> bytes:
    """Return a value as JSON, lone surrogates and large integers included."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value).encode("ascii")


def decode_json(value: bytes) -> Any:
    """Return the value; raise ValueError for what is no JSON."""
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        # Half a character in an answer: orjson refuses it both ways.
        return json.loads(value)


def _plain_response(data: Any) -> Response | None:
    """Return a plain answer; None for any other, which takes five times as long to check."""
    try:
        (told,) = data["choices"]
        model, endpoint, request_id = data["model"], data["endpoint"], data["request_id"]
        text, finish = told["text"], FINISH_REASONS[told["finish_reason"]]
        reasoning, refusal = told.get("reasoning"), told.get("refusal")
    except (KeyError, TypeError, ValueError, AttributeError):
        return None

    if len(data) > _PLAIN_FIELDS or not told.keys() <= _PLAIN_CHOICE:
        return None

    texts = type(text) is str and type(model) is str and type(endpoint) is str
    if not (texts and _is_text(request_id) and _is_text(reasoning) and _is_text(refusal)):
        return None

    choice = Choice(text, finish_reason=finish, reasoning=reasoning, refusal=refusal)
    return Response(
        (choice,), model=model, endpoint=endpoint, usage=HIT, request_id=request_id, cached=True
    )


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)
