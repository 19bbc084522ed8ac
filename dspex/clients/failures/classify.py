"""Turn an answer that is not a result into one `ErrorData`.

The kind decides everything that follows (`rules`), so a wrong one is expensive: a used-up quota
taken for a rate limit is retried in vain, a rate limit taken for an outage opens the breaker.
Providers agree on little; where the status is ambiguous, their own words decide.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from dspex.clients.failures.error_body import ErrorBody, read_error_body
from dspex.clients.failures.hints import retry_after_s, should_retry
from dspex.clients.failures.rate_headers import read_rate_headers
from dspex.clients.failures.rules import FOREIGN
from dspex.errors import ErrorData, ErrorKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("classify_response",)

_QUOTA_WORDS: Final = frozenset(
    {
        "1113",
        "billing_error",
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "exceeded_current_quota_error",
        "insufficient_balance",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    }
)
_CONTEXT_WORDS: Final = frozenset(
    {
        "context_length_exceeded",
        "context_window_exceeded",
        "exceed_context_size_error",
        "model_context_window_exceeded",
    }
)
_FILTER_WORDS: Final = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "data_inspection_failed",
        "image_content_policy_violation",
        "moderation_blocked",
        "responsibleaipolicyviolation",
    }
)
_KEY_WORDS: Final = frozenset({"api_key_invalid", "api_key_expired", "invalid_api_key"})
"""A wrong key under a status that says nothing of keys: Gemini answers it with 400."""

_KIND_BY_WORD: Final[Mapping[str, ErrorKind]] = {
    **dict.fromkeys(_KEY_WORDS, ErrorKind.AUTH),
    **dict.fromkeys(_QUOTA_WORDS, ErrorKind.QUOTA_EXHAUSTED),
    **dict.fromkeys(_CONTEXT_WORDS, ErrorKind.CONTEXT_WINDOW),
    **dict.fromkeys(_FILTER_WORDS, ErrorKind.CONTENT_FILTER),
}
_KIND_BY_WORD_IN_200: Final[Mapping[str, ErrorKind]] = {
    **dict.fromkeys(
        ("authentication_error", "permission_denied", "permission_error", "unauthenticated"),
        ErrorKind.AUTH,
    ),
    **dict.fromkeys(
        ("rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "too_many_requests"),
        ErrorKind.RATE_LIMIT,
    ),
    **dict.fromkeys(
        (
            "empty_image_file",
            "failed_to_download_image",
            "failed_precondition",
            "image_file_not_found",
            "image_file_too_large",
            "image_parse_error",
            "image_too_large",
            "image_too_small",
            "invalid_argument",
            "invalid_base64_image",
            "invalid_image",
            "invalid_image_format",
            "invalid_image_mode",
            "invalid_image_url",
            "invalid_prompt",
            "invalid_request_error",
            "not_found",
            "not_found_error",
            "unsupported_image_media_type",
        ),
        ErrorKind.INVALID_REQUEST,
    ),
    "request_too_large": ErrorKind.TOO_LARGE,
}
_RATE_WORDS: Final = frozenset({"rate_limit_error", "rate_limit_exceeded", "resource_exhausted"})
"""Under a status that says "overloaded", they say that it is one's own rate."""

_QUOTA_PHRASES: Final = (
    "exceeded your current quota",
    "insufficient balance",
    "credit balance",
    "api calls / month",
    "per month request limit",
)
_CONTEXT_PHRASES: Final = (
    "maximum context length",
    "context length is only",
    "exceeds the available context size",
    "prompt is too long",
    "context window",
    "exceed context limit",
    "exceeds the maximum number of tokens",
    "too many tokens",
)
_KIND_BY_STATUS: Final[Mapping[int, ErrorKind]] = {
    401: ErrorKind.AUTH,
    402: ErrorKind.QUOTA_EXHAUSTED,
    403: ErrorKind.AUTH,
    408: ErrorKind.SERVER,
    409: ErrorKind.SERVER,
    413: ErrorKind.TOO_LARGE,
    425: ErrorKind.SERVER,
    429: ErrorKind.RATE_LIMIT,
    498: ErrorKind.AUTH,
    499: ErrorKind.SERVER,
    501: ErrorKind.INVALID_REQUEST,
}
_LONGEST_RATE_LIMIT_S: Final = 120.0
"""Longer waits are asked for by daily and monthly limits: nothing to sit out within a call."""


