"""The string syntax: what it reads, and that every mistake is a SignatureError at its place."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, Optional, Union

import pytest
from hypothesis import given, settings, strategies as st

from dspex.errors import SignatureError
from dspex.signatures.annotations import type_name
from dspex.signatures.grammar import parse_signature
from dspex.signatures.signature import Signature


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def test_a_field_without_a_type_is_text() -> None:
    """Names alone are strings, inputs before the arrow and outputs behind it."""
    fields = parse_signature("question, context -> answer")

    shown = [(field.name, field.role, field.annotation) for field in fields]
    assert shown == [
        ("question", "input", str),
        ("context", "input", str),
        ("answer", "output", str),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int", int),
        ("list[str]", list[str]),
        ("List[str]", list[str]),
        ("dict[str, list[int]]", dict[str, list[int]]),
        ("tuple[int, ...]", tuple[int, ...]),
        ("int | None", Optional[int]),  # noqa: UP045 - both spellings are one type
        ("Optional[int]", Optional[int]),  # noqa: UP045
        ("typing.Optional[int]", Optional[int]),  # noqa: UP045
        ("Union[int, str]", Union[int, str]),  # noqa: UP007
        ("None | list[int]", None | list[int]),
        ("Literal['a', \"b\"]", Literal["a", "b"]),
        ("Literal[1, -2, True, None]", Literal[1, -2, True, None]),
        ("Literal['x -> y', 'a, b: c']", Literal["x -> y", "a, b: c"]),
        ("Colour", Colour),
        ("list[Colour]", list[Colour]),
        ("Literal[Colour.RED]", Literal[Colour.RED]),
        ("Any", Any),
        ("date", datetime.date),
        ("datetime.date", datetime.date),
        ("Decimal", Decimal),
        ("Sequence[int]", Sequence[int]),
    ],
)
def test_types_mean_what_python_means(text: str, expected: Any) -> None:
    """Builtins, typing, subscripts, unions, literals and names handed in are looked up."""
    field = parse_signature(f"x: {text} -> y", {"Colour": Colour})[0]

    assert field.annotation == expected


def test_types_that_are_handed_in_win() -> None:
    """A name in `types` replaces a built-in meaning, dotted names included."""
    field = parse_signature("x: date, y: shop.Item -> z", {"date": int, "shop.Item": Colour})

    assert [item.annotation for item in field] == [int, Colour, str]


def test_line_breaks_and_comments_are_allowed() -> None:
    """A long signature may stand on several lines."""
    fields = parse_signature(
        """
        question: str,  # what is asked
        context: list[str] ->
        answer: str  # a -> here is none
        """
    )

    assert [field.name for field in fields] == ["question", "context", "answer"]


@pytest.mark.parametrize(
    ("text", "problem", "place"),
    [
        ("", "no `->`", "^"),
        ("question", "no `->`", "        ^"),
        ("a -> b -> c", "second `->`", "       ^^"),
        ("-> b", "no inputs", "^"),
        ("a ->", "no outputs", "    ^"),
        ("a, a -> b", "'a' is named twice", "   ^"),
        ("a -> b, b", "'b' is named twice", "        ^"),
        ("a, b -> b", "'b' is on both sides", "        ^"),
        ("a: Foo -> b", "unknown type", "   ^^^"),
        ("a: lisst[int] -> b", "did you mean 'list'?", "   ^^^^^"),
        ("a -> class", "'class' is a Python keyword", "     ^^^^^"),
        ("a, if -> b", "'if' is a Python keyword", "   ^^"),
        ("a = 1 -> b", "no defaults", "    ^"),
        ("a -> b: int = 3", "no defaults", "              ^"),
        ("*a -> b", "`*` has no meaning", " ^"),
        ("a, /, b -> c", "`/` has no meaning", "^"),
        ("**a -> b", "`*` has no meaning", "  ^"),
        ("a: list[int -> b", "never closed", "       ^"),
        ("a b -> c", "separated by commas", "  ^"),
        ("a: 'int' -> b", "not a type", "   ^^^^^"),
        ("a: 1 + 2 -> b", "not a type", "   ^^^^^"),
        ("a: f(x) -> b", "not a type", "   ^^^^"),
        ("a: list[] -> b", "invalid syntax", "   ^"),
        ("a: int[str] -> b", "not a type", "   ^^^^^^^^"),
        ("a: dict[str] -> b", "cannot be validated", "^^^^^^^^^^^^"),
        ("a: Literal[1.5] -> b", "a Literal holds", "           ^^^"),
        ("a: Literal[x] -> b", "a Literal holds", "           ^"),
        ("_a -> b", "starts with an underscore", "^^"),
        ("a -> usage", "would hide", None),
        ("Ünïcode: Fô -> b", "unknown type", "         ^^"),
        ("a,\nb: Foo -> c", "unknown type", "   ^^^"),
    ],
)
def test_a_mistake_is_shown_at_its_place(text: str, problem: str, place: str | None) -> None:
    """The message says what is wrong, shows the line and marks where."""
    with pytest.raises(SignatureError) as caught:
        Signature(text)

    message = str(caught.value)
    assert problem in message
    if place is not None:
        assert message.splitlines()[-1] == f"    {place}"


def test_a_second_statement_cannot_be_smuggled_in() -> None:
    """Text that closes the parameter list is refused, not parsed as code."""
    for text in ("a): pass\ndef g(b -> c", "a) -> b", "a -> b): import os\ndef g(c"):
        with pytest.raises(SignatureError):
            parse_signature(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "list[" * 150 + "int" + "]" * 150 + " -> b",
        "a: " + "int | " * 800 + "int -> b",
        "a: " + "-" * 9_000 + "1 -> b",
        "(" * 9_000 + " -> b",
        "a" * 20_000 + " -> b",
        "a\0 -> b",
        "a -> \ud800",
        "a: Literal['\ud800'] -> \ud800b",
    ],
)
def test_hostile_text_is_refused(text: str) -> None:
    """Depth, length, null bytes and lone surrogates are errors like any other."""
    with pytest.raises(SignatureError):
        parse_signature(text)


_FRAGMENTS = st.sampled_from(
    [
        *("a", "b", "->", ":", ",", "[", "]", "|", "int", "list", "Literal", "None", "'x'", '"'),
        *("=", "*", "/", "(", ")", "#", "\n", " ", "\\", "class", "...", "-1", "ä", "\t", "."),
        *("'", "@"),
    ]
)


@given(st.one_of(st.text(), st.lists(_FRAGMENTS).map(" ".join), st.lists(_FRAGMENTS).map("".join)))
@settings(max_examples=400)
def test_nothing_but_signature_errors_comes_out(text: str) -> None:
    """Whatever the text, it is a signature or a SignatureError."""
    try:
        fields = parse_signature(text)
    except SignatureError:
        return

    assert {field.role for field in fields} == {"input", "output"}


_SIMPLE = st.sampled_from(["str", "int", "float", "bool", "date", "Decimal", "Any"])
_LITERALS = st.lists(
    st.one_of(st.text(st.characters(codec="utf-8"), max_size=5), st.integers(), st.booleans()),
    min_size=1,
    max_size=4,
    unique=True,
).map(lambda values: f"Literal[{', '.join(repr(value) for value in values)}]")
_TYPES = st.recursive(
    st.one_of(_SIMPLE, _LITERALS),
    lambda inner: st.one_of(
        inner.map(lambda kind: f"list[{kind}]"),
        inner.map(lambda kind: f"dict[str, {kind}]"),
        inner.map(lambda kind: f"tuple[{kind}, ...]"),
        st.tuples(inner, inner).map(lambda pair: f"tuple[{pair[0]}, {pair[1]}]"),
        inner.map(lambda kind: f"{kind} | None"),
    ),
    max_leaves=4,
)


@given(_TYPES)
def test_a_type_is_written_as_it_is_read(text: str) -> None:
    """The name of a type, read again, is the same type under the same name."""
    annotation = parse_signature(f"x: {text} -> y")[0].annotation
    name = type_name(annotation)

    again = parse_signature(f"x: {name} -> y")[0].annotation
    assert again == annotation
    assert type_name(again) == name
