"""Values made for schemas: an independent validator is the judge."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.sandbox.filling import Filling
from tests.dspex.sandbox.schemas import check_json

NODE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name", "next"],
        }
    },
}


def sized(low: str, high: str, most: int) -> st.SearchStrategy[dict[str, Any]]:
    """Return schemas' bounds of a size, in the right order."""
    pairs = st.tuples(st.integers(0, most), st.integers(0, most)).map(sorted)
    return st.just({}) | pairs.map(lambda pair: {low: pair[0], high: pair[1]})


LEAVES = (
    sized("minLength", "maxLength", 6).map(lambda bounds: {"type": "string", **bounds})
    | sized("minimum", "maximum", 9).map(lambda bounds: {"type": "integer", **bounds})
    | sized("minimum", "maximum", 9).map(lambda bounds: {"type": "number", **bounds})
    | st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {"const": 5},
            {"enum": ["a", 2, None]},
            {"type": ["integer", "null"]},
            {"type": "integer", "exclusiveMinimum": 3, "multipleOf": 4},
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            {},
        ]
    )
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(inner, sized("minItems", "maxItems", 3)).map(
            lambda pair: {"type": "array", "items": pair[0], **pair[1]}
        )
        | st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
        | st.tuples(
            st.dictionaries(st.sampled_from("abc"), inner), st.booleans(), st.booleans()
        ).map(
            lambda made: {
                "type": "object",
                "properties": made[0],
                "required": sorted(made[0]) if made[1] else [],
                "additionalProperties": made[2],
            }
        )
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner),
    max_leaves=6,
)


@given(SCHEMAS, st.text(max_size=9))
def test_made_up_value_is_valid(schema: dict[str, Any], text: str) -> None:
    """With nothing to start from, the value is one that the schema accepts."""
    check_json(Filling(schema, text).value(), schema)


@given(SCHEMAS, VALUES)
def test_any_value_is_made_valid(schema: dict[str, Any], found: object) -> None:
    """Whatever is found, what comes out is accepted."""
    check_json(Filling(schema, "t").value(found), schema)


@given(SCHEMAS)
def test_valid_value_stays(schema: dict[str, Any]) -> None:
    """A value that a schema accepts comes out as it went in."""
    made = Filling(schema, "t").value()
    assert Filling(schema, "other").value(made) == made


def test_recursive_schema_ends() -> None:
    """A schema that refers to itself is filled to a depth that ends."""
    check_json(Filling(NODE, "n").value(), NODE)


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"type": "string", "default": "d"}, "d"),
        ({"type": "string"}, "text"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": "2"}, [0, 0]),
        ({"enum": ["a", "b"], "default": "b"}, "b"),
        ({"allOf": [{"type": "object", "properties": {"a": {"const": 1}}}]}, {"a": 1}),
        ({"$ref": "#/nowhere"}, "text"),
        ({"properties": {"a": {"type": "boolean"}}}, {"a": False}),
    ],
)
def test_defaults_and_zeros(schema: dict[str, Any], made: object) -> None:
    """Defaults come before zero values, strings take the text, and OpenAPI's spelling is read."""
    assert Filling(schema, "text").value() == made
