"""Answers of OpenAI's Responses, whole, failed and broken."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st
from openai.types.responses import Response as Official

from dspex.clients.wire.responses_decode import decode_body
from dspex.errors import (
    ContextWindowExceeded,
    InvalidRequest,
    ProtocolError,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ServerError,
)
from dspex.messages import (
    Citation,
    FinishReason,
    ReasoningPart,
    Response,
    TokenLogprob,
    ToolCall,
)
from dspex.usage import Usage

USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
    "output_tokens": 10,
    "output_tokens_details": {"reasoning_tokens": 6},
    "total_tokens": 30,
}
TEXT = {"type": "output_text", "text": "4", "annotations": []}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [TEXT],
}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "add",
    "arguments": '{"a":1}',
    "status": "completed",
}
THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [
        {"type": "summary_text", "text": "Two."},
        {"type": "summary_text", "text": "And two."},
    ],
    "encrypted_content": "xyz",
}


def answer(*items: Any, **changes: Any) -> dict[str, Any]:
    """Write an answer as OpenAI does."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "gpt-x",
        "output": list(items),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": USAGE,
        **changes,
    }


def decode(body: dict[str, Any]) -> Response:
    """Check that OpenAI's library reads the answer, and decode it."""
    Official.model_validate(body)
    return decode_body(orjson.dumps(body))


class TestAnswers:
    def test_text(self) -> None:
        """Text, usage, model and id."""
        found = decode(answer(MESSAGE))
        assert (found.text, found.finish_reason) == ("4", FinishReason.STOP)
        assert (found.model, found.request_id) == ("gpt-x", "resp_1")
        assert found.usage == Usage(
            input_tokens=20,
            output_tokens=10,
            cache_read_tokens=8,
            cache_write_tokens=2,
            reasoning_tokens=6,
            cost_usd=None,
            calls=1,
        )

    def test_text_is_that_of_the_official_library(self) -> None:
        """Several messages, each of several parts, are one text."""
        first = {**MESSAGE, "content": [{**TEXT, "text": "a"}, {**TEXT, "text": "b"}]}
        body = answer(first, THOUGHT, {**MESSAGE, "content": [{**TEXT, "text": "c"}]})
        assert decode(body).text == Official.model_validate(body).output_text == "abc"

    def test_thinking(self) -> None:
        """Its summary may be read, the rest goes back as it came."""
        choice = decode(answer(THOUGHT, MESSAGE)).choices[0]
        assert choice.reasoning == "Two.\n\nAnd two."
        assert choice.thinking == (ReasoningPart("Two.\n\nAnd two.", encrypted="xyz", id="rs_1"),)
        assert choice.to_message().reasoning == choice.thinking

    def test_thinking_in_the_open(self) -> None:
        """Open models show the text itself."""
        row = {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "2 and 2"}],
        }
        assert decode(answer(row, MESSAGE)).choices[0].reasoning == "2 and 2"

    def test_thinking_that_nobody_may_read(self) -> None:
        """It goes back all the same."""
        row = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
        choice = decode(answer(row, MESSAGE)).choices[0]
        assert choice.reasoning is None
        assert choice.thinking == (ReasoningPart(encrypted="x", id="rs_1"),)

    def test_tool_calls(self) -> None:
        """The id that a result must name, and the finish reason of calls."""
        choice = decode(answer(CALL, {**CALL, "call_id": "call_2"})).choices[0]
        assert choice.finish_reason is FinishReason.TOOL_CALLS
        assert choice.tool_calls == (
            ToolCall("call_1", "add", '{"a":1}'),
            ToolCall("call_2", "add", '{"a":1}'),
        )

    def test_refusal(self) -> None:
        """It is not the text."""
        row = {**MESSAGE, "content": [{"type": "refusal", "refusal": "no"}]}
        choice = decode(answer(row)).choices[0]
        assert (choice.text, choice.refusal) == ("", "no")

    def test_log_probabilities(self) -> None:
        """As in chat, beside the text."""
        token = {
            "token": "4",
            "logprob": -0.5,
            "bytes": [52],
            "top_logprobs": [{"token": "5", "logprob": -2.0, "bytes": [53]}],
        }
        row = {**MESSAGE, "content": [{**TEXT, "logprobs": [token]}]}
        assert decode(answer(row)).choices[0].logprobs == (TokenLogprob("4", -0.5, (("5", -2.0),)),)

    def test_annotations(self) -> None:
        """Pages and files that the answer leans on."""
        page = {
            "type": "url_citation",
            "start_index": 0,
            "end_index": 1,
            "title": "Sums",
            "url": "https://x/sums",
        }
        file = {"type": "file_citation", "file_id": "f1", "filename": "a.pdf", "index": 0}
        row = {**MESSAGE, "content": [{**TEXT, "annotations": [page, file]}]}
        assert decode(answer(row)).choices[0].citations == (
            Citation("Sums", source="https://x/sums"),
            Citation("", source="a.pdf"),
        )

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            ("max_output_tokens", FinishReason.LENGTH),
            ("content_filter", FinishReason.CONTENT_FILTER),
        ],
    )
    def test_incomplete_answer(self, reason: str, expected: FinishReason) -> None:
        """Why it was cut is its finish reason, also where only thinking came of it."""
        body = answer(THOUGHT, status="incomplete", incomplete_details={"reason": reason})
        found = decode(body)
        assert (found.text, found.finish_reason) == ("", expected)

    def test_incomplete_for_another_reason(self) -> None:
        """A cut call is not passed off as a finished one."""
        body = answer(CALL, status="incomplete", incomplete_details={"reason": "because"})
        assert decode_body(orjson.dumps(body)).finish_reason is FinishReason.UNKNOWN

    def test_items_of_other_kinds_are_passed_over(self) -> None:
        """Hosted tools, and what is yet to come."""
        search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
        body = answer(search, {"type": "dream"}, 3, None, {}, MESSAGE)
        assert decode_body(orjson.dumps(body)).text == "4"

    @pytest.mark.parametrize("lost", ["id", "status", "model", "usage", "created_at", "error"])
    def test_a_missing_field_loses_only_itself(self, lost: str) -> None:
        """Followers leave some out."""
        body = {name: value for name, value in answer(MESSAGE).items() if name != lost}
        assert decode_body(orjson.dumps(body)).text == "4"

    def test_odd_call(self) -> None:
        """Arguments as an object, and no id of the call."""
        row = {"type": "function_call", "name": "add", "arguments": {"a": 1}}
        found = decode_body(orjson.dumps(answer({**row, "id": "fc_1"}, row)))
        assert found.choices[0].tool_calls == (
            ToolCall("fc_1", "add", '{"a":1}'),
            ToolCall("call_1", "add", '{"a":1}'),
        )


