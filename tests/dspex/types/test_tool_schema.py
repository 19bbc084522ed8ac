"""What a function takes, and what of a model's arguments it is given."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, Field

from dspex.errors import ToolError
from dspex.types.image import Image
from dspex.types.tool_schema import schema_of


class Unit(Enum):
    METRIC = "metric"
    IMPERIAL = "imperial"


class Place(BaseModel):
    city: str
    country: str = "DE"


@dataclass
class Span:
    begin: date
    end: date


def forecast(
    place: Place,
    span: Span,
    days: int = 1,
    *,
    unit: Unit = Unit.METRIC,
    tags: list[str] | None = None,
    mode: Literal["short", "long"] = "short",
    limit: Annotated[int, Field(ge=1, le=5)] = 3,
) -> str:
    """Forecast the weather.

    Args:
        place: where.
        days: how many.
    """
    raise NotImplementedError


def check(function: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    return schema_of(function, "tool").check("tool", arguments)


class TestSchema:
    def test_types_descriptions_and_defaults(self) -> None:
        """Each parameter is there, with its words; no title is made up."""
        schema = schema_of(forecast, "forecast")
        properties = schema.parameters["properties"]
        assert schema.description == "Forecast the weather."
        assert list(properties) == ["place", "span", "days", "unit", "tags", "mode", "limit"]
        assert schema.parameters["required"] == ["place", "span"]
        assert properties["days"] == {"default": 1, "description": "how many.", "type": "integer"}
        assert properties["mode"]["enum"] == ["short", "long"]
        assert "title" not in str(schema.parameters)

    def test_no_parameters(self) -> None:
        """A function that takes nothing has an empty object."""

        def now() -> str:
            raise NotImplementedError

        assert schema_of(now, "now").parameters["properties"] == {}

    def test_names_that_a_model_class_has(self) -> None:
        """Parameters may be called as pydantic's own attributes are, or `title`."""

        def odd(json: str, copy: int, title: str, model_fields: str, _hidden: str = "") -> None:
            raise NotImplementedError

        schema = schema_of(odd, "odd")
        assert set(schema.parameters["properties"]) == {
            "json",
            "copy",
            "title",
            "model_fields",
            "_hidden",
        }
        given_ = {"json": "a", "copy": 1, "title": "t", "model_fields": "m"}
        assert schema.check("odd", given_) == given_

    def test_a_callable_object_and_a_partial(self) -> None:
        """Their signatures are those of what is called."""

        class Search:
            def __call__(self, query: str) -> str:
                """Find it."""
                raise NotImplementedError

        assert schema_of(Search(), "search").description == "Find it."
        fixed = functools.partial(forecast, days=3)
        assert schema_of(fixed, "fixed").description == "Forecast the weather."


class TestDefinitionErrors:
    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ("def f(a): ...", "'a' has no annotation: write `a: str`"),
            ("def f(*a: int): ...", "`*a` has no schema"),
            ("def f(**a: int): ...", "`**a` has no schema"),
            ("def f(a: int, /): ...", "'a' cannot be given by name: drop the `/`"),
            ("def f(a: 'Missing'): ...", "name 'Missing' is not defined"),
            ("def f(a: object.__class__): ...", "cannot all be given as JSON"),
            ("import threading\ndef f(a: threading.Event): ...", "cannot all be given as JSON"),
        ],
    )
    def test_what_has_no_schema_is_refused(self, source: str, words: str) -> None:
        """The error names the parameter and what to do."""
        space: dict[str, Any] = {}
        exec(compile(source, "<f>", "exec", dont_inherit=True), space)
        with pytest.raises(ToolError) as caught:
            schema_of(space["f"], "f")

        assert words in str(caught.value)
        assert caught.value.reason == "definition"


class TestArguments:
    def test_are_converted(self) -> None:
        """Models, dataclasses, dates and enums are built; what is not given is left out."""
        made = check(
            forecast,
            place={"city": "Bonn"},
            span={"begin": "2026-01-01", "end": "2026-01-02"},
            days="2",
            unit="imperial",
        )
        assert made == {
            "place": Place(city="Bonn"),
            "span": Span(date(2026, 1, 1), date(2026, 1, 2)),
            "days": 2,
            "unit": Unit.IMPERIAL,
        }

    def test_json_in_a_text_is_unpacked(self) -> None:
        """Models write lists and objects as texts now and then."""

        def f(tags: list[str], place: Place) -> None:
            raise NotImplementedError

        assert check(f, tags='["a", "b"]', place='{"city": "Ulm"}') == {
            "tags": ["a", "b"],
            "place": Place(city="Ulm"),
        }

    def test_only_what_does_not_fit_is_unpacked(self) -> None:
        """A text beside it that looks like JSON stays one."""

        def f(text: str, rows: list[int]) -> None:
            """Do nothing."""

        assert check(f, text="[1]", rows="[2]") == {"text": "[1]", "rows": [2]}

    def test_a_text_that_is_json_stays_a_text(self) -> None:
        """A parameter that is a text is given the text."""

        def f(text: str) -> None:
            raise NotImplementedError

        assert check(f, text='{"a": 1}') == {"text": '{"a": 1}'}

    def test_our_own_types(self) -> None:
        """A parameter may be an image."""

        def f(image: Image) -> None:
            raise NotImplementedError

        assert isinstance(check(f, image="https://example.org/a.png")["image"], Image)

    def test_all_problems_come_at_once(self) -> None:
        """Missing, unknown and unfit arguments are named with their values."""
        with pytest.raises(ToolError) as caught:
            check(forecast, place={"city": 1.5, "x": []}, days="many", limit=9, extra=1)

        problem = caught.value.problem
        assert caught.value.reason == "arguments"
        for words in (
            "the argument `span` is missing",
            "the argument `days` does not fit",
            "got 'many'",
            "the argument `limit` does not fit",
            "there is no argument `extra`: it takes ['place',",
        ):
            assert words in problem

    @given(
        st.dictionaries(
            st.sampled_from(["number", "words", "flag", "other"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                max_leaves=5,
            ),
        )
    )
    def test_any_arguments_fit_or_are_refused(self, arguments: dict[str, Any]) -> None:
        """What comes through has the annotated types; anything else is a ToolError."""

        def f(number: int, words: list[str] | None = None, flag: bool = False) -> None:
            raise NotImplementedError

        try:
            made = check(f, **arguments)
        except ToolError:
            return

        assert made.keys() == arguments.keys()
        assert isinstance(made["number"], int)
        assert all(isinstance(word, str) for word in made.get("words") or ())
        assert isinstance(made.get("flag", False), bool)
