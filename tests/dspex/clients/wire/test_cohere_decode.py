"""Cohere's answers as Responses."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from cohere.v2.types import V2ChatResponse
from hypothesis import given, strategies as st

from dspex.clients.wire.cohere_decode import decode_body
from dspex.clients.wire.cohere_encode import encode_request
from dspex.clients.wire.compat import PRESETS
from dspex.errors import ProtocolError, ProviderError, ServerError
from dspex.messages import (
    Choice,
    Citation,
    FinishReason,
    ReasoningPart,
    Request,
    Response,
    TokenLogprob,
    ToolCall,
)
from dspex.usage import Usage

CALL = {"id": "t1", "type": "function", "function": {"name": "add", "arguments": '{"x": 1}'}}
USAGE = {
    "billed_units": {"input_tokens": 5.0, "output_tokens": 2.0},
    "tokens": {"input_tokens": 70.0, "output_tokens": 3.0},
    "cached_tokens": 8.0,
}


def answer(message: Any = None, **changes: Any) -> dict[str, Any]:
    """Write an answer."""
    said = {"role": "assistant", "content": [{"type": "text", "text": "4"}]}
    return {
        "id": "c1",
        "finish_reason": "COMPLETE",
        "message": said if message is None else message,
        "usage": USAGE,
        **changes,
    }


def decode(message: Any = None, **changes: Any) -> Response:
    """Decode an answer."""
    return decode_body(orjson.dumps(answer(message, **changes)))


class TestAnswers:
    def test_official_answer(self) -> None:
        """All that the library's own types hold comes out."""
        message = {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "so "},
                {"type": "text", "text": "it is"},
            ],
            "citations": [
                {
                    "start": 0,
                    "end": 2,
                    "text": "so",
                    "sources": [
                        {"type": "document", "id": "d1", "document": {"title": "paper"}},
                        {"type": "tool", "id": "t1:0", "tool_output": {"x": 1}},
                    ],
                },
                {"text": "it"},
                {"text": "is", "sources": [{"type": "tool", "tool_output": {}}]},
            ],
        }
        logprobs = [{"text": "so ", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]}]
        row = answer(message, logprobs=logprobs)
        official = V2ChatResponse.model_validate(row)
        found = decode_body(official.model_dump_json(exclude_none=True).encode())
        assert found == Response(
            (
                Choice(
                    "so it is",
                    reasoning="hm",
                    thinking=(ReasoningPart("hm"),),
                    logprobs=(TokenLogprob("so ", -0.75),),
                    citations=(
                        Citation("so", source="paper"),
                        Citation("so", source="t1:0"),
                        Citation("it"),
                        Citation("is"),
                    ),
                ),
            ),
            request_id="c1",
            usage=Usage(
                input_tokens=70, output_tokens=3, cache_read_tokens=8, cost_usd=None, calls=1
            ),
        )

    def test_calls_of_tools(self) -> None:
        """With the plan behind them, which goes back where it came from."""
        message = {"role": "assistant", "tool_plan": "I add.", "tool_calls": [CALL]}
        V2ChatResponse.model_validate(answer(message, finish_reason="TOOL_CALL"))
        (choice,) = decode(message, finish_reason="TOOL_CALL").choices
        assert choice.tool_calls == (ToolCall("t1", "add", '{"x": 1}'),)
        assert (choice.text, choice.reasoning) == ("", "I add.")
        assert choice.finish_reason is FinishReason.TOOL_CALLS
        request = Request((choice.to_message(),))
        body = orjson.loads(encode_request(request, PRESETS["cohere"], stream=False).body)
        assert body["messages"] == [message]

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("COMPLETE", FinishReason.STOP),
            ("STOP_SEQUENCE", FinishReason.STOP),
            ("MAX_TOKENS", FinishReason.LENGTH),
            ("TOOL_CALL", FinishReason.TOOL_CALLS),
            ("SOMETHING_NEW", FinishReason.UNKNOWN),
            (None, FinishReason.UNKNOWN),
            (3, FinishReason.UNKNOWN),
            ([], FinishReason.UNKNOWN),
        ],
    )
    def test_finish_reasons(self, said: Any, expected: FinishReason) -> None:
        """The same words as everywhere."""
        assert decode(finish_reason=said).finish_reason is expected

    @pytest.mark.parametrize("said", ["ERROR", "TIMEOUT"])
    def test_an_answer_that_failed(self, said: str) -> None:
        """It is no answer, and the next try may well be one."""
        with pytest.raises(ServerError, match=said) as caught:
            decode(finish_reason=said)

        assert caught.value.data.code == said.lower()

    @pytest.mark.parametrize(
        ("usage", "tokens"),
        [
            ({"billed_units": {"input_tokens": 5.0, "output_tokens": 2.0}}, (5, 2)),
            ({"tokens": {"input_tokens": 7}}, (7, 0)),
            ({"tokens": [], "billed_units": 3}, (0, 0)),
            ({"tokens": {"input_tokens": -1, "output_tokens": "x"}}, (0, 0)),
            (None, (0, 0)),
        ],
    )
    def test_usage(self, usage: Any, tokens: tuple[int, int]) -> None:
        """Tokens, or what was billed; a broken meter does not break the answer."""
        found = decode(usage=usage).usage
        assert (found.input_tokens, found.output_tokens) == tokens


