"""What a model is told about a field, and values as text."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import pydantic
import pytest

from dspex.adapters.rendering import describe_field, render_field, render_value, requirement
from dspex.signatures.fields import Field


class Team(enum.Enum):
    BILLING = "billing"
    NETWORK = "network"


class Line(pydantic.BaseModel):
    item: str


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it\nis", "as it\nis"),
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (1.5, "1.5"),
        (Team.BILLING, "billing"),
        (["a", 1, None], '["a", 1, null]'),
        ({"ä": Team.NETWORK}, '{"ä": "network"}'),
        (Line(item="x"), '{"item": "x"}'),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ([Decimal("1.50")], '["1.50"]'),
    ],
)
def test_values_as_text(value: Any, text: str) -> None:
    """Strings are bare, the rest is JSON that people can read."""
    assert render_value(value) == text


def test_a_field_may_have_a_format_of_its_own() -> None:
    """A function writes the value; a text only tells the model."""
    assert render_field(Field("a", "input", format=str.upper), "x") == "X"
    assert render_field(Field("a", "input", format="ISO 4217"), "x") == "x"
    assert requirement(Field("a", "output", format="ISO 4217")) == "form: ISO 4217"


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (str, ""),
        (int, "must be a whole number"),
        (float, "must be a number"),
        (bool, "must be `true` or `false`"),
        (Literal["a", "b"], "must exactly match one of: a; b"),
        (Team, "must exactly match one of: billing; network"),
        (Team | None, "must exactly match one of: billing; network; null"),
        (str | None, "must be text or `null`"),
        (int | str, "must be a whole number or text"),
        (Literal["a"] | int, "must be one of (a) or a whole number"),
        (datetime.date, "must be a date in ISO form"),
        (list[int], 'must be JSON of this schema: {"items": {"type": "integer"}, "type": "array"}'),
        (datetime.timedelta, "must be a duration in ISO form"),
        (uuid.UUID, "must be a uuid"),
        (complex, "must be a complex"),
        (Callable, "must be a Callable"),
    ],
)
def test_what_an_output_must_be(annotation: Any, text: str) -> None:
    """Each type in words; text needs none."""
    assert requirement(Field("a", "output", annotation)).startswith(text)


def test_a_model_class_is_shown_by_its_schema() -> None:
    """Its fields are named."""
    assert '"item"' in requirement(Field("a", "output", Line))


def test_constraints_are_said() -> None:
    """In words, for outputs with the form and for inputs alone."""
    assert requirement(Field("n", "output", int, ge=1, le=5)) == (
        "must be a whole number; at least 1, at most 5"
    )
    assert describe_field(Field("n", "input", int, ge=1)) == "`n` (int): at least 1"


def test_a_field_on_one_line() -> None:
    """Name, type, description, requirement and examples."""
    field = Field("team", "output", Literal["a", "b"], desc="who owns it", examples=["a", "b"])

    assert describe_field(field) == (
        "`team` (Literal['a', 'b']): who owns it. must exactly match one of: a; b. for example a; b"
    )
    assert describe_field(Field("x", "input")) == "`x` (str)"
