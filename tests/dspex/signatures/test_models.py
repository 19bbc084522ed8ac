"""Signatures from pydantic models: what comes along, and what cannot."""

from __future__ import annotations

import pickle
from typing import Annotated, Any, Literal

import annotated_types
import pydantic
import pytest

from dspex.errors import InputError, SignatureError
from dspex.signatures import MISSING, Signature


class Ticket(pydantic.BaseModel):
    """What comes in."""

    text: str = pydantic.Field(description="what the customer wrote", min_length=2)
    age_days: int = pydantic.Field(3, ge=0, lt=365, examples=[1, 2])
    tags: list[str] = pydantic.Field(default_factory=list, max_length=3)


class Route(pydantic.BaseModel):
    team: Literal["billing", "network"]
    code: Annotated[str, pydantic.StringConstraints(pattern="^[A-Z]+$")] = "X"
    hours: Annotated[float, annotated_types.Interval(gt=0, le=72)] | None = None


class Urgent(Ticket):
    until: str


class Checked(pydantic.BaseModel):
    a: str
    b: str

    @pydantic.model_validator(mode="after")
    def _agree(self) -> Checked:
        return self


class Careful(pydantic.BaseModel):
    a: str

    @pydantic.field_validator("a")
    @classmethod
    def _check(cls, value: str) -> str:
        return value


SIGNATURE = Signature.from_model(Ticket, Route, "Route the ticket.")


def test_fields_come_in_order_with_their_types() -> None:
    """Inputs of the one, outputs of the other, those of their bases first."""
    assert str(SIGNATURE) == (
        "text, age_days: int, tags: list[str] -> "
        "team: Literal['billing', 'network'], code, hours: float | None"
    )
    assert list(Signature.from_model(Urgent, Route).input_fields) == [
        "text",
        "age_days",
        "tags",
        "until",
    ]
    assert SIGNATURE.instructions == "Route the ticket."


def test_all_that_is_said_of_them_comes_along() -> None:
    """Descriptions, limits, examples and defaults."""
    fields = SIGNATURE.fields

    assert fields["text"].desc == "what the customer wrote"
    assert fields["text"].constraints == {"min_length": 2}
    assert fields["age_days"].constraints == {"ge": 0, "lt": 365}
    assert (fields["age_days"].default, fields["age_days"].examples) == (3, (1, 2))
    assert fields["tags"].default_factory is list
    assert fields["team"].required
    assert fields["team"].default is MISSING
    assert fields["hours"].default is None
    assert SIGNATURE.input_schema()["properties"]["age_days"]["minimum"] == 0


def test_the_limits_are_enforced() -> None:
    """On inputs and on outputs, those inside a type included."""
    assert SIGNATURE.bind({"text": "ab"}) == {"text": "ab", "age_days": 3, "tags": []}
    with pytest.raises(InputError, match=r"age_days.*greater than or equal to 0"):
        SIGNATURE.bind({"text": "ab", "age_days": -1})
    with pytest.raises(ValueError, match="pattern"):
        SIGNATURE.fields["code"].validate("abc")
    with pytest.raises(ValueError, match="less than or equal to 72"):
        SIGNATURE.fields["hours"].validate(100)


def test_it_travels() -> None:
    """Like any other value."""
    assert pickle.loads(pickle.dumps(SIGNATURE)) == SIGNATURE
    assert Signature.from_model(Ticket, Route, "Route the ticket.") == SIGNATURE


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        (Ticket, Ticket, "'text' is input and output"),
        (Checked, Route, r"Checked has validators of its own \(_agree\)"),
        (Ticket, Careful, r"Careful has validators of its own \(_check\)"),
        (dict, Route, "not a pydantic model"),
        (Ticket, Route(team="billing"), "not a pydantic model"),
        (Ticket, pydantic.create_model("Empty"), "at least one"),
    ],
)
def test_what_cannot_be_a_signature(inputs: Any, outputs: Any, words: str) -> None:
    """Nothing a model says is dropped in silence."""
    with pytest.raises(SignatureError, match=words):
        Signature.from_model(inputs, outputs)


def test_a_model_with_validators_may_be_one_field() -> None:
    """As the message says."""
    signature = Signature("text -> value: Checked", types={"Checked": Checked})

    assert signature.fields["value"].validate({"a": "x", "b": "y"}) == Checked(a="x", b="y")
