"""One field's text as a value: generous in form, strict in type."""

from __future__ import annotations

import datetime
import enum
import math
import uuid
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NewType

import pydantic
import pytest
from hypothesis import given, settings, strategies as st
from typing_extensions import TypedDict

from dspex.adapters.reading import field_reader
from dspex.adapters.rendering import render_value
from dspex.signatures.fields import Field


class Team(enum.Enum):
    BILLING = "billing"
    NET_WORK = "net work"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Line(pydantic.BaseModel):
    item: str
    amount: int = 1


@dataclass
class Point:
    x: int
    y: int


class Pair(NamedTuple):
    left: int
    right: str


class Row(TypedDict):
    a: int


Identifier = NewType("Identifier", int)


def read(annotation: Any, text: str, **options: Any) -> Any:
    return field_reader(Field("x", "output", annotation, **options))(text)


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        # text stays text
        (str, "null", "null"),
        (str, '"quoted"', '"quoted"'),
        (str, "[1, 2]", "[1, 2]"),
        (str, "", ""),
        # numbers
        (int, "3", 3),
        (int, " 3\n", 3),
        (int, "+3", 3),
        (int, "-3", -3),
        (int, "3.0", 3),
        (int, "3.", 3),
        (int, "3e2", 300),
        (int, "1,234", 1234),
        (int, "1,234,567", 1234567),
        (int, "$5", 5),
        (int, "-$5", -5),
        (int, "€ 1,000.00", 1000),
        (int, '"7"', 7),
        (int, "`7`", 7),
        (int, "**7**", 7),
        (int, str(2**80), 2**80),
        (Identifier, "7", 7),
        (Annotated[int, pydantic.Field(ge=0)], "7", 7),
        (float, "3.7", 3.7),
        (float, ".5", 0.5),
        (float, "1,234.5", 1234.5),
        (float, "$0.10", 0.1),
        (float, "1e-3", 0.001),
        (float, "inf", math.inf),
        (float, "-Infinity", -math.inf),
        (Decimal, "0.10", Decimal("0.10")),
        # booleans
        (bool, "true", True),
        (bool, "True", True),
        (bool, "yes", True),
        (bool, "YES.", True),
        (bool, "'no'", False),
        (bool, "0", False),
        (bool, "off", False),
        # choices
        (Literal["billing", "network"], "billing", "billing"),
        (Literal["billing", "network"], "Billing", "billing"),
        (Literal["billing", "network"], "'billing'", "billing"),
        (Literal["billing", "network"], '"NETWORK"', "network"),
        (Literal["billing", "network"], "**billing**", "billing"),
        (Literal["billing", "network"], "billing.", "billing"),
        (Literal["a", "A"], "A", "A"),
        (Literal["U.S.", "EU"], "U.S.", "U.S."),
        (Literal[1, 2], "2", 2),
        (Literal[True, "maybe"], "True", True),
        (Literal["a", None], "null", None),
        (Team, "billing", Team.BILLING),
        (Team, "Net Work", Team.NET_WORK),
        (Team, "NET_WORK", Team.NET_WORK),
        (Team, "'billing'", Team.BILLING),
        (Level, "2", Level.HIGH),
        (Level, "low", Level.LOW),
        # null
        (type(None), "null", None),
        (int | None, "null", None),
        (int | None, "None", None),
        (int | None, "", None),
        (str | None, "null", None),
        (str | None, "None", None),
        (str | None, "nothing", "nothing"),
        (list[str] | None, "None", None),
        (Team | None, "billing", Team.BILLING),
        # unions: the first member that takes it
        (int | str, "5", 5),
        (int | str, "five", "five"),
        (str | int, "5", "5"),
        (int | float, "3.5", 3.5),
        (bool | int, "yes", True),
        (bool | int, "7", 7),
        (Line | str, '{"item": "x"}', Line(item="x")),
        (Line | str, "just text", "just text"),
        # structures: JSON, then a Python literal, then repaired JSON
        (list[int], "[1, 2]", [1, 2]),
        (list[int], "(1, 2)", [1, 2]),
        (list[str], "['a', 'b']", ["a", "b"]),
        (list[str], '["a", "b",]', ["a", "b"]),
        (list[str], '```json\n["a"]\n```', ["a"]),
        (list[str], 'Here you are:\n```\n["a"]\n```\nEnjoy!', ["a"]),
        (list[str], '["a", "b"', ["a", "b"]),
        (list[int | None], "[1, null]", [1, None]),
        (list[str | None], '["None", null]', ["None", None]),
        (tuple[int, str], '[1, "a"]', (1, "a")),
        (set[int], "[1, 1, 2]", {1, 2}),
        (set[int], "{1, 2}", {1, 2}),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (dict[str, int], "{'a': 1}", {"a": 1}),
        (dict[int, str], '{"1": "a"}', {1: "a"}),
        (dict[str, Any], '{"a": {"b": null}}', {"a": {"b": None}}),
        (Line, '{"item": "x", "amount": 2}', Line(item="x", amount=2)),
        (Line, "{'item': 'x'}", Line(item="x")),
        (Line, '```json\n{item: "x"}\n```', Line(item="x")),
        (list[Line], '[{"item": "x"}]', [Line(item="x")]),
        (Point, '{"x": 1, "y": 2}', Point(1, 2)),
        (Pair, '[1, "a"]', Pair(1, "a")),
        (Row, '{"a": 1}', {"a": 1}),
        (list[Team], '["billing"]', [Team.BILLING]),
        (Any, '{"a": 1}', {"a": 1}),
        (Any, "just text", "just text"),
        (object, "3", 3),
        # moments
        (datetime.date, "2026-01-02", datetime.date(2026, 1, 2)),
        (datetime.date, '"2026-01-02"', datetime.date(2026, 1, 2)),
        (datetime.datetime, "2026-01-02T03:04:05", datetime.datetime(2026, 1, 2, 3, 4, 5)),
        (datetime.time, "03:04", datetime.time(3, 4)),
        (datetime.date | None, "none", None),
        (
            uuid.UUID,
            "12345678-1234-5678-1234-567812345678",
            uuid.UUID(int=0x12345678123456781234567812345678),
        ),
    ],
)
def test_what_is_read(annotation: Any, text: str, expected: Any) -> None:
    """Form is forgiven, the value has exactly the type."""
    value = read(annotation, text)

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "text", "words"),
    [
        (int, "3.7", "'3.7' is not a whole number"),
        (int, "three", "'three' is not a number"),
        (int, "", "'' is not a number"),
        (int, "1,23", "not a number"),
        (int, "12,34,567", "not a number"),
        (int, "3 apples", "not a number"),
        (int, "5 > 3", "not a number"),
        (int, "0x10", "not a number"),
        (int, "1_000", "not a number"),
        (int, "nan", "not a number"),
        (int, "inf", "not a number"),
        (int, ".", "not a number"),
        (int, "e5", "not a number"),
        (int, "true", "not a number"),
        (int, "٣", "not a number"),
        (int, "1e999999999", "not a number"),
        (int, "9" * 5_000, "not a number"),
        (float, "a lot", "not a number"),
        (float, "50%", "not a number"),
        (bool, "maybe", "neither true nor false"),
        (bool, "2", "neither true nor false"),
        (bool, "", "neither true nor false"),
        (Literal["billing", "network"], "hardware", "'hardware' is not one of: billing; network"),
        (Literal["billing", "network"], "billing or network", "not one of"),
        (Literal["a", "A", "b"], "'ä'", "not one of"),
        (Literal["yes", "YES"], "Yes", "not one of"),
        (Literal[1, 2], "3", "not one of"),
        (Team, "hardware", "not one of: billing; net work"),
        (int | None, "three", "'three' is not a number"),
        (int | bool, "maybe", "is no int | bool"),
        (list[int], "[1, 2.5]", "1: Input should be a valid integer"),
        (list[str], "[1]", "0: Input should be a valid string"),
        (list[str], "a, b", "not JSON of the right form"),
        (list[str], "", "not JSON of the right form"),
        (dict[str, int], "[1]", "valid dictionary"),
        (Line, '{"amount": 1}', "item: Field required"),
        (Line, "no object", "not JSON of the right form"),
        (tuple[int, str], "[1]", "1: Field required"),
        (datetime.date, "2024", "not in ISO form"),
        (datetime.datetime, "1700000000", "not in ISO form"),
        (datetime.date, "soon", "valid date"),
        (type(None), "something", "is not null"),
    ],
)
def test_what_is_refused(annotation: Any, text: str, words: str) -> None:
    """A wrong type is never bent into shape; the message can be shown to a model."""
    with pytest.raises(ValueError, match=words.replace("|", r"\|").replace(".", r"\.")) as caught:
        read(annotation, text)

    assert type(caught.value) is ValueError
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("annotation", "options", "text", "words"),
    [
        (int, {"ge": 1, "le": 5}, "6", "less than or equal to 5"),
        (int | None, {"ge": 1}, "0", "greater than or equal to 1"),
        (str, {"max_length": 3}, "abcd", "at most 3"),
        (str, {"pattern": "^[a-z]+$"}, "ABC", "pattern"),
        (list[str], {"min_length": 1}, "[]", "at least 1"),
    ],
)
def test_constraints_are_enforced(
    annotation: Any, options: dict[str, Any], text: str, words: str
) -> None:
    """What the prompt asked for is what is accepted."""
    with pytest.raises(ValueError, match=words):
        read(annotation, text, **options)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "-" * 15_000,
        "{" * 19_000,
        '{"a":' * 5_000,
        "[[" + "1," * 9_000,
        "\0",
        "\ud800",
    ],
)
def test_hostile_text_is_a_value_error(text: str) -> None:
    """Depth and length end in the same error as any other wrong text."""
    for annotation in (list[int], Line, int, bool, datetime.date, Literal["a"]):
        with pytest.raises(ValueError, match=r"."):
            read(annotation, text)


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(st.characters(codec="utf-8"))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=6,
)
_TYPED: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (float, st.floats(allow_nan=False)),
    (bool, st.booleans()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=3)),
    (int | None, st.one_of(st.none(), st.integers())),
    (Literal["a", "b c", "D"], st.sampled_from(["a", "b c", "D"])),
    (Team, st.sampled_from(Team)),
    (Level, st.sampled_from(Level)),
    (list[int], st.lists(st.integers())),
    (list[str], st.lists(st.text(st.characters(codec="utf-8")))),
    (
        dict[str, float],
        st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    ),
    (set[int], st.sets(st.integers())),
    (tuple[int, bool], st.tuples(st.integers(), st.booleans())),
    (Line, st.builds(Line, item=st.text(st.characters(codec="utf-8")), amount=st.integers())),
    (list[Line], st.lists(st.builds(Line, item=st.text(max_size=3), amount=st.integers()))),
    (datetime.date, st.dates()),
    (datetime.datetime, st.datetimes()),
    (datetime.time, st.times()),
    (Any, st.dictionaries(st.text(), _JSON)),
]


@pytest.mark.parametrize(("annotation", "values"), _TYPED, ids=[str(pair[0]) for pair in _TYPED])
@given(data=st.data())
@settings(max_examples=30)
def test_what_was_rendered_is_read_back(
    annotation: Any, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    """A value's text gives the value back, for every type."""
    value = data.draw(values)

    assert read(annotation, render_value(value)) == value


@pytest.mark.parametrize("annotation", [pair[0] for pair in _TYPED], ids=str)
@given(text=st.text(max_size=40))
@settings(max_examples=30)
def test_any_text_is_a_value_or_a_value_error(annotation: Any, text: str) -> None:
    """Nothing else ever comes out of reading."""
    with suppress(ValueError):
        read(annotation, text)
