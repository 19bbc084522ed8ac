"""One field: options, defaults, the check of a value, travel by pickle."""

from __future__ import annotations

import pickle
from typing import Any

import pydantic
import pytest

from dspex.errors import SignatureError
from dspex.signatures.fields import MISSING, Field, InputField, OutputField


class Line(pydantic.BaseModel):
    item: str
    amount: int


def test_a_default_makes_a_field_optional() -> None:
    """A value or a factory fills in; required=False without either means None."""
    assert Field("a", "input").required
    assert not Field("a", "input", default=1).required
    assert Field("a", "input", default=None).default_value() is None
    assert Field("a", "input", default_factory=list).default_value() == []
    assert Field("a", "input", required=False).default_value() is None


def test_declared_fields_wait_for_their_name() -> None:
    """InputField and OutputField know their side and options."""
    given, asked = InputField(desc="x", ge=1), OutputField(examples=["a"])

    assert (given.role, given.desc, given.constraints) == ("input", "x", {"ge": 1})
    assert (asked.role, asked.examples) == ("output", ("a",))
    with pytest.raises(TypeError, match="colour"):
        InputField(colour="red")  # type: ignore[call-arg]  # that is the test


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Field("n", "output", int, ge=1, le=5), 5),
        (Field("n", "output", float, multiple_of=0.5), 1.5),
        (Field("n", "output", int | None, gt=3), None),
        (Field("s", "output", str, min_length=1, max_length=2, pattern="^a"), "ab"),
        (Field("s", "output", list[int], max_length=2), [1, 2]),
        (Field("s", "output", Line), Line(item="x", amount=1)),
    ],
)
def test_a_fitting_value_passes(field: Field, value: Any) -> None:
    """It comes back as it is."""
    assert field.validate(value) == value


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (Field("n", "output", int, ge=1), 0, "greater than or equal to 1"),
        (Field("n", "output", int | None, gt=3), 3, "greater than 3"),
        (Field("n", "output", int), "3.7", "valid integer"),
        (Field("s", "output", str, pattern="^a"), "b", "pattern"),
        (Field("s", "output", list[int], max_length=2), [1, 2, 3], "at most 2"),
        (Field("s", "output", list[int]), [1, "x"], "1: Input should be a valid integer"),
        (Field("s", "output", list[int]), ["x"] * 9, "and 4 more"),
        (Field("s", "output", Line), {"item": "x"}, "amount: Field required"),
    ],
)
def test_an_unfit_value_is_a_value_error(field: Field, value: Any, words: str) -> None:
    """The text says what is wrong and where in the value, without pydantic's trimmings."""
    with pytest.raises(ValueError, match=words) as caught:
        field.validate(value)

    assert type(caught.value) is ValueError
    assert "pydantic" not in str(caught.value)


def test_options_are_what_was_given() -> None:
    """Defaults are left out, and what a default implies."""
    assert Field("a", "input").options() == {}
    assert Field("a", "input", default=1, ge=0).options() == {"default": 1, "ge": 0}
    assert Field("a", "input", required=False).options() == {"required": False}


def test_equality_covers_options_and_the_written_type() -> None:
    """Two unions in another order are one type to Python and two to a reader."""
    assert Field("a", "input", int | str) != Field("a", "input", str | int)
    assert Field("a", "input", desc="x") != Field("a", "input")
    assert Field("a", "input", default=[1]) == Field("a", "input", default=[1])
    assert hash(Field("a", "input", default=[1])) == hash(Field("a", "input", default=[1]))


def test_a_field_travels_by_pickle() -> None:
    """What pydantic built stays behind, `MISSING` stays itself."""
    field = Field("a", "output", list[Line], desc="x", max_length=3)
    field.adapter()
    copy = pickle.loads(pickle.dumps(field))

    assert copy == field
    assert copy.default is MISSING
    assert repr(MISSING) == "MISSING"


def test_repr_shows_what_was_given() -> None:
    """And nothing that was not."""
    assert repr(Field("a", "input", int | None, ge=3)) == "Field('a', 'input', int | None, ge=3)"


def test_two_defaults_are_refused() -> None:
    """A value and a factory contradict each other."""
    with pytest.raises(SignatureError, match="not both"):
        Field("a", "input", default=[], default_factory=list)


def test_an_unfinished_type_is_refused() -> None:
    """A model that refers to a type nobody has defined cannot be validated."""

    class Unfinished(pydantic.BaseModel):
        part: Nowhere  # type: ignore[name-defined]  # noqa: F821 - that is the test

    field = Field("a", "output", Unfinished)
    with pytest.raises(SignatureError, match="not defined"):
        field.checked()
