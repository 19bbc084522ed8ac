"""Conversations as Cohere's messages and documents."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.clients.wire.cohere_turns import encode_documents, encode_messages
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

COHERE = PRESETS["cohere"]
TEXT = "data:text/plain;base64,aGVsbG8="
PIXEL = "data:image/png;base64,AAAA"
CALL = ToolCall("t1", "add", "{}")


def rows(*messages: Message, compat: Compat = COHERE) -> list[dict[str, Any]]:
    """Encode a conversation of which everything can be said."""
    draft = Draft({})
    found = encode_messages(messages, compat, draft)
    assert draft.dropped == []
    return found


class TestTurns:
    def test_empty_text_beside_calls_is_left_out(self) -> None:
        """Alone it stays."""
        assert "content" not in rows(Message("assistant", "", tool_calls=(CALL,)))[0]
        assert rows(Message("assistant", "")) == [{"role": "assistant", "content": ""}]

    def test_failure_of_a_tool_is_said_in_the_text(self) -> None:
        """The wire has no field for it."""
        (row,) = rows(Message("tool", "no x", tool_call_id="t1", is_error=True))
        assert row["content"] == "Error: no x"

    def test_a_result_that_is_a_document(self) -> None:
        """It needs no text beside it."""
        (row,) = rows(Message("tool", (FilePart(TEXT),), tool_call_id="t1"))
        assert [block["type"] for block in row["content"]] == ["document"]

    def test_parts_of_an_assistant(self) -> None:
        """Its text may be in parts."""
        (row,) = rows(Message("assistant", (TextPart("a"), TextPart("b"))))
        assert [block["text"] for block in row["content"]] == ["a", "b"]

    def test_a_name_is_recorded(self) -> None:
        """The wire has no names of speakers."""
        draft = Draft({})
        encode_messages([Message("user", "x", name="ann")], COHERE, draft)
        assert [param.name for param in draft.dropped] == ["name"]

    @pytest.mark.parametrize(
        "part",
        [
            ReasoningPart("mine", signature="s"),
            ReasoningPart("mine", id="rs_1"),
            ReasoningPart(encrypted="x"),
        ],
        ids=["signed", "named", "encrypted"],
    )
    def test_thinking_of_others_stays_away(self, part: ReasoningPart) -> None:
        """Proofs and names are other providers'."""
        assert rows(Message("assistant", "4", reasoning=(part,)))[0]["content"] == "4"

    def test_thinking_stays_away_where_it_is_not_wanted(self) -> None:
        """The record of the endpoint says whether it goes back."""
        turn = Message("assistant", "4", reasoning=(ReasoningPart("hm"),))
        assert rows(turn, compat=Compat())[0]["content"] == "4"


class TestDocuments:
    def test_of_all_user_turns(self) -> None:
        """They belong to the whole conversation."""
        turns = [
            Message("user", (FilePart(TEXT, name="a"),)),
            Message("user", "x"),
            Message("tool", (FilePart(TEXT, name="b"),), tool_call_id="t1"),
        ]
        assert encode_documents(turns, COHERE) == [{"data": {"title": "a", "text": "hello"}}]

    @pytest.mark.parametrize(
        ("part", "compat", "problem"),
        [
            (FilePart("https://x/y.txt"), Compat(files="url"), "https://x/y.txt"),
            (FilePart(file_id="f1"), COHERE, "f1"),
            (FilePart("data:application/pdf;base64,AA"), COHERE, "application/pdf"),
            (FilePart("data:text/plain;base64,/w=="), COHERE, "UTF-8"),
            (FilePart(TEXT), Compat(), "no files"),
        ],
    )
    def test_what_is_no_text(self, part: FilePart, compat: Compat, problem: str) -> None:
        """The error shows it."""
        with pytest.raises(InvalidRequest, match=problem):
            encode_documents([Message("user", (part,))], compat)


class TestRefused:
    @pytest.mark.parametrize(
        ("message", "compat", "problem"),
        [
            (Message("user", (AudioPart("AA", "wav"),)), COHERE, "no audio"),
            (Message("user", (ImagePart(PIXEL),)), Compat(images="none"), "no images"),
            (Message("assistant", (FilePart(TEXT),)), COHERE, "no file"),
            (Message("tool", "3"), COHERE, "tool_call_id"),
            (Message("tool", (ImagePart(PIXEL),), tool_call_id="t1"), COHERE, "'image'"),
        ],
    )
    def test_it_is_named(self, message: Message, compat: Compat, problem: str) -> None:
        """A part of the question that cannot be asked is an error that shows it."""
        with pytest.raises(InvalidRequest, match=problem):
            rows(message, compat=compat)