def classify_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    provider: str,
    model: str,
    clock: Callable[[], float] = time.time,
) -> ErrorData:
    """Say what an answer that is not a result means.

    Args:
        status: of HTTP; 200 for an error that came inside a good answer.
        headers: of the answer, in any case.
        body: as received, cut or not.
        provider: for the message.
        model: for the message.
        clock: seconds since the epoch, for a `Retry-After` that is a date.
    """
    found = read_error_body(body)
    lower = {name.lower(): value for name, value in headers.items()}
    hint_s = retry_after_s(lower, clock=clock)
    if hint_s is None:
        hint_s = found.retry_after_s

    kind = _kind(status, found)
    limit_per_min: float | None = None
    if kind is ErrorKind.RATE_LIMIT:
        hint = read_rate_headers(lower, clock=clock)
        limit_per_min = hint.requests_per_minute
        hint_s = hint.wait_s if hint_s is None else hint_s
        if hint_s is not None and hint_s > _LONGEST_RATE_LIMIT_S:
            kind = ErrorKind.QUOTA_EXHAUSTED

    return ErrorData(
        kind,
        _message(status, found, lower),
        provider=provider,
        model=model,
        status=status,
        code=_code(kind, found),
        request_id=lower.get("x-request-id") or lower.get("request-id"),
        retry_after_s=hint_s,
        should_retry=should_retry(lower),
        limit_per_min=limit_per_min,
    )


def _code(kind: ErrorKind, found: ErrorBody) -> str | None:
    if kind is ErrorKind.AUTH and found.foreign:
        return FOREIGN

    return next(iter(found.words), None)


def _kind(status: int, found: ErrorBody) -> ErrorKind:
    for word in found.words:
        if word in _KIND_BY_WORD:
            return _KIND_BY_WORD[word]

    if 200 <= status < 300:
        return _kind_in_200(found)

    if found.daily:
        return ErrorKind.QUOTA_EXHAUSTED

    if status == 503 and not _RATE_WORDS.isdisjoint(found.words):
        return ErrorKind.RATE_LIMIT

    said = found.message.lower()
    if status in (400, 403, 429) and any(phrase in said for phrase in _QUOTA_PHRASES):
        return ErrorKind.QUOTA_EXHAUSTED

    if status in (400, 422) and any(phrase in said for phrase in _CONTEXT_PHRASES):
        return ErrorKind.CONTEXT_WINDOW

    return _kind_of_status(status)


def _kind_in_200(found: ErrorBody) -> ErrorKind:
    if found.daily:
        return ErrorKind.QUOTA_EXHAUSTED

    if found.status is not None:
        return _kind(found.status, found)

    for word in found.words:
        if word in _KIND_BY_WORD_IN_200:
            return _KIND_BY_WORD_IN_200[word]

    return ErrorKind.SERVER


def _kind_of_status(status: int) -> ErrorKind:
    if status in _KIND_BY_STATUS:
        return _KIND_BY_STATUS[status]

    if status >= 500:
        return ErrorKind.SERVER

    return ErrorKind.INVALID_REQUEST if status >= 400 else ErrorKind.PROTOCOL


def _message(status: int, found: ErrorBody, headers: Mapping[str, str]) -> str:
    said = found.message or _phrase(status)
    if 300 <= status < 400:
        where = headers.get("location", "somewhere else")
        return f"redirected to {where!r}, which is not followed: check base_url ({said})"

    return said


def _phrase(status: int) -> str:
    try:
        return f"an empty answer: {HTTPStatus(status).phrase}"
    except ValueError:
        return "an empty answer"
