"""Answers read while they come: never a marker, and in the end what the whole answer says."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from dspex.adapters import (
    Adapter,
    ChatAdapter,
    FieldDelta,
    FreeAdapter,
    JSONAdapter,
    TextAdapter,
    XMLAdapter,
)
from dspex.adapters.reading import field_reader
from dspex.errors import ParseError
from dspex.messages import Compat, Sampling, StreamStart, TextDelta, ToolCallDelta
from dspex.signatures.signature import Signature

SIGNATURE = Signature("question -> reasoning, final_answer, tags: list[str], hours: int | None")
TWO = Signature("question -> reasoning, answer")
ADAPTERS = (ChatAdapter(), JSONAdapter(), XMLAdapter())

GOOD = {
    ChatAdapter(): (
        "[[ ## reasoning ## ]]\nline 1\n\n# line 2 [x]\n\n[[ ## final_answer ## ]]\n42 & <b>\n\n"
        '[[ ## tags ## ]]\n["a", "b ]"]\n\n[[ ## hours ## ]]\n3\n\n[[ ## completed ## ]]\n'
    ),
    JSONAdapter(): (
        '```json\n{"reasoning": "line 1\\n\\n# line 2 [x]", "final_answer": "42 & <b>",\n'
        ' "tags": ["a", "b ]"], "hours": 3}\n```'
    ),
    XMLAdapter(): (
        "<reasoning>\nline 1\n\n# line 2 [x]\n</reasoning>\n\n"
        "<final_answer>42 & <b></final_answer>\n"
        '<tags>["a", "b ]"]</tags><hours> 3 </hours>'
    ),
}


def stream(adapter: Adapter, signature: Signature, pieces: list[str]) -> list[FieldDelta]:
    """Give all deltas of an answer that comes in pieces."""
    parser = adapter.stream_parser(signature)
    return [delta for piece in pieces for delta in parser.feed(piece)] + parser.close()


def together(deltas: list[FieldDelta]) -> dict[str, str]:
    """Give the text of each field."""
    texts: dict[str, str] = {}
    for delta in deltas:
        texts[delta.field] = texts.get(delta.field, "") + delta.text

    return texts


def cut(text: str, places: list[int]) -> list[str]:
    """Give a text in pieces."""
    ends = sorted({min(place, len(text)) for place in places} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def assert_equal_to_parse(adapter: TextAdapter, signature: Signature, pieces: list[str]) -> None:
    """Assert that the deltas together are what the whole answer gives."""
    texts = together(stream(adapter, signature, pieces))
    try:
        fields = adapter.parse(signature, "".join(pieces))
    except ParseError as exc:
        fields = exc.parsed

    for name, value in fields.items():
        assert field_reader(signature.fields[name])(texts.get(name, "")) == value


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
class TestEveryForm:
    def test_character_by_character(self, adapter: TextAdapter) -> None:
        """The smallest pieces give the same fields as the whole."""
        texts = together(stream(adapter, SIGNATURE, list(GOOD[adapter])))

        assert texts == {
            "reasoning": "line 1\n\n# line 2 [x]",
            "final_answer": "42 & <b>",
            "tags": '["a", "b ]"]',
            "hours": "3",
        }

    def test_in_one_piece(self, adapter: TextAdapter) -> None:
        """So does the whole at once."""
        whole = together(stream(adapter, SIGNATURE, [GOOD[adapter]]))

        assert whole == together(stream(adapter, SIGNATURE, list(GOOD[adapter])))

    def test_text_is_given_as_it_comes(self, adapter: TextAdapter) -> None:
        """What is clear is not held back until the end."""
        parser = adapter.stream_parser(SIGNATURE)
        text = GOOD[adapter]
        half = text.index("[x]") + 3
        early = together([delta for char in text[:half] for delta in parser.feed(char)])

        assert early["reasoning"].startswith("line 1\n\n# line 2")

    def test_no_piece_holds_a_marker(self, adapter: TextAdapter) -> None:
        """Not even a part of one."""
        for delta in stream(adapter, TWO, list(adapter.answer_text(_fields(TWO), _VALUES))):
            assert not set(delta.text) & set("[]#<>{}/\"'")

    def test_an_answer_without_form_gives_what_parse_finds(self, adapter: TextAdapter) -> None:
        """Nothing, if there is nothing; the form of another adapter, if it has one."""
        assert stream(adapter, TWO, ["I cannot ", "help."]) == []
        assert stream(adapter, TWO, []) == []
        for other in ADAPTERS:
            text = other.answer_text(_fields(TWO), _VALUES)
            if not (isinstance(other, XMLAdapter) and not isinstance(adapter, XMLAdapter)):
                assert together(stream(adapter, TWO, list(text))) == _VALUES

    def test_an_answer_that_breaks_off(self, adapter: TextAdapter) -> None:
        """What came is given, and the half marker is not."""
        text = GOOD[adapter]
        for end in range(len(text)):
            texts = together(stream(adapter, SIGNATURE, list(text[:end])))
            assert "line 1\n\n# line 2 [x]".startswith(texts.get("reasoning", ""))

    def test_a_parser_reads_one_answer(self, adapter: TextAdapter) -> None:
        """After its end it takes nothing more."""
        parser = adapter.stream_parser(TWO)
        parser.feed(adapter.answer_text(_fields(TWO), _VALUES))
        parser.close()

        assert parser.close() == []
        with pytest.raises(ValueError, match="closed"):
            parser.feed("x")


_VALUES = {"reasoning": "why and how", "answer": "yes"}


def _fields(signature: Signature) -> tuple[Any, ...]:
    return tuple(signature.output_fields.values())


_PLACES = st.lists(st.integers(0, 400), max_size=30)
_LINES = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    [
        "a [b](c) d",
        "1 < 2 && 3 > 2",
        '{"a": [1, "\\""]}',
        "# head\n\n* item\n> quote",
        "[[ ## x",
        "[#1]",
    ]
)
_BITS = st.sampled_from(
    [
        "[[ ## reasoning ## ]]",
        "[[ ## answer ## ]]",
        "[[ ## Answer ## ]]",
        "[[##answer##]]",
        "**[[ ## answer ## ]]**",
        "[[ ## completed ## ]]",
        "[[ ## note ## ]]",
        "[ # reasoning ]",
        "\n",
        "\n\n",
        " ",
        "text",
        "[",
        "##",
        "]]",
        "*",
        "# ",
        "<reasoning>",
        "</reasoning>",
        "<answer>",
        "</answer>",
        "<Answer x='1'>",
        "< /answer >",
        "<",
        "{",
        '"reasoning": ',
        '"answer": ',
        '"text"',
        '"a\\n\\u00e4\\ud83d\\ude00"',
        ", ",
        "}",
        "12",
        "[1, 2]",
        "```json",
        "```",
    ]
)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@given(reasoning=_LINES, answer=_LINES, tags=st.lists(_LINES, max_size=3), places=_PLACES)
@settings(max_examples=150)
def test_perfect_answers_however_they_are_cut(
    adapter: TextAdapter, reasoning: str, answer: str, tags: list[str], places: list[int]
) -> None:
    """The deltas together are what parse reads, for any values and any pieces."""
    values = {"reasoning": reasoning, "final_answer": answer, "tags": tags, "hours": 3}
    text = adapter.answer_text(_fields(SIGNATURE), values)

    assert_equal_to_parse(adapter, SIGNATURE, cut(text, places))


@pytest.mark.parametrize("adapter", [*ADAPTERS, FreeAdapter()], ids=repr)
@given(bits=st.lists(_BITS, max_size=25), places=_PLACES)
@settings(max_examples=300)
def test_crooked_answers_however_they_are_cut(
    adapter: TextAdapter, bits: list[str], places: list[int]
) -> None:
    """Cutting changes nothing, and a text field's deltas are a beginning of what parse reads."""
    text = "".join(bits)
    texts = together(stream(adapter, TWO, cut(text, places)))
    fields: dict[str, Any] = {}
    try:
        fields = adapter.parse(TWO, text)
    except ParseError as exc:
        fields = exc.parsed

    for name, value in fields.items():
        assert texts.get(name, "") == value or not isinstance(adapter, ChatAdapter | XMLAdapter)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@given(text=st.text(max_size=200), places=_PLACES)