class TestFailures:
    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("server_error", ServerError),
            ("rate_limit_exceeded", RateLimited),
            ("invalid_prompt", InvalidRequest),
            ("insufficient_quota", QuotaExhausted),
            ("context_length_exceeded", ContextWindowExceeded),
            ("vector_store_timeout", ServerError),
            ("something_new", ServerError),
        ],
    )
    def test_failed_answer_is_classified(self, code: str, expected: type[ProviderError]) -> None:
        """The good status of HTTP does not matter; the code of the error does."""
        body = answer(status="failed", error={"code": code, "message": "it broke"}, usage=None)
        with pytest.raises(expected, match="it broke"):
            decode_body(orjson.dumps(body))

    @pytest.mark.parametrize("status", ["failed", "cancelled", "queued", "in_progress", "odd"])
    def test_unfinished_answer_without_a_reason(self, status: str) -> None:
        """It is no answer, and may be asked for again."""
        with pytest.raises(ServerError, match=f"status is '{status}'") as caught:
            decode_body(orjson.dumps(answer(MESSAGE, status=status)))

        assert caught.value.data.code == status

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"", "not JSON"),
            (b"[]", "not a JSON object"),
            (b"{}", "no output"),
            (b'{"output": "x"}', "no output"),
            (b'{"choices": [{"message": {"content": "4"}}]}', "no output"),
        ],
    )
    def test_garbage_is_named_and_shown(self, body: bytes, problem: str) -> None:
        """The error says what is wrong."""
        with pytest.raises(ProtocolError, match=problem):
            decode_body(body)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            *("output", "type", "content", "text", "summary", "arguments", "usage"),
                            *("error", "status", "annotations", "logprobs", "code", "call_id"),
                        ]
                    ),
                    inner | st.sampled_from(["message", "function_call", "reasoning", "failed"]),
                    max_size=5,
                )
            ),
            max_leaves=25,
        )
    )
    def test_any_json_raises_nothing_else(self, value: Any) -> None:
        """It is an answer or a ProviderError."""
        with suppress(ProviderError):
            decode_body(json.dumps(value).encode())

    @given(st.binary(max_size=40))
    def test_any_bytes_raise_nothing_else(self, body: bytes) -> None:
        """So are bytes."""
        with pytest.raises(ProviderError):
            decode_body(body)
