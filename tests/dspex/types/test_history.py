"""History: turns of fields, kept as values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dspex.types import History, Image


def test_turns_come_in_many_forms() -> None:
    """A list of dicts, an object that holds one, a JSON text."""
    turns = [{"question": "1 + 1?", "answer": "2"}]
    expected = History(({"question": "1 + 1?", "answer": "2"},))

    assert History.from_json(turns) == expected
    assert History.from_json({"messages": turns}) == expected
    assert History.parse(expected.as_text()) == expected
    assert expected.to_json() == turns


def test_a_turn_is_added_to_a_copy() -> None:
    """The history itself does not change, nor with the dict it was made of."""
    turn = {"question": "a"}
    history = History((turn,))
    longer = history.with_turn(question="b", answer="c")
    turn["question"] = "changed"

    assert history == History(({"question": "a"},))
    assert longer.messages[1] == {"question": "b", "answer": "c"}
    assert (len(history), len(longer)) == (1, 2)
    assert len({history, History(({"question": "a"},))}) == 1


@pytest.mark.parametrize("wrong", ["text", 3, {"question": "a"}, ["a"], [{}], [["a"]]])
def test_what_is_none(wrong: Any) -> None:
    """Each turn is a dict of fields."""
    with pytest.raises(ValueError, match="turn"):
        History.from_json(wrong)


@pytest.mark.parametrize("text", ["", "[", "[3]", "[" * 100_000])
def test_text_that_is_none(text: str) -> None:
    """A ValueError, however deep."""
    with pytest.raises(ValueError, match="turns"):
        History.parse(text)


async def test_what_its_turns_hold_is_read(tmp_path: Path) -> None:
    """Files of earlier turns are read like those of the question."""
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    history = History(({"photo": Image(tmp_path / "a.png"), "answer": "a"}, {"question": "b"}))
    loaded = await history.load()
    assert loaded.messages[0]["photo"].url.startswith("data:image/png;base64,")
    assert loaded.messages[1] == {"question": "b"}
    assert await loaded.load() is loaded
