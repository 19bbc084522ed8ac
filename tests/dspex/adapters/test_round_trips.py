"""What an adapter writes it reads back, for every type, in any order of the fields."""

from __future__ import annotations

import datetime
import enum
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Optional

import pydantic
import pytest
from hypothesis import given, settings, strategies as st

from dspex.adapters import ChatAdapter, JSONAdapter, TextAdapter, XMLAdapter
from dspex.errors import ParseError
from dspex.messages import Citation
from dspex.signatures import Signature
from dspex.signatures.fields import Field
from dspex.types import Audio, Citations, Code, Document, File, History, Image, Reasoning

ADAPTERS = (ChatAdapter(), JSONAdapter(), XMLAdapter())


class Team(enum.Enum):
    BILLING = "billing"
    NETWORK = "net work"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Line(pydantic.BaseModel):
    item: str
    amount: int = 1
    due: datetime.date | None = None


@dataclass(frozen=True)
class Point:
    x: int
    label: str | None


# Text that holds no marker of any of the forms, and no blanks at its ends, which two of them strip.
_WORDS = st.text(st.characters(codec="utf-8", exclude_characters="[<`")).map(str.strip)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_URLS = st.sampled_from(["https://example.org/a?b=c&d#e", "data:image/png;base64,eA=="])

TYPES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, _WORDS),
    (int, st.integers()),
    (float, _NUMBERS),
    (bool, st.booleans()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=3)),
    (Optional[int], st.none() | st.integers()),  # noqa: UP045 - both spellings are types
    (int | bool | list[str], st.integers() | st.lists(_WORDS)),
    (Literal["a", "b c", "D"], st.sampled_from(["a", "b c", "D"])),
    (Literal[1, 2, True], st.sampled_from([2])),
    (Team, st.sampled_from(Team)),
    (Level | None, st.sampled_from([*Level, None])),
    (list[str], st.lists(_WORDS)),
    (list[Team], st.lists(st.sampled_from(Team))),
    (set[int], st.sets(st.integers())),
    (frozenset[str], st.frozensets(_WORDS)),
    (tuple[int, str], st.tuples(st.integers(), _WORDS)),
    (tuple[int, ...], st.lists(st.integers()).map(tuple)),
    (dict[str, float], st.dictionaries(_WORDS, _NUMBERS)),
    (dict[str, list[int] | None], st.dictionaries(_WORDS, st.none() | st.lists(st.integers()))),
    (Line, st.builds(Line, item=_WORDS, amount=st.integers(), due=st.none() | st.dates())),
    (list[Line], st.lists(st.builds(Line, item=_WORDS, amount=st.integers()), max_size=3)),
    (Point, st.builds(Point, x=st.integers(), label=st.none() | _WORDS)),
    (datetime.date, st.dates()),
    (datetime.datetime, st.datetimes()),
    (datetime.time, st.times()),
    (datetime.timedelta, st.timedeltas(max_value=datetime.timedelta(9_999))),
    (uuid.UUID, st.uuids()),
    (Code[Any], st.builds(Code, st.text(st.sampled_from("`ab \n#(){}\"'")))),
    (Code[Literal["python"]], st.builds(Code, _WORDS, st.just("python"))),
    (list[Code[Any]], st.lists(st.builds(Code, _WORDS))),
    (Reasoning, st.builds(Reasoning, _WORDS)),
    (Image, st.builds(Image, _URLS, detail=st.none() | st.just("low"))),
    (list[Image], st.lists(st.builds(Image, _URLS))),
    (Audio, st.builds(Audio, st.just("data:audio/wav;base64,eA=="))),
    (File, st.builds(File, _URLS, name=st.none() | _WORDS.filter(bool))),
    (File | None, st.none() | st.builds(File, file_id=st.just("f-1"))),
    (Document, st.builds(Document, _WORDS, title=st.none() | _WORDS.filter(bool))),
    (Citations, st.builds(Citations, st.lists(st.builds(Citation, _WORDS)).map(tuple))),
    (History, st.builds(History, st.just(({"a": "b"},)))),
]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@pytest.mark.parametrize(("annotation", "values"), TYPES, ids=[str(pair[0]) for pair in TYPES])
@given(data=st.data())
@settings(max_examples=15)
def test_what_is_written_is_read_back(
    annotation: Any, values: st.SearchStrategy[Any], adapter: TextAdapter, data: st.DataObject
) -> None:
    """The value comes back equal and of its type, between two texts."""
    value, before, behind = data.draw(values), data.draw(_WORDS), data.draw(_WORDS)
    fields = (Field("a", "output"), Field("value", "output", annotation), Field("z", "output"))
    signature = Signature.from_fields((Field("q", "input"), *fields))
    written = {"a": before, "value": value, "z": behind}
    text = adapter.answer_text(fields, written)

    found = adapter.parse(signature, text)

    assert found == written
    assert type(found["value"]) is type(value)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@given(st.permutations([0, 1, 2, 3]))
def test_the_order_of_fields_changes_nothing(adapter: TextAdapter, order: list[int]) -> None:
    """The fields come in the signature's order, whatever the answer's."""
    signature = Signature("q -> a, b: int, c: list[str], d: bool")
    values = {"a": "x", "b": 3, "c": ["y"], "d": True}
    fields = tuple(signature.output_fields.values())
    text = adapter.answer_text([fields[index] for index in order], values)
    found = adapter.parse(signature, text)

    assert found == values
    assert list(found) == list(values)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@pytest.mark.parametrize("writer", ADAPTERS, ids=repr)
def test_the_form_of_another_adapter_is_read(adapter: TextAdapter, writer: TextAdapter) -> None:
    """Models trained on one form fall into it."""
    signature = Signature("q -> a, b: int, c: list[str]")
    values = {"a": "x", "b": 3, "c": ["y"]}
    text = writer.answer_text(tuple(signature.output_fields.values()), values)
    assert adapter.parse(signature, text) == values


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@given(st.text(max_size=300))
@settings(max_examples=50)
def test_any_text_is_fields_or_a_parse_error(adapter: TextAdapter, text: str) -> None:
    """With the whole text in it."""
    signature = Signature("q -> a: int, b: list[str]")
    shown = text
    fields: dict[str, Any] = {"a": None, "b": None}
    try:
        fields = adapter.parse(signature, text)
    except ParseError as exc:
        shown = exc.text

    assert shown == text
    assert fields.keys() == {"a", "b"}


def test_null_is_none_and_never_a_word() -> None:
    """Where None is allowed, however it is written."""
    signature = Signature("q -> a: str | None")
    for word in ("null", "None", "NULL", '"null"', ""):
        assert ChatAdapter().parse(signature, f"[[ ## a ## ]]\n{word}") == {"a": None}

    assert JSONAdapter().parse(signature, '{"a": null}') == {"a": None}