def test_any_text_can_be_streamed(adapter: TextAdapter, text: str, places: list[int]) -> None:
    """Nothing is ever raised."""
    with suppress(ParseError):
        assert stream(adapter, TWO, cut(text, places)) is not None


class TestEvents:
    def test_text_of_the_first_choice_counts(self) -> None:
        """Other choices, other events and thinking nobody asked for add nothing."""
        parser = ChatAdapter().stream_parser(TWO)
        header = "[[ ## reasoning ## ]]\n"

        assert parser.take(StreamStart()) == []
        assert parser.take(TextDelta("hm", reasoning=True)) == []
        assert parser.take(TextDelta(header + "no", choice=1)) == []
        assert parser.take(ToolCallDelta(0, arguments="{}")) == []
        assert parser.take(TextDelta(f"{header}yes")) == [FieldDelta("reasoning", "yes")]

    def test_native_thinking_is_its_field(self) -> None:
        """Where the model thinks by itself, its thinking is streamed as the Reasoning output."""
        signature = Signature("question -> why: Reasoning, answer")
        thinks = Compat(replay_reasoning=True)
        adapter = ChatAdapter().fitted(signature, thinks, Sampling(reasoning_effort="low"))
        parser = adapter.stream_parser(signature)

        assert parser.take(TextDelta("hm", reasoning=True)) == [FieldDelta("why", "hm")]
        assert parser.take(TextDelta("[[ ## answer ## ]]\n4")) == [FieldDelta("answer", "4")]

    def test_an_answer_by_tool_is_its_arguments(self) -> None:
        """The first call's arguments are the object; text beside it is none."""
        parser = JSONAdapter(form="tool").stream_parser(TWO)

        assert parser.take(TextDelta("Let me see.")) == []
        assert parser.take(ToolCallDelta(0, name="answer", arguments='{"answer": "ye')) == [
            FieldDelta("answer", "ye")
        ]
        assert parser.take(ToolCallDelta(1, arguments='x"}')) == []
        assert parser.take(ToolCallDelta(0, arguments='s"}')) == [FieldDelta("answer", "s")]


