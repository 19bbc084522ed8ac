"""Fields as JSON: what is written, what comes back, what cannot be saved."""

from __future__ import annotations

import datetime
import enum
from typing import Annotated, Any, Literal

import pydantic
import pytest

from dspex.errors import LoadError
from dspex.signatures.fields import Field
from dspex.signatures.state import fields_from_dict, fields_to_dict


class Colour(enum.Enum):
    RED = "red"


class Line(pydantic.BaseModel):
    item: str


def shout(value: str) -> str:
    return value.upper()


def _travel(*fields: Field) -> list[Field]:
    return fields_from_dict({"version": 1, "fields": fields_to_dict(fields)}, 1)


@pytest.mark.parametrize(
    "annotation",
    [
        str,
        list[str],
        dict[str, int | None],
        Literal["a", "b c", 3],
        Literal[Colour.RED],
        Colour | None,
        Line,
        list[Line],
        tuple[Line, ...],
        datetime.date,
        Any,
        int | str,
    ],
)
def test_types_come_back(annotation: Any) -> None:
    """By their text, and by import path where the text cannot say it."""
    field = Field("a", "output", annotation)

    assert _travel(field) == [field]


def test_options_come_back_as_their_types() -> None:
    """Defaults become values of the field's type again, functions are imported."""
    fields = [
        Field("a", "input", Line, default=Line(item="x"), desc="d"),
        Field("b", "input", list[int], default_factory=list, max_length=3),
        Field("c", "input", datetime.date, default=datetime.date(2026, 1, 2)),
        Field("d", "input", format=shout, examples=["x"]),
        Field("e", "input", int | None, default=None, ge=0),
    ]

    assert _travel(*fields) == fields


def test_a_type_is_written_readably() -> None:
    """The type reads as in the string syntax; classes stand beside it by import path."""
    (data,) = fields_to_dict([Field("a", "output", list[Line] | None)])

    assert data["type"] == "list[Line] | None"
    assert data["types"] == {"Line": f"{__name__}:Line"}


def test_what_cannot_be_imported_is_refused_by_name() -> None:
    """Local classes and lambdas: the message names field and culprit."""

    class Local(pydantic.BaseModel):
        x: int

    with pytest.raises(TypeError, match=r"field 'a'.*<locals>\.Local"):
        fields_to_dict([Field("a", "output", Local)])
    with pytest.raises(TypeError, match=r"field 'a', format.*<lambda>"):
        fields_to_dict([Field("a", "output", format=lambda value: "x")])
    with pytest.raises(TypeError, match=r"field 'a': what Annotated says"):
        fields_to_dict([Field("a", "output", list[Annotated[int, pydantic.Field(ge=0)]])])
    with pytest.raises(TypeError, match="field 'a', examples"):
        fields_to_dict([Field("a", "output", examples=[object()])])


def test_a_path_that_is_no_type_is_refused() -> None:
    """A file cannot pass off a function as a type."""
    row = {"name": "a", "role": "input", "type": "x", "types": {"x": "os:system"}}

    with pytest.raises(LoadError, match="not a type"):
        fields_from_dict({"version": 1, "fields": [row]}, 1)
