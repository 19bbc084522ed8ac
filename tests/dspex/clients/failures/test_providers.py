"""The errors of each provider as they come over the wire, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
import pytest

from dspex.clients.failures.classify import classify_response
from dspex.clients.failures.rules import FOREIGN, rule_for
from dspex.errors import ErrorData, ErrorKind
from dspex.testing import FakeClock

K = ErrorKind


class Case(NamedTuple):
    name: str
    status: int
    body: Any
    kind: ErrorKind
    retry: str
    breaker: str
    wait_s: float | None = None
    headers: Mapping[str, str] = MappingProxyType({})


def openai(code: str | None, kind: str = "x", message: str = "m") -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str = "m") -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def gemini(code: int, status: str, *details: Any, message: str = "m") -> Any:
    return {"error": {"code": code, "message": message, "status": status, "details": details}}


def retry_info(delay: str) -> Any:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def quota(quota_id: str) -> Any:
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaMetric": "m", "quotaId": quota_id, "quotaValue": "50"}],
    }


def cohere(message: str) -> Any:
    return {"id": "1", "message": message}


CASES = [
    # OpenAI, chat and responses
    Case("openai rate", 429, openai("rate_limit_exceeded"), K.RATE_LIMIT, "after_hint", "ignore"),
    Case("openai quota", 429, openai("insufficient_quota"), K.QUOTA_EXHAUSTED, "no", "trip"),
    Case(
        "openai context", 400, openai("context_length_exceeded"), K.CONTEXT_WINDOW, "no", "ignore"
    ),
    Case("openai param", 400, openai("unsupported_parameter"), K.INVALID_REQUEST, "no", "ignore"),
    Case("openai model", 404, openai("model_not_found"), K.INVALID_REQUEST, "no", "ignore"),
    Case("openai key", 401, openai("invalid_api_key"), K.AUTH, "no", "trip"),
    Case("openai server", 500, openai(None, "server_error"), K.SERVER, "backoff", "failure"),
    Case("openai slow down", 503, openai("slow_down"), K.SERVER, "backoff", "failure"),
    Case("openai filter", 400, openai("content_filter"), K.CONTENT_FILTER, "no", "success"),
    Case("openai conflict", 409, openai(None), K.SERVER, "backoff", "ignore"),
    Case("openai large", 413, openai(None), K.TOO_LARGE, "no", "ignore"),
    Case("openai timeout", 408, openai(None), K.SERVER, "backoff", "failure"),
    Case("responses failed", 200, openai("server_error"), K.SERVER, "backoff", "failure"),
    Case(
        "responses rate", 200, openai("rate_limit_exceeded"), K.RATE_LIMIT, "after_hint", "ignore"
    ),
    Case("responses prompt", 200, openai("invalid_prompt"), K.INVALID_REQUEST, "no", "ignore"),
    Case("responses image", 200, openai("image_too_large"), K.INVALID_REQUEST, "no", "ignore"),
    # Anthropic
    Case(
        "anthropic rate", 429, anthropic("rate_limit_error"), K.RATE_LIMIT, "after_hint", "ignore"
    ),
    Case("anthropic overload", 529, anthropic("overloaded_error"), K.SERVER, "backoff", "failure"),
    Case("anthropic in stream", 200, anthropic("overloaded_error"), K.SERVER, "backoff", "failure"),
    Case("anthropic api", 500, anthropic("api_error"), K.SERVER, "backoff", "failure"),
    Case("anthropic timeout", 504, anthropic("timeout_error"), K.SERVER, "backoff", "failure"),
    Case("anthropic billing", 402, anthropic("billing_error"), K.QUOTA_EXHAUSTED, "no", "trip"),
    Case(
        "anthropic credit",
        400,
        anthropic("invalid_request_error", "Your credit balance is too low to access the API."),
        K.QUOTA_EXHAUSTED,
        "no",
        "trip",
    ),
    Case("anthropic key", 401, anthropic("authentication_error"), K.AUTH, "no", "trip"),
    Case("anthropic right", 403, anthropic("permission_error"), K.AUTH, "no", "trip"),
    Case("anthropic large", 413, anthropic("request_too_large"), K.TOO_LARGE, "no", "ignore"),
    Case(
        "anthropic context",
        400,
        anthropic(
            "invalid_request_error", "input length and `max_tokens` exceed context limit: 190000"
        ),
        K.CONTEXT_WINDOW,
        "no",
        "ignore",
    ),
    Case("anthropic model", 404, anthropic("not_found_error"), K.INVALID_REQUEST, "no", "ignore"),
    # Gemini
    Case(
        "gemini rate",
        429,
        gemini(429, "RESOURCE_EXHAUSTED", quota("PerMinutePerProject"), retry_info("27s")),
        K.RATE_LIMIT,
        "after_hint",
        "ignore",
        27.0,
    ),
    Case(
        "gemini day",
        429,
        gemini(429, "RESOURCE_EXHAUSTED", quota("RequestsPerDayPerModel"), retry_info("19s")),
        K.QUOTA_EXHAUSTED,
        "no",
        "trip",
        19.0,
    ),
    Case(
        "gemini in a list",
        429,
        [gemini(429, "RESOURCE_EXHAUSTED", retry_info("12.5s"))],
        K.RATE_LIMIT,
        "after_hint",
        "ignore",
        12.5,
    ),
    Case(
        "gemini 503 rate",
        503,
        gemini(503, "RESOURCE_EXHAUSTED"),
        K.RATE_LIMIT,
        "after_hint",
        "ignore",
    ),
    Case("gemini busy", 503, gemini(503, "UNAVAILABLE"), K.SERVER, "backoff", "failure"),
    Case("gemini late", 504, gemini(504, "DEADLINE_EXCEEDED"), K.SERVER, "backoff", "failure"),
    Case("gemini request", 400, gemini(400, "INVALID_ARGUMENT"), K.INVALID_REQUEST, "no", "ignore"),
    Case(
        "gemini key",
        400,
        gemini(400, "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}),
        K.AUTH,
        "no",
        "trip",
    ),
    Case("gemini right", 403, gemini(403, "PERMISSION_DENIED"), K.AUTH, "no", "trip"),
    Case("gemini model", 404, gemini(404, "NOT_FOUND"), K.INVALID_REQUEST, "no", "ignore"),
    Case(
        "gemini context",
        400,
        gemini(
            400,
            "INVALID_ARGUMENT",
            message="The input token count (9) exceeds the maximum number of tokens allowed (8).",
        ),
        K.CONTEXT_WINDOW,
        "no",
        "ignore",
    ),
    Case(
        "gemini in stream",
        200,
        gemini(429, "RESOURCE_EXHAUSTED", retry_info("3s")),
        K.RATE_LIMIT,
        "after_hint",
        "ignore",
        3.0,
    ),
    # Cohere
    Case("cohere rate", 429, cohere("too many requests"), K.RATE_LIMIT, "after_hint", "ignore"),
    Case(
        "cohere trial",
        429,
        cohere("You are using a Trial key, which is limited to 1000 API calls / month."),
        K.QUOTA_EXHAUSTED,
        "no",
        "trip",
    ),
    Case("cohere token", 498, cohere("invalid api token"), K.AUTH, "no", "trip"),
    Case("cohere gone", 499, cohere("request cancelled"), K.SERVER, "backoff", "failure"),
    Case("cohere absent", 501, cohere("not implemented"), K.INVALID_REQUEST, "no", "ignore"),
    Case(
        "cohere context",
        400,
        cohere("too many tokens: size limit exceeded by 5 tokens."),
        K.CONTEXT_WINDOW,
        "no",
        "ignore",
    ),
    Case(
        "cohere reset",
        429,
        cohere("slow down"),
        K.RATE_LIMIT,
        "after_hint",
        "ignore",
        7.0,
        {"x-ratelimit-reset": "2000000007"},
    ),
    # Something on the way
    Case("page 403", 403, b"<html><title>Access denied</title></html>", K.AUTH, "once", "failure"),
    Case(
        "page 502", 502, b"<html><title>Bad gateway</title></html>", K.SERVER, "backoff", "failure"
    ),
    Case("page 429", 429, b"slow down", K.RATE_LIMIT, "after_hint", "ignore"),
]


def classify(case: Case) -> ErrorData:
    body = case.body if isinstance(case.body, bytes) else orjson.dumps(case.body)
    clock = FakeClock(2_000_000_000.0)
    return classify_response(case.status, case.headers, body, provider="p", model="m", clock=clock)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_what_a_provider_says_is_understood(case: Case) -> None:
    """Its kind, and with it whether to retry and what the breaker makes of it."""
    found = classify(case)
    rule = rule_for(found)
    assert (case.kind, case.retry, case.breaker, case.wait_s) == (
        found.kind,
        rule.retry,
        rule.breaker,
        found.retry_after_s,
    )


def test_a_foreign_page_says_so() -> None:
    """The code of the error tells a proxy's refusal from the provider's."""
    [page] = [case for case in CASES if case.name == "page 403"]
    found = classify(page)
    assert (FOREIGN, "an HTML page: Access denied") == (found.code, found.message)


def test_a_header_wins_over_the_body() -> None:
    """Who sends both means the header, which a proxy may have raised."""
    body = orjson.dumps(gemini(429, "RESOURCE_EXHAUSTED", retry_info("3s")))
    found = classify_response(429, {"Retry-After": "9"}, body, provider="p", model="m")
    assert found.retry_after_s == 9.0
