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
        "moderation_blocked",
        "responsibleaipolicyviolation",
    }
)
_KIND_BY_WORD: Final[Mapping[str, ErrorKind]] = {
    **dict.fromkeys(_QUOTA_WORDS, ErrorKind.QUOTA_EXHAUSTED),
    **dict.fromkeys(_CONTEXT_WORDS, ErrorKind.CONTEXT_WINDOW),
    **dict.fromkeys(_FILTER_WORDS, ErrorKind.CONTENT_FILTER),
}
_KIND_BY_WORD_IN_200: Final[Mapping[str, ErrorKind]] = {
    "authentication_error": ErrorKind.AUTH,
    "invalid_prompt": ErrorKind.INVALID_REQUEST,
    "invalid_request_error": ErrorKind.INVALID_REQUEST,
    "permission_error": ErrorKind.AUTH,
    "rate_limit_error": ErrorKind.RATE_LIMIT,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
    "request_too_large": ErrorKind.TOO_LARGE,
    "too_many_requests": ErrorKind.RATE_LIMIT,
}
_QUOTA_PHRASES: Final = ("exceeded your current quota", "insufficient balance", "credit balance")
_CONTEXT_PHRASES: Final = (
    "maximum context length",
    "context length is only",
    "exceeds the available context size",
    "prompt is too long",
    "context window",
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
    kind = _kind(status, found)
    if kind is ErrorKind.RATE_LIMIT and hint_s is not None and hint_s > _LONGEST_RATE_LIMIT_S:
        kind = ErrorKind.QUOTA_EXHAUSTED

    return ErrorData(
        kind,
        _message(status, found, lower),
        provider=provider,
        model=model,
        status=status,
        code=found.code or found.type or None,
        request_id=lower.get("x-request-id") or lower.get("request-id"),
        retry_after_s=hint_s,
        should_retry=should_retry(lower),
    )


def _kind(status: int, found: ErrorBody) -> ErrorKind:
    for word in found.words:
        if word in _KIND_BY_WORD:
            return _KIND_BY_WORD[word]

    if 200 <= status < 300:
        return _kind_in_200(found)

    said = found.message.lower()
    if status in (403, 429) and any(phrase in said for phrase in _QUOTA_PHRASES):
        return ErrorKind.QUOTA_EXHAUSTED

    if status in (400, 422) and any(phrase in said for phrase in _CONTEXT_PHRASES):
        return ErrorKind.CONTEXT_WINDOW

    return _kind_of_status(status)


def _kind_in_200(found: ErrorBody) -> ErrorKind:
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
