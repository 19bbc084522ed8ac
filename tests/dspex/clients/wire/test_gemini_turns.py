"""Conversations as Gemini's contents."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.gemini_turns import encode_contents, system_instruction
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

GEMINI = PRESETS["gemini"]
PIXEL = "data:image/png;base64,AAAA"
CALL = ToolCall("c1", "add", "{}")


def contents(*messages: Message, compat: Compat = GEMINI) -> list[dict[str, Any]]:
    """Encode a conversation of which everything can be said."""
    draft = Draft({})
    found = encode_contents(messages, compat, draft)
    assert draft.dropped == []
    return found


class TestSystem:
    def test_none(self) -> None:
        """Without a system message there is no field."""
        assert system_instruction([Message("user", "x"), Message("system", "")]) is None

    def test_only_text(self) -> None:
        """An image in a system prompt is refused."""
        with pytest.raises(InvalidRequest, match="image"):
            system_instruction([Message("system", (TextPart("x"), ImagePart(PIXEL)))])


class TestTurns:
    def test_a_turn_of_nothing_has_a_part(self) -> None:
        """The server refuses a turn without any."""
        assert contents(Message("user", "")) == [{"role": "user", "parts": [{"text": ""}]}]

    @pytest.mark.parametrize(
        ("url", "media_type"),
        [
            ("https://x/a.PNG", "image/png"),
            ("https://x/a.jpg#top", "image/jpeg"),
            ("https://x/a", None),
            ("gs://x/a.unknown", None),
        ],
    )
    def test_media_types_of_urls(self, url: str, media_type: str | None) -> None:
        """Said where the URL says it."""
        ((part,),) = (turn["parts"] for turn in contents(Message("user", (ImagePart(url),))))
        assert part["fileData"].get("mimeType") == media_type

    @pytest.mark.parametrize(
        ("part", "asked"),
        [
            (ImagePart(PIXEL, "low"), ("detail", "low")),
            (FilePart(PIXEL, citations=True), ("citations", True)),
        ],
    )
    def test_what_cannot_be_said_of_a_part(
        self, part: ImagePart | FilePart, asked: tuple[str, object]
    ) -> None:
        """It is recorded."""
        draft = Draft({})
        encode_contents([Message("user", (part,))], GEMINI, draft)
        assert [(param.name, param.asked) for param in draft.dropped] == [asked]

    def test_a_name_is_recorded(self) -> None:
        """The wire has no names of speakers."""
        draft = Draft({})
        encode_contents([Message("user", "x", name="ann")], GEMINI, draft)
        assert [param.name for param in draft.dropped] == ["name"]


class TestToolResults:
    def test_name_of_the_nearest_call(self) -> None:
        """A result is given under the name of the call with its id, of the latest if several."""
        found = contents(
            Message("assistant", "", tool_calls=(ToolCall("c1", "old", "{}"),)),
            Message("tool", "1", tool_call_id="c1"),
            Message("assistant", "", tool_calls=(ToolCall("c1", "new", "{}"),)),
            Message("tool", "2", tool_call_id="c1"),
        )
        names = [turn["parts"][0]["functionResponse"]["name"] for turn in found[1::2]]
        assert names == ["old", "new"]

    def test_name_of_the_message(self) -> None:
        """Where the call is no longer in the conversation, the message may say the name."""
        (turn,) = contents(Message("tool", "1", tool_call_id="c9", name="add"))
        assert turn["parts"][0]["functionResponse"]["name"] == "add"

    def test_text_in_parts(self) -> None:
        """It is one output."""
        result = Message("tool", (TextPart("a"), TextPart("b")), tool_call_id="c1", name="f")
        ((part,),) = (turn["parts"] for turn in contents(result))
        assert part == {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "ab"}}}

    def test_media(self) -> None:
        """They stand beside the response."""
        result = Message("tool", (TextPart("look"), ImagePart(PIXEL)), tool_call_id="c1", name="f")
        ((part,),) = (turn["parts"] for turn in contents(result))
        assert part["functionResponse"]["response"] == {"output": "look"}
        assert list(part["functionResponse"]["parts"][0]) == ["inlineData"]


class TestSignatures:
    def test_without_a_text_to_stand_beside(self) -> None:
        """A signature of nothing visible stands beside an empty text."""
        turn = Message("assistant", "", reasoning=(ReasoningPart(signature="s"),))
        assert contents(turn)[0]["parts"] == [{"text": "", "thoughtSignature": "s"}]

    def test_two_of_them(self) -> None:
        """Each stands beside a text of its own."""
        pieces = (ReasoningPart(signature="s"), ReasoningPart(signature="t"))
        assert contents(Message("assistant", "x", reasoning=pieces))[0]["parts"] == [
            {"text": "x", "thoughtSignature": "s"},
            {"text": "", "thoughtSignature": "t"},
        ]

    @pytest.mark.parametrize(
        "part",
        [
            ReasoningPart("mine"),
            ReasoningPart("mine", signature="s", id="rs_1"),
            ReasoningPart(encrypted="x"),
        ],
        ids=["unsigned", "another provider's", "encrypted"],
    )
    def test_what_is_not_gemini_s_stays_away(self, part: ReasoningPart) -> None:
        """A conversation that another provider began goes on without its thinking."""
        turn = Message("assistant", "4", reasoning=(part,))
        assert contents(turn)[0]["parts"] == [{"text": "4"}]

    def test_unsigned_where_the_endpoint_wants_it(self) -> None:
        """An endpoint may want thoughts without a signature."""
        turn = Message("assistant", "4", reasoning=(ReasoningPart("hm"),))
        (found,) = contents(turn, compat=Compat(replay_reasoning=True))
        assert found["parts"][0] == {"text": "hm", "thought": True}


class TestRefused:
    @pytest.mark.parametrize(
        ("message", "compat", "problem"),
        [
            (Message("user", (AudioPart("AA", "wav"),)), Compat(), "no audio"),
            (Message("user", (ImagePart(PIXEL),)), Compat(images="none"), "no images"),
            (Message("user", (FilePart("https://x"),)), Compat(), "no files"),
            (Message("user", (ImagePart("data:,x"),)), GEMINI, "base64"),
            (Message("tool", "3"), GEMINI, "tool_call_id=None"),
            (Message("tool", "3", tool_call_id="c9"), GEMINI, "'c9'"),
            (Message("assistant", "", tool_calls=(ToolCall("1", "f", "[]"),)), GEMINI, "object"),
        ],
    )
    def test_it_is_named(self, message: Message, compat: Compat, problem: str) -> None:
        """A part of the question that cannot be asked is an error that shows it."""
        with pytest.raises(InvalidRequest, match=problem):
            contents(message, compat=compat)
