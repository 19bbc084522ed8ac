"""Anthropic's messages as Responses."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from anthropic.types import Message as OfficialMessage
from hypothesis import given, strategies as st

from dspex.clients.wire.anthropic_decode import decode_body
from dspex.clients.wire.anthropic_encode import encode_request
from dspex.clients.wire.compat import PRESETS
from dspex.errors import (
    AuthError,
    ContextWindowExceeded,
    InvalidRequest,
    ProtocolError,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ServerError,
)
from dspex.messages import (
    Choice,
    Citation,
    FinishReason,
    ReasoningPart,
    Request,
    Response,
    ToolCall,
)
from dspex.usage import Usage

CITATIONS = [
    {
        "type": "char_location",
        "cited_text": "a",
        "document_index": 0,
        "document_title": "paper",
        "start_char_index": 3,
        "end_char_index": 9,
    },
    {
        "type": "page_location",
        "cited_text": "b",
        "document_index": 1,
        "document_title": None,
        "start_page_number": 1,
        "end_page_number": 2,
    },
    {
        "type": "web_search_result_location",
        "cited_text": "c",
        "encrypted_index": "e",
        "url": "https://x",
        "title": "X",
    },
]
CONTENT = [
    {"type": "thinking", "thinking": "hm", "signature": "sig"},
    {"type": "redacted_thinking", "data": "xyz"},
    {"type": "text", "text": "so ", "citations": CITATIONS},
    {"type": "text", "text": "it is", "citations": None},
    {"type": "tool_use", "id": "t1", "name": "add", "input": {"x": 1}},
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
]


def answer(content: Any = None, **changes: Any) -> dict[str, Any]:
    """Write a message."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": "4"}] if content is None else content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 2},
        **changes,
    }


def decode(content: Any = None, **changes: Any) -> Response:
    """Decode a message."""
    return decode_body(orjson.dumps(answer(content, **changes)))


class TestAnswers:
    def test_official_answer(self) -> None:
        """All that the library's own types hold comes out."""
        official = OfficialMessage.model_validate(answer(CONTENT, stop_reason="tool_use"))
        found = decode_body(official.model_dump_json().encode())
        assert (found.model, found.request_id) == ("claude-x", "msg_1")
        assert found.choices == (
            Choice(
                "so it is",
                finish_reason=FinishReason.TOOL_CALLS,
                reasoning="hm",
                tool_calls=(ToolCall("t1", "add", '{"x":1}'),),
                thinking=(ReasoningPart("hm", signature="sig"), ReasoningPart(encrypted="xyz")),
                citations=(
                    Citation("a", source="paper", start=3, end=9),
                    Citation("b", source="1", start=1, end=2),
                    Citation("c", source="https://x"),
                ),
            ),
        )

    def test_the_turn_goes_back_as_it_came(self) -> None:
        """Thinking is sent back unmodified, calls with their arguments."""
        turn = decode(CONTENT, stop_reason="tool_use").choices[0].to_message()
        body = orjson.loads(
            encode_request(Request((turn,)), PRESETS["anthropic"], stream=False).body
        )
        assert body["messages"][0]["content"] == [
            CONTENT[0],
            CONTENT[1],
            {"type": "text", "text": "so it is"},
            CONTENT[4],
        ]

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("end_turn", FinishReason.STOP),
            ("stop_sequence", FinishReason.STOP),
            ("tool_use", FinishReason.TOOL_CALLS),
            ("max_tokens", FinishReason.LENGTH),
            ("pause_turn", FinishReason.LENGTH),
            ("refusal", FinishReason.CONTENT_FILTER),
            ("something new", FinishReason.UNKNOWN),
            (None, FinishReason.UNKNOWN),
            (3, FinishReason.UNKNOWN),
            ([], FinishReason.UNKNOWN),
        ],
    )
    def test_finish_reasons(self, said: Any, expected: FinishReason) -> None:
        """The same words as everywhere."""
        assert decode(stop_reason=said).finish_reason is expected

    def test_a_call_is_a_call_whatever_is_said(self) -> None:
        """Followers of this wire say end_turn."""
        assert decode([CONTENT[4]]).finish_reason is FinishReason.TOOL_CALLS
        assert decode([CONTENT[4]], stop_reason="max_tokens").finish_reason is FinishReason.LENGTH

    @pytest.mark.parametrize(
        ("details", "expected"),
        [
            ({"type": "refusal", "category": "cyber", "explanation": "no."}, "no."),
            ({"type": "refusal", "category": "cyber", "explanation": None}, "cyber"),
            (None, "the provider gives no reason"),
        ],
    )
    def test_refusal(self, details: Any, expected: str) -> None:
        """Why it was refused, as far as it is told."""
        choice = decode(stop_reason="refusal", stop_details=details).choices[0]
        assert choice.refusal == expected

    def test_no_room_left(self) -> None:
        """An answer that ran out of context is no answer: a larger model may have one."""
        with pytest.raises(ContextWindowExceeded, match="5 tokens in and 2 out") as caught:
            decode(stop_reason="model_context_window_exceeded")

        assert caught.value.data.code == "model_context_window_exceeded"

    def test_nothing_said(self) -> None:
        """A model may have nothing to say."""
        assert decode([]).choices == (Choice(""),)


