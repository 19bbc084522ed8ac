"""What prompts say about outputs, in the usual ways of saying it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.sandbox.fields import OutputField, read_field, read_schema


class TestReadField:
    @pytest.mark.parametrize(
        ("text", "allowed"),
        [
            ("1. `x` (str): must be one of: a; b c; d", ("a", "b c", "d")),
            ("1. `x`: one of `a`, `b`, `c`.", ("a", "b", "c")),
            ("`x` (one of: a; b), `y` (one of: c; d)", ("a", "b")),
            ("`x`: must exactly match one of: a; b. for example a", ("a", "b")),
            ("`x` (a valid Literal['a', \"b]\", 3, True])", ("a", "b]", 3, True)),
            ("`x` (Literal['a', 'b'] | None)", ("a", "b")),
            ("[[ ## x ## ]]\n{x}        # one of: a; b", ("a", "b")),
            ('{"x": {"type": "string", "enum": ["a", "b"]}}', ("a", "b")),
            ("`x` (bool)", (True, False)),
            ("`x` must be `true` or `false`", (True, False)),
            ("`x` must be True or False", (True, False)),
            ("`x`: free text, one of a kind", ()),
            ("`x` (Literal[broken", ()),
            ("`y` one of: a; b", ()),
            ("nothing at all", ()),
        ],
    )
    def test_allowed_values(self, text: str, allowed: tuple[object, ...]) -> None:
        """Lists of values are found in the usual ways of writing them."""
        assert read_field("x", [text], ["x", "y"]).allowed == allowed

    @pytest.mark.parametrize(
        ("text", "empty"),
        [
            ("`x` (int): must be a whole number", "0"),
            ("`x` (float): must be a number", "0.0"),
            ("`x` (list[Literal['a', 'b']])", "[]"),
            ("`x` (dict[str, int])", "{}"),
            ('`x` (Thing): JSON of this schema: {"type": "object", "properties": {}}', "{}"),
            ('`x`: JSON of this schema: {"type": "array", "items": {"enum": [1]}}', "[]"),
            ("`x` (str)", None),
            ("`x`: JSON of this schema: {broken}", None),
        ],
    )
    def test_value_of_a_type(self, text: str, empty: str | None) -> None:
        """Where no list of values is given, the type says what an empty value is."""
        assert read_field("x", [text]) == OutputField("x", (), empty)

    def test_first_text_that_knows_decides(self) -> None:
        """The reminder is asked only where the instructions are silent."""
        assert read_field("x", ["`x` (str)", "`x` one of: a; b"]).allowed == ("a", "b")

    @pytest.mark.parametrize(
        "text",
        ["`x` (Literal[b'a', 'b'])", "`x` (Literal[[1], 'b'])", '"x": {"enum": [{}, "b"]}'],
    )
    def test_members_that_no_output_can_hold_are_left_out(self, text: str) -> None:
        """Only texts, numbers, booleans and null are values."""
        assert read_field("x", [text]).allowed == ("b",)

    def test_any_name_is_looked_for_as_it_is(self) -> None:
        """A name may hold characters that mean something in a pattern."""
        assert read_field("a(b", ["`a(b` one of: c; d"]).allowed == ("c", "d")

    def test_very_deep_literal_is_given_up(self) -> None:
        """What Python itself cannot read is no list of values."""
        assert read_field("x", [f"`x` (Literal[{'(' * 3000}])"]).allowed == ()


class TestReadSchema:
    def test_members(self) -> None:
        """Values come from enums, also behind a reference; empty values from types."""
        schema = {
            "properties": {
                "a": {"$ref": "#/$defs/A"},
                "b": {"type": "boolean"},
                "c": {"type": "integer"},
                "d": {"type": "string"},
            },
            "$defs": {"A": {"enum": ["x", 1, None]}},
        }
        assert read_schema(schema) == (
            OutputField("a", ("x", 1, None), None),
            OutputField("b", (True, False), None),
            OutputField("c", (), "0"),
            OutputField("d", (), None),
        )

    @pytest.mark.parametrize("schema", [{}, {"properties": None}, {"properties": []}])
    def test_no_members(self, schema: dict[str, Any]) -> None:
        """A schema without properties names no member."""
        assert read_schema(schema) == ()

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=4),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["properties", "$ref", "$defs", "enum", "type", "a"]), inner
                )
            ),
            max_leaves=20,
        )
    )
    def test_any_schema_is_read(self, value: Any) -> None:
        """No shape of a schema makes the reader fail."""
        read_schema({"properties": value, "$defs": value})
        read_schema({"properties": {"a": value, "b": {"$ref": "#/$defs/a"}}, "$defs": value})