class TestOddAnswers:
    @pytest.mark.parametrize(
        ("message", "text"),
        [
            ({}, ""),
            ({"content": None}, ""),
            ({"content": "4"}, "4"),
            ({"content": [None, 3, {"text": 3}, {"type": "text", "text": "4"}]}, "4"),
            ({"content": [], "tool_calls": 3, "citations": [3, {"sources": [3]}]}, ""),
        ],
    )
    def test_missing_fields(self, message: dict[str, Any], text: str) -> None:
        """What is missing is read as missing."""
        assert decode(message).text == text

    @pytest.mark.parametrize(
        ("call", "expected"),
        [
            ({}, ToolCall("call_0", "", "")),
            ({"function": {"arguments": {"x": 1}}}, ToolCall("call_0", "", '{"x":1}')),
            ({"function": None, "id": 3}, ToolCall("call_0", "", "")),
        ],
    )
    def test_calls_with_missing_fields(self, call: dict[str, Any], expected: ToolCall) -> None:
        """Calls too."""
        assert decode({"tool_calls": [call]}).choices[0].tool_calls == (expected,)

    @pytest.mark.parametrize(
        "row", [None, {}, {"logprobs": ["x"]}, {"text": "x", "logprobs": None}]
    )
    def test_logprobs_of_nothing(self, row: Any) -> None:
        """They are passed over."""
        assert decode(logprobs=[row]).choices[0].logprobs == ()


class TestErrors:
    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"", "not JSON"),
            (b"<html>hello</html>", "not JSON.*<html>hello"),
            (b"[]", "not a JSON object"),
            (b"{}", "no message"),
            (b'{"choices": []}', "no message"),
            (b"[" * 100_000, "not JSON"),
        ],
    )
    def test_what_is_no_answer_is_shown(self, body: bytes, problem: str) -> None:
        """The error says what is wrong and what was seen."""
        with pytest.raises(ProtocolError, match=problem):
            decode_body(body)

    def test_error_in_a_good_reply(self) -> None:
        """It is raised for what it is."""
        with pytest.raises(ServerError, match="it broke"):
            decode_body(b'{"error": {"message": "it broke"}}')

        with pytest.raises(ServerError, match="it broke"):
            decode_body(b'{"id": "x", "message": "it broke"}')

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "message",
                            "content",
                            "text",
                            "thinking",
                            "tool_calls",
                            "function",
                            "usage",
                            "arguments",
                            "tool_plan",
                            "citations",
                            "sources",
                            "document",
                            "title",
                            "finish_reason",
                            "logprobs",
                            "tokens",
                            "input_tokens",
                            "id",
                            "error",
                        ]
                    ),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=25,
        )
    )
    def test_any_json_is_an_answer_or_an_error(self, value: Any) -> None:
        """No JSON raises anything but a ProviderError, and an answer is a Response."""
        try:
            found = decode_body(orjson.dumps(value))
        except ProviderError:
            return

        assert Response.from_dict(found.to_dict()) == found


TEXTS = st.text(min_size=1, max_size=8)


@given(
    st.text(max_size=8),
    st.lists(st.builds(ToolCall, TEXTS, TEXTS, st.text(max_size=8)), max_size=3).map(tuple),
    st.lists(st.builds(ReasoningPart, TEXTS), max_size=3),
    st.none() | st.builds(ReasoningPart, TEXTS, id=st.just("tool_plan")),
)
def test_an_answer_that_goes_back_and_comes_again_is_the_same(
    text: str,
    calls: tuple[ToolCall, ...],
    thoughts: list[ReasoningPart],
    plan: ReasoningPart | None,
) -> None:
    """Encoding a turn and reading it as an answer loses nothing of it."""
    thinking = (*thoughts, plan) if plan is not None else tuple(thoughts)
    turn = Choice(text, tool_calls=calls, thinking=thinking).to_message()
    body = orjson.loads(encode_request(Request((turn,)), PRESETS["cohere"], stream=False).body)
    assert decode(body["messages"][0]).choices[0].to_message() == turn
