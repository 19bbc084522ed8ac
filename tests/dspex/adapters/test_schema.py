"""Strict schemas: what they say, leave unsaid, and cannot say."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import jsonschema  # type: ignore[import-untyped]  # it has no types
import pydantic
import pytest

from dspex.adapters.schema import strict_schema
from dspex.signatures.fields import Field
from dspex.types import Code, Image


class Team(enum.Enum):
    BILLING = "billing"
    NETWORK = "network"


class Line(pydantic.BaseModel):
    item: str = pydantic.Field(description="what", min_length=1)
    amount: int = 1


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    puppies: list[Dog] = []


Pet = Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]


def of(annotation: Any, **options: Any) -> dict[str, Any] | None:
    """Give the strict schema of one output."""
    return strict_schema([Field("a", "output", annotation, **options)])


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, "x"),
        (int, 3),
        (float, 1.5),
        (bool, True),
        (Decimal, "1.5"),
        (Literal["x", "y"], "x"),
        (Literal["x"], "x"),
        (Team, "billing"),
        (int | None, None),
        (list[str], ["x"]),
        (set[int], [1]),
        (datetime.date, "2026-01-02"),
        (Line, {"item": "x", "amount": 2}),
        (list[Line] | None, [{"item": "x", "amount": 2}]),
        (Pet, {"kind": "cat"}),
        (Dog, {"kind": "dog", "puppies": [{"kind": "dog", "puppies": []}]}),
        (Code, "x = 1"),
        (Image, "https://example.org/a.png"),
    ],
)
def test_what_can_be_said(annotation: Any, value: Any) -> None:
    """The schema takes the value, closes every object and requires each of its keys."""
    schema = of(annotation)

    assert schema is not None
    jsonschema.validate({"a": value}, schema)
    for part in objects(schema):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])

    assert not words(schema) & {"default", "title", "oneOf", "discriminator", "minLength"}


@pytest.mark.parametrize(
    "annotation",
    [dict[str, int], Any, object, tuple[int, str], list[Any], list[dict[str, int]], Callable, dict],
)
def test_what_cannot_be_said(annotation: Any) -> None:
    """Free keys, tuples, anything at all, and types without a schema."""
    assert of(annotation) is None


def test_nothing_to_say() -> None:
    """Without outputs in the text there is no schema."""
    assert strict_schema([]) is None


def test_limits_are_kept_where_they_are_known() -> None:
    """Others are checked when the answer is read."""
    schema = of(int, ge=0, lt=5) or {}
    assert schema["properties"]["a"] == {"type": "integer", "minimum": 0, "exclusiveMaximum": 5}
    assert (of(str, max_length=3) or {})["properties"]["a"] == {"type": "string"}
    assert (of(str, pattern="^a") or {})["properties"]["a"]["pattern"] == "^a"
    assert (of(list[int], max_length=3) or {})["properties"]["a"]["maxItems"] == 3
    assert (of(str, desc="what") or {})["properties"]["a"]["description"] == "what"


def test_a_schema_that_is_too_large() -> None:
    """Providers bound them."""
    fields: dict[str, Any] = {f"f{number}": (int, ...) for number in range(1_001)}
    assert of(pydantic.create_model("Wide", **fields)) is None


def objects(schema: Any) -> list[dict[str, Any]]:
    """Give every object schema in a schema."""
    if isinstance(schema, list):
        return [found for item in schema for found in objects(item)]

    if not isinstance(schema, dict):
        return []

    own = [schema] if schema.get("type") == "object" else []
    return own + [found for item in schema.values() for found in objects(item)]


def words(schema: Any) -> set[str]:
    """Give every key in a schema."""
    if isinstance(schema, list):
        return {word for item in schema for word in words(item)}

    if not isinstance(schema, dict):
        return set()

    return set(schema) | {word for item in schema.values() for word in words(item)}
