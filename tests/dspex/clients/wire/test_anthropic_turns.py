"""Conversations as Anthropic's turns."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.clients.wire.anthropic_turns import encode_turns, system_text
from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.writing import Draft
from dspex.errors import InvalidRequest
from dspex.messages import (
    AudioPart,
    Compat,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCall,
)

ANTHROPIC = PRESETS["anthropic"]
PIXEL = "data:image/png;base64,AAAA"
CALL = ToolCall("t1", "add", "{}")


def turns(*messages: Message, compat: Compat = ANTHROPIC) -> list[dict[str, Any]]:
    """Encode a conversation of which everything can be said."""
    draft = Draft({})
    found = encode_turns(messages, compat, draft)
    assert draft.dropped == []
    return found


class TestSystem:
    def test_none(self) -> None:
        """Without a system message there is no field."""
        assert system_text([Message("user", "x"), Message("system", "")]) is None

    def test_parts_are_joined(self) -> None:
        """Text parts of one message are one text."""
        assert system_text([Message("system", (TextPart("a"), TextPart("b")))]) == "ab"

    def test_only_text(self) -> None:
        """An image in a system prompt is refused."""
        with pytest.raises(InvalidRequest, match="image"):
            system_text([Message("system", (ImagePart(PIXEL),))])


class TestTurns:
    def test_results_come_first(self) -> None:
        """Also when the user spoke before the tool did."""
        found = turns(
            Message("assistant", "", tool_calls=(CALL,)),
            Message("user", "wait"),
            Message("tool", "3", tool_call_id="t1"),
        )
        assert [block["type"] for block in found[1]["content"]] == ["tool_result", "text"]

    def test_a_result_of_parts(self) -> None:
        """Images and documents may stand in a result."""
        parts = (TextPart("look"), ImagePart(PIXEL), FilePart("https://x/y.pdf"))
        (turn,) = turns(Message("tool", parts, tool_call_id="t1"))
        kinds = [block["type"] for block in turn["content"][0]["content"]]
        assert kinds == ["text", "image", "document"]

    def test_empty_text_is_left_out(self) -> None:
        """The server refuses a text block without a character."""
        (turn,) = turns(Message("assistant", (TextPart(""),), tool_calls=(CALL,)))
        assert [block["type"] for block in turn["content"]] == ["tool_use"]

    def test_a_turn_of_nothing_stays_a_turn(self) -> None:
        """Whether that may be is for the server to say."""
        assert turns(Message("user", "")) == [{"role": "user", "content": ""}]

    def test_a_name_is_recorded(self) -> None:
        """The wire has no names of speakers."""
        draft = Draft({})
        encode_turns([Message("user", "x", name="ann")], ANTHROPIC, draft)
        assert [param.name for param in draft.dropped] == ["name"]

    def test_detail_is_recorded(self) -> None:
        """Nor has it a dial for how well an image is looked at."""
        draft = Draft({})
        encode_turns([Message("user", (ImagePart(PIXEL, "low"),))], ANTHROPIC, draft)
        assert [param.name for param in draft.dropped] == ["detail"]


class TestThinking:
    @pytest.mark.parametrize(
        "part",
        [ReasoningPart("mine"), ReasoningPart("mine", signature="s", id="rs_1")],
        ids=["unsigned", "another provider's"],
    )
    def test_what_the_server_would_refuse_stays_away(self, part: ReasoningPart) -> None:
        """A conversation that another provider began goes on without its thinking."""
        turn = Message("assistant", "4", reasoning=(part,))
        assert turns(turn) == [{"role": "assistant", "content": "4"}]

    def test_unsigned_where_the_endpoint_wants_it(self) -> None:
        """Some servers of this wire sign nothing and want all of it back."""
        turn = Message("assistant", "4", reasoning=(ReasoningPart("hm"),))
        (found,) = turns(turn, compat=PRESETS["deepseek-anthropic"])
        assert found["content"][0] == {"type": "thinking", "thinking": "hm", "signature": ""}

    def test_order(self) -> None:
        """Thinking, text, calls."""
        turn = Message(
            "assistant", "4", tool_calls=(CALL,), reasoning=(ReasoningPart("hm", signature="s"),)
        )
        kinds = [block["type"] for block in turns(turn)[0]["content"]]
        assert kinds == ["thinking", "text", "tool_use"]


class TestRefused:
    @pytest.mark.parametrize(
        ("message", "compat", "problem"),
        [
            (Message("user", (AudioPart("AA", "wav"),)), ANTHROPIC, "no audio"),
            (Message("user", (ImagePart(PIXEL),)), Compat(images="none"), "no images"),
            (Message("user", (ImagePart("https://x"),)), Compat(images="data"), "data: URLs"),
            (Message("user", (FilePart("https://x"),)), Compat(), "no files"),
            (Message("user", (FilePart(file_id="f"),)), Compat(), "no files"),
            (Message("user", (FilePart("data:image/gif;base64,AA"),)), ANTHROPIC, "PDF and text"),
            (Message("user", (FilePart("data:text/plain,hi"),)), ANTHROPIC, "base64"),
            (Message("user", (FilePart("data:text/plain;base64,/w=="),)), ANTHROPIC, "UTF-8"),
            (Message("user", (FilePart("data:text/plain;base64,!"),)), ANTHROPIC, "base64"),
            (Message("tool", "3"), ANTHROPIC, "tool_call_id"),
            (
                Message("assistant", "", tool_calls=(ToolCall("1", "f", "nonsense"),)),
                ANTHROPIC,
                "'nonsense'",
            ),
            (Message("assistant", "", tool_calls=(ToolCall("1", "f", "3"),)), ANTHROPIC, "object"),
            (
                Message("assistant", "", tool_calls=(ToolCall("1", "f", "\ud800"),)),
                ANTHROPIC,
                "object",
            ),
        ],
    )
    def test_it_is_named(self, message: Message, compat: Compat, problem: str) -> None:
        """A part of the question that cannot be asked is an error that shows it."""
        with pytest.raises(InvalidRequest, match=problem):
            turns(message, compat=compat)