class TestUsage:
    def test_cache_is_input(self) -> None:
        """What a cache served or took is not in the provider's count, and is in ours."""
        usage = {
            "input_tokens": 5,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 20,
            "output_tokens_details": {"thinking_tokens": 8},
        }
        OfficialMessage.model_validate(answer(usage=usage))
        assert decode(usage=usage).usage == Usage(
            input_tokens=135,
            output_tokens=20,
            cache_read_tokens=100,
            cache_write_tokens=30,
            reasoning_tokens=8,
            cost_usd=None,
            calls=1,
        )

    @pytest.mark.parametrize("usage", [None, [], "x", {"input_tokens": None}, {"input_tokens": -1}])
    def test_nonsense_counts_as_zero(self, usage: Any) -> None:
        """A broken meter does not break the answer."""
        assert decode(usage=usage).usage == Usage(cost_usd=None, calls=1)


class TestOddAnswers:
    @pytest.mark.parametrize(
        ("block", "expected"),
        [
            ({"type": "tool_use"}, ToolCall("call_0", "", "")),
            ({"type": "tool_use", "input": '{"x": 1}'}, ToolCall("call_0", "", '{"x": 1}')),
            (
                {"type": "tool_use", "id": 3, "name": None, "input": []},
                ToolCall("call_0", "", "[]"),
            ),
        ],
    )
    def test_calls_with_missing_fields(self, block: dict[str, Any], expected: ToolCall) -> None:
        """What is missing is read as missing."""
        assert decode([block]).choices[0].tool_calls == (expected,)

    @pytest.mark.parametrize(
        "block",
        [None, 3, "x", [], {}, {"type": "text"}, {"type": []}, {"type": "new", "text": "x"}],
    )
    def test_blocks_that_say_nothing(self, block: Any) -> None:
        """They are passed over."""
        assert decode([block, {"type": "text", "text": "4"}]).text == "4"

    @pytest.mark.parametrize("citation", [{}, {"cited_text": 3, "document_index": True}])
    def test_citations_of_nothing(self, citation: dict[str, Any]) -> None:
        """They are kept, empty."""
        found = decode([{"type": "text", "text": "x", "citations": [citation, None]}])
        assert found.choices[0].citations == (Citation(""),)

    def test_only_content(self) -> None:
        """Everything else may be missing."""
        assert decode_body(b'{"content": []}').finish_reason is FinishReason.UNKNOWN


class TestErrors:
    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("overloaded_error", ServerError),
            ("api_error", ServerError),
            ("timeout_error", ServerError),
            ("rate_limit_error", RateLimited),
            ("authentication_error", AuthError),
            ("permission_error", AuthError),
            ("billing_error", QuotaExhausted),
            ("invalid_request_error", InvalidRequest),
        ],
    )
    def test_error_in_a_good_reply(self, kind: str, expected: type[ProviderError]) -> None:
        """It is raised for what it is."""
        body = {"type": "error", "error": {"type": kind, "message": "m"}, "request_id": "r"}
        with pytest.raises(expected, match="m"):
            decode_body(orjson.dumps(body))

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"", "not JSON"),
            (b"<html>hello</html>", "not JSON.*<html>hello"),
            (b"[]", "not a JSON object"),
            (b"{}", "no content"),
            (b'{"content": "4"}', "no content"),
            (b'{"choices": []}', "no content"),
            (b'{"content": [{"type": "text", "text": "cut', "not JSON"),
            (b"[" * 100_000, "not JSON"),
        ],
    )
    def test_what_is_no_answer_is_shown(self, body: bytes, problem: str) -> None:
        """The error says what is wrong and what was seen."""
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
                            "content",
                            "type",
                            "text",
                            "thinking",
                            "input",
                            "usage",
                            "error",
                            "citations",
                            "stop_reason",
                            "signature",
                            "data",
                            "id",
                            "name",
                            "input_tokens",
                            "model",
                        ]
                    ),
                    inner | st.sampled_from(["text", "thinking", "tool_use", "redacted_thinking"]),
                    max_size=5,
                )
            ),
            max_leaves=25,
        )
    )
    def test_any_json_is_an_answer_or_an_error(self, value: Any) -> None:
        """No JSON raises anything but a ProviderError, and an answer is a Response."""
        try:
            found = decode_body(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
        except ProviderError:
            return
        except orjson.JSONEncodeError:
            return

        assert Response.from_dict(found.to_dict()) == found


TEXTS = st.text(min_size=1, max_size=8)
ARGUMENTS = st.dictionaries(TEXTS, st.integers(-9, 9) | TEXTS | st.none(), max_size=3).map(
    lambda value: orjson.dumps(value).decode()
)


@given(
    st.text(max_size=8),
    st.lists(st.builds(ToolCall, TEXTS, TEXTS, ARGUMENTS), max_size=3).map(tuple),
    st.lists(
        st.builds(ReasoningPart, st.text(max_size=8), signature=TEXTS)
        | st.builds(ReasoningPart, encrypted=st.text(max_size=8)),
        max_size=3,
    ).map(tuple),
)
def test_an_answer_that_goes_back_and_comes_again_is_the_same(
    text: str, calls: tuple[ToolCall, ...], thinking: tuple[ReasoningPart, ...]
) -> None:
    """Encoding a turn and reading it as an answer loses nothing of it."""
    turn = Choice(text, tool_calls=calls, thinking=thinking).to_message()
    body = orjson.loads(encode_request(Request((turn,)), PRESETS["anthropic"], stream=False).body)
    content = body["messages"][0]["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]

    assert decode(content).choices[0].to_message() == turn
