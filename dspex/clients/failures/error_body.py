"""What providers write into the body of an error: JSON of many shapes, HTML pages, or nothing.

{"error": {"message", "type", "code", ...}}      OpenAI and followers; code may be a number
{"error": "text"}                                some local servers
{"object": "error", "message", "code"}           older vLLM
{"detail": "text" | [{"msg"}]}                   FastAPI in front of a model
{"type": "error", "error": {"type", "message"}}  Anthropic
{"error": {"code": 429, "status", "details"}}    Gemini, sometimes as the one element of a list
{"message"}                                      Cohere
{"status": "failed", "error": {"code"}}          OpenAI's Responses, under a good status
<html>...                                        a proxy that has never heard of models
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any, Final

import orjson

from dspex.clients.loose import is_list, is_object, list_of, object_of

__all__ = ("ErrorBody", "read_error_body")

_MAX_CHARS: Final = 500
_MAX_BYTES: Final = 1 << 20
_TITLE: Final = re.compile(r"<(title|h1)[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_SECRET: Final = re.compile(
    r"(?i:\bbearer\s+)[^\s\"'<>]{8,}|\b(?:sk|gsk|xai|hf|nvapi)[-_][\w-]{16,}|\bAIza[\w-]{20,}"
)
"""Keys as the big providers write them: some servers repeat the one that they refuse."""

_SPACE: Final = re.compile(r"\s+")
_DELAY: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_MAX_DETAILS: Final = 50


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The facts of an error body: what it says, and the provider's words for it, lower-cased.

    `code` and `type` are empty where there were none; `status` is a code that is an HTTP status.
    `reasons` are the words of its details, `retry_after_s` the wait that they ask for, and `daily`
    says that a quota counted by the day is used up. `foreign` marks what is not JSON: it comes from
    something on the way and not from the provider.
    """

    message: str
    code: str = ""
    type: str = ""
    status: int | None = None
    reasons: tuple[str, ...] = ()
    retry_after_s: float | None = None
    daily: bool = False
    foreign: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """All words, the most telling first, without those that are missing."""
        return tuple(word for word in (self.code, *self.reasons, self.type) if word)


def read_error_body(body: bytes) -> ErrorBody:
    """Read any body; never raises. The message is empty when there is nothing to say."""
    try:
        return _from_json(orjson.loads(body[:_MAX_BYTES]))
    except orjson.JSONDecodeError:
        text = _from_text(body[: 8 * _MAX_CHARS].decode("utf-8", "replace"))
        return ErrorBody(text, foreign=True)


def _from_json(value: object) -> ErrorBody:
    if is_list(value):
        value = value[0] if value else None

    if not is_object(value):
        return ErrorBody(_shorten(_shown(value)))

    inner = value.get("error")
    if is_object(inner):
        return _from_object(inner)

    if isinstance(inner, str) and inner:
        return ErrorBody(_shorten(_text(value.get("message")) or inner), _word(value.get("code")))

    return _from_object(value)


def _from_object(error: dict[str, Any]) -> ErrorBody:
    code = error.get("code")
    message = _text(error.get("message")) or _text(error.get("detail"))
    status = code if isinstance(code, int) and 400 <= code <= 599 else None
    details = [object_of(detail) for detail in list_of(error.get("details"))[:_MAX_DETAILS]]
    return ErrorBody(
        _shorten(message or _shown(error)),
        "" if status is not None else _word(code),
        _word(error.get("type")) or _rpc_status(error.get("status")),
        status,
        tuple(word for detail in details if (word := _word(detail.get("reason")))),
        next((wait for detail in details if (wait := _retry_delay_s(detail)) is not None), None),
        any(map(_counts_by_day, details)),
    )


def _rpc_status(value: object) -> str:
    """Return a google.rpc status such as RESOURCE_EXHAUSTED; others have other things there."""
    return _word(value) if isinstance(value, str) and value.isupper() else ""


def _retry_delay_s(detail: dict[str, Any]) -> float | None:
    """Return google.rpc.RetryInfo's delay, a duration such as "12.5s"."""
    said = detail.get("retryDelay")
    found = _DELAY.fullmatch(said) if isinstance(said, str) else None
    return float(found[1]) if found else None


def _counts_by_day(detail: dict[str, Any]) -> bool:
    """Tell whether google.rpc.QuotaFailure names a daily quota."""
    violations = map(object_of, list_of(detail.get("violations"))[:_MAX_DETAILS])
    return any("perday" in _word(violation.get("quotaId")) for violation in violations)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value

    return _shown(value) if is_object(value) or is_list(value) else ""


def _shown(value: object) -> str:
    try:
        return orjson.dumps(value).decode() if value else ""
    except orjson.JSONEncodeError:
        # What may be read is nested deeper than what may be written.
        return ""


def _word(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""

    return str(value).strip().lower()[:100]


def _from_text(text: str) -> str:
    title = _TITLE.search(text)
    if title is not None:
        return _shorten(f"an HTML page: {unescape(title.group(2)).strip()}")

    return _shorten(text)


def _shorten(text: str) -> str:
    text = _SECRET.sub("[key]", _SPACE.sub(" ", text).strip())
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}..."