def test_a_header_that_is_only_talked_about_is_held_back() -> None:
    """Until a real one shows that it was talk; then it is text, as for parse."""
    talk = "[[ ## reasoning ## ]]\nThen I fill [[ ## answer ## ]] with it.\n"
    parser = ChatAdapter().stream_parser(TWO)
    first = together(parser.feed(talk))
    rest = parser.feed("\n[[ ## answer ## ]]\n42\n[[ ## completed ## ]]\n") + parser.close()

    assert first == {"reasoning": "Then I fill"}
    assert together(rest) == {
        "reasoning": " [[ ## answer ## ]] with it.",
        "answer": "42",
    }


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@pytest.mark.parametrize("unit", ["[[ # a ", "<answer", "<reasoning>", '{"a', "[", "\n" * 50, "x "])
def test_hostile_streams_take_linear_time(adapter: TextAdapter, unit: str) -> None:
    """A hundred thousand characters in small pieces are read at once (the test would time out)."""
    head = {ChatAdapter(): "[[ ## reasoning ## ]]\n", XMLAdapter(): "<reasoning>"}
    text = head.get(adapter, '{"reasoning": "') + unit * (60_000 // len(unit))
    parser = adapter.stream_parser(TWO)
    for start in range(0, len(text), 7):
        parser.feed(text[start : start + 7])

    parser.close()


LONG_VALUES = ("[" + "1, " * 100_000 + "1]", '["' + r"word \" \\ " * 30_000 + '"]')


@pytest.mark.parametrize("value", LONG_VALUES, ids=["numbers", "text"])
def test_long_values_stream_in_linear_time(value: str) -> None:
    """A list of many numbers, a long text in a list; in pieces and whole."""
    text = f'{{"reasoning": {value}, "answer": "x"}}'
    for size in (7, len(text)):
        parser = JSONAdapter().stream_parser(TWO)
        began = time.perf_counter()
        deltas = [
            delta for at in range(0, len(text), size) for delta in parser.feed(text[at : at + size])
        ]
        assert time.perf_counter() - began < 10.0
        assert "".join(delta.text for delta in deltas if delta.field == "reasoning") == value
        assert deltas[-1] == FieldDelta("answer", "x")
        assert len(deltas) <= len(text) // size + 2
