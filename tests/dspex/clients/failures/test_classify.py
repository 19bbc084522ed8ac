"""Answers that are not results, classified."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict

from dspex.clients.failures.classify import classify_response
from dspex.clients.failures.rules import rule_for
from dspex.errors import ErrorData, ErrorKind, to_exception
from dspex.testing import FakeClock


def classify(status: int, body: bytes = b"", **headers: str) -> ErrorData:
    """Classify an answer of one provider."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify_response(
        status, named, body, provider="openai", model="gpt", clock=FakeClock(1_000.0)
    )


def said(message: str = "x", code: object = None, kind: str | None = None) -> bytes:
    """Write an error body in OpenAI's shape."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


class TestStatus:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, ErrorKind.INVALID_REQUEST),
            (401, ErrorKind.AUTH),
            (402, ErrorKind.QUOTA_EXHAUSTED),
            (403, ErrorKind.AUTH),
            (404, ErrorKind.INVALID_REQUEST),
            (408, ErrorKind.SERVER),
            (409, ErrorKind.SERVER),
            (413, ErrorKind.TOO_LARGE),
            (418, ErrorKind.INVALID_REQUEST),
            (422, ErrorKind.INVALID_REQUEST),
            (429, ErrorKind.RATE_LIMIT),
            (500, ErrorKind.SERVER),
            (502, ErrorKind.SERVER),
            (503, ErrorKind.SERVER),
            (504, ErrorKind.SERVER),
            (529, ErrorKind.SERVER),
            (599, ErrorKind.SERVER),
            (307, ErrorKind.PROTOCOL),
            (204, ErrorKind.SERVER),
        ],
    )
    def test_status_decides_where_nothing_is_said(self, status: int, kind: ErrorKind) -> None:
        """An empty body leaves the status."""
        found = classify(status)
        assert (found.kind, found.status) == (kind, status)

    def test_html_page_of_a_proxy(self) -> None:
        """A gateway's page is its server error, with its title."""
        found = classify(502, b"<html><title>502 Bad Gateway</title></html>")
        assert (found.kind, found.message) == (
            ErrorKind.SERVER,
            "an HTML page: 502 Bad Gateway",
        )

    def test_empty_body_gets_a_message(self) -> None:
        """Nobody reads an error without words."""
        assert classify(503).message == "an empty answer: Service Unavailable"
        assert classify(599).message == "an empty answer"

    def test_redirect_says_where_to_and_what_to_do(self) -> None:
        """A base URL that redirects is named, because POSTs do not follow."""
        found = classify(301, location="https://elsewhere/v1")
        assert "https://elsewhere/v1" in found.message
        assert "base_url" in found.message


class TestWords:
    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (429, said(code="insufficient_quota")),
            (429, said(kind="insufficient_quota", code="project_spend_limit_exceeded")),
            (429, said(code="1113")),
            (429, said(code=1113)),
            (429, said(kind="exceeded_current_quota_error")),
            (429, said("You exceeded your current quota, please check your plan")),
            (403, said("Your credit balance is too low")),
            (400, said(kind="billing_error")),
        ],
    )
    def test_used_up_quota_is_not_a_rate_limit(self, status: int, body: bytes) -> None:
        """Waiting does not fill a purse: never retried, and the breaker opens."""
        found = classify(status, body)
        assert found.kind is ErrorKind.QUOTA_EXHAUSTED
        assert (rule_for(found).retry, rule_for(found).breaker) == ("no", "trip")

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (400, said(code="context_length_exceeded")),
            (400, said(kind="exceed_context_size_error", code=400)),
            (500, said(kind="exceed_context_size_error", code=500)),
            (400, said("This model's maximum context length is 8192 tokens.", code=400)),
            (400, said("However, the model's context length is only 1024 tokens", code=400)),
            (400, b'{"object": "error", "message": "maximum context length is 6048", "code": 400}'),
            (400, said("prompt is too long: 250000 tokens > 200000 maximum")),
        ],
    )
    def test_prompt_that_does_not_fit(self, status: int, body: bytes) -> None:
        """By code or by words, whatever the status."""
        assert classify(status, body).kind is ErrorKind.CONTEXT_WINDOW

    @pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
    def test_refused_content(self, code: str) -> None:
        """A filter is not an invalid request."""
        assert classify(400, said(code=code)).kind is ErrorKind.CONTENT_FILTER

    def test_words_of_the_prompt_do_not_decide(self) -> None:
        """A server error whose text mentions a context window stays one."""
        assert classify(500, said("crashed in the context window")).kind is ErrorKind.SERVER

    def test_code_is_kept(self) -> None:
        """The provider's word is in the error, its type where there is no code."""
        assert classify(400, said(code="bad_param")).code == "bad_param"
        assert classify(400, said(kind="invalid_request_error")).code == "invalid_request_error"
        assert classify(400).code is None


class TestInsideAGoodReply:
    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (said(code=429), ErrorKind.RATE_LIMIT),
            (said(code=503), ErrorKind.SERVER),
            (said(code=401), ErrorKind.AUTH),
            (said(code="rate_limit_exceeded"), ErrorKind.RATE_LIMIT),
            (said(kind="overloaded_error"), ErrorKind.SERVER),
            (said(kind="invalid_request_error"), ErrorKind.INVALID_REQUEST),
            (said(code="insufficient_quota"), ErrorKind.QUOTA_EXHAUSTED),
            (b'{"error": "something broke"}', ErrorKind.SERVER),
        ],
    )
    def test_inner_code_decides(self, body: bytes, kind: ErrorKind) -> None:
        """An error that came with status 200 is what it says it is."""
        assert classify(200, body).kind is kind


class TestHeaders:
    def test_hints_are_read(self) -> None:
        """Time, permission and request id are in the error."""
        found = classify(429, retry_after="2", x_should_retry="true", x_request_id="req_1")
        assert (found.retry_after_s, found.should_retry, found.request_id) == (2.0, True, "req_1")

    def test_names_ignore_case(self) -> None:
        """Headers come in any case, from any kind of mapping."""
        for headers in ({"Retry-After": "2"}, CIMultiDict({"RETRY-AFTER": "2"})):
            found = classify_response(429, headers, b"", provider="p", model="m")
            assert found.retry_after_s == 2.0

    def test_day_long_wait_is_a_quota(self) -> None:
        """A rate limit that asks for hours is a daily limit."""
        assert classify(429, retry_after="120").kind is ErrorKind.RATE_LIMIT
        assert classify(429, retry_after="121").kind is ErrorKind.QUOTA_EXHAUSTED

    def test_other_request_id(self) -> None:
        """Some call it differently."""
        assert classify(500, request_id="req_2").request_id == "req_2"

    @given(
        st.integers(100, 599),
        st.dictionaries(
            st.sampled_from(["retry-after", "retry-after-ms", "x-should-retry", "location"]),
            st.text(max_size=30),
        ),
        st.binary(max_size=200),
    )
    def test_no_answer_crashes_it(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Any status, headers and bytes give an error with a message, which survives JSON."""
        found = classify_response(status, headers, body, provider="p", model="m")
        assert found.message
        assert ErrorData.from_dict(found.to_dict()) == found
        assert str(to_exception(found)).startswith("p/m: ")
