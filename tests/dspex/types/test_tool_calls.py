"""The calls of a model, from its tool calling or from its text, and their results."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from dspex.messages import (
    Choice,
    Compat,
    FinishReason,
    ImagePart,
    ReasoningPart,
    Sampling,
    ToolCall,
)
from dspex.types.tool_calls import ToolCalls, ToolResult, read_arguments

CALL = ToolCall("a", "search", '{"q": 1}', signature="proof")


class TestToolCalls:
    def test_native_calls_keep_the_whole_turn(self) -> None:
        """Thinking and signatures are there to be shown again, unchanged."""
        thinking = (ReasoningPart("hm", signature="sig"),)
        choice = Choice(
            "so", tool_calls=(CALL,), thinking=thinking, finish_reason=FinishReason.TOOL_CALLS
        )
        calls = ToolCalls.from_choice(choice)
        assert calls is not None
        assert calls.calls == (CALL,)
        assert calls.message == choice.to_message()
        assert ToolCalls.from_choice(Choice("no call")) is None
        assert ToolCalls.travels_natively(Compat(), Sampling())
        assert not ToolCalls.travels_natively(Compat(tools=False), Sampling())

    @pytest.mark.parametrize(
        "text",
        [
            '[{"name": "search", "arguments": {"q": 1}}]',
            '{"name": "search", "args": {"q": 1}}',
            '{"tool_calls": [{"name": "search", "parameters": {"q": 1}}]}',
            '[{"function": {"name": "search", "arguments": "{\\"q\\": 1}"}}]',
            'I call:\n```json\n[{"tool": "search", "input": {"q": 1}}]\n```',
        ],
    )
    def test_forms_of_text(self, text: str) -> None:
        """Models write a call in many ways."""
        (call,) = ToolCalls.parse(text).calls
        assert (call.name, json.loads(call.arguments)) == ("search", {"q": 1})

    @pytest.mark.parametrize("text", ["", "search", "[1]", '[{"arguments": {}}]', '[{"name": ""}]'])
    def test_what_is_no_call_is_refused(self, text: str) -> None:
        """The message says what is wanted."""
        with pytest.raises(ValueError, match="is not a JSON list of tool calls"):
            ToolCalls.parse(text)

    def test_the_empty_list_calls_nothing(self) -> None:
        """A model may call no tool."""
        assert len(ToolCalls.parse("[]")) == 0

    @given(
        st.lists(
            st.tuples(
                st.from_regex(r"[a-z]{1,8}", fullmatch=True),
                st.dictionaries(st.text(), st.integers() | st.text() | st.none(), max_size=3),
            ),
            max_size=3,
        )
    )
    def test_text_round_trip(self, rows: list[tuple[str, dict[str, object]]]) -> None:
        """What is written is read back."""
        calls = ToolCalls.from_json([{"name": n, "arguments": a} for n, a in rows])
        assert ToolCalls.parse(calls.as_text()) == calls


class TestToolResult:
    @pytest.mark.parametrize(
        "result",
        [
            ToolResult("t"),
            ToolResult("t", "text", call_id="1"),
            ToolResult("t", {"a": [1, None]}),
            ToolResult("t", "why", error="timeout"),
            ToolResult("t", "", images=(ImagePart("data:image/png;base64,AA=="),)),
        ],
    )
    def test_round_trip(self, result: ToolResult) -> None:
        """Plain data and back, as a journal keeps it."""
        again = ToolResult.from_json(json.loads(json.dumps(result.to_json())))
        assert again == result
        assert hash(again) == hash(result)

    def test_as_a_turn(self) -> None:
        """It answers its call, and says if it is an error."""
        turn = ToolResult("t", {"a": "ä"}, call_id="1", error="crash").as_message()
        assert (turn.role, turn.content, turn.tool_call_id, turn.is_error) == (
            "tool",
            '{"a": "ä"}',
            "1",
            True,
        )

    @pytest.mark.parametrize("data", [3, "x", {}, {"name": "t", "error": "sulking"}])
    def test_what_is_no_result_is_refused(self, data: object) -> None:
        """Nothing is guessed."""
        with pytest.raises(ValueError, match="is not"):
            ToolResult.from_json(data)


@given(st.text() | st.just('{"a": "\ud800"}'))
def test_arguments_are_an_object_or_an_error(text: str) -> None:
    """Whatever a model writes for arguments is read or refused in words."""
    try:
        arguments = read_arguments(text)
    except ValueError:
        return

    assert all(isinstance(name, str) for name in arguments)
