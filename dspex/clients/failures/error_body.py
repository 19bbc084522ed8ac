"""What providers write into the body of an error: JSON of many shapes, HTML pages, or nothing.

{"error": {"message", "type", "code", ...}}      OpenAI and followers; code may be a number
{"error": "text"}                                some local servers
{"object": "error", "message", "code"}           older vLLM
{"detail": "text" | [{"msg"}]}                   FastAPI in front of a model
{"message"}, [{"error": {...}}]                  Cohere, Gemini
<html>...                                        a proxy that has never heard of models
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any, Final

import orjson

from dspex.clients.loose import is_list, is_object

__all__ = ("ErrorBody", "read_error_body")

_MAX_CHARS: Final = 500
_MAX_BYTES: Final = 1 << 20
_TITLE: Final = re.compile(r"<(title|h1)[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_SECRET: Final = re.compile(
    r"(?i:\bbearer\s+)[^\s\"'<>]{8,}|\b(?:sk|gsk|xai|hf|nvapi)[-_][\w-]{16,}|\bAIza[\w-]{20,}"
)
"""Keys as the big providers write them: some servers repeat the one that they refuse."""

_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The facts of an error body: what it says, and the provider's words for it, lower-cased.

    `code` and `type` are empty where there were none; `status` is a code that is an HTTP status.
    """

    message: str
    code: str = ""
    type: str = ""
    status: int | None = None

    @property
    def words(self) -> frozenset[str]:
        """Both words, without those that are missing."""
        return frozenset(word for word in (self.code, self.type) if word)


def read_error_body(body: bytes) -> ErrorBody:
    """Read any body; never raises. The message is empty when there is nothing to say."""
    try:
        return _from_json(orjson.loads(body[:_MAX_BYTES]))
    except orjson.JSONDecodeError:
        return ErrorBody(_from_text(body[: 8 * _MAX_CHARS].decode("utf-8", "replace")))


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
    return ErrorBody(
        _shorten(message or _shown(error)),
        "" if status is not None else _word(code),
        _word(error.get("type")),
        status,
    )


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
