"""The base of our own types: what a subclass gets for three methods."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any, Literal, Self

import pydantic
import pytest

from dspex.adapters import ChatAdapter, JSONAdapter, TextAdapter, XMLAdapter
from dspex.errors import ParseError
from dspex.messages import Choice, Compat, Content, ImagePart, Sampling
from dspex.signatures import Example, Signature
from dspex.types import Code, FieldType, History, Image, Reasoning, field_type_of


@dataclass(frozen=True, slots=True)
class Money(FieldType):
    amount: int
    currency: str = "EUR"

    def render(self) -> str:
        return f"{self.amount} {self.currency}"

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        amount, _, currency = text.partition(" ")
        return cls(int(amount), currency or "EUR")

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        return "an amount and a currency, such as `5 EUR`"


@dataclass(frozen=True, slots=True)
class Point(FieldType):
    x: int
    y: int = 0

    def render(self) -> Content:
        return (ImagePart(f"https://example.org/{self.x}/{self.y}.png"),)


SIGNATURE = Signature("bill: Money -> total: Money, parts: list[Money]", types={"Money": Money})


class TestACustomType:
    @pytest.mark.parametrize("adapter", [ChatAdapter(), JSONAdapter(), XMLAdapter()], ids=repr)
    def test_it_goes_through_every_adapter(self, adapter: TextAdapter) -> None:
        """Rendered by itself, told to the model in its words, read back equal."""
        messages = adapter.format(SIGNATURE, [], {"bill": Money(3)})
        values = {"total": Money(5, "USD"), "parts": [Money(1), Money(2)]}
        text = adapter.answer_text(tuple(SIGNATURE.output_fields.values()), values)

        assert "an amount and a currency, such as `5 EUR`" in messages[0].text
        assert "3 EUR" in messages[-1].text
        assert adapter.parse(SIGNATURE, text) == values

    def test_what_is_none_is_an_error_that_names_the_field(self) -> None:
        """The parser's own words reach the model."""
        with pytest.raises(ParseError, match="`total` does not fit"):
            ChatAdapter().parse(SIGNATURE, "[[ ## total ## ]]\nmuch\n[[ ## parts ## ]]\n[]")

    def test_inputs_may_be_given_in_their_json_form(self) -> None:
        """As a text that is parsed, or as an object of the fields."""
        assert SIGNATURE.bind({"bill": "7 USD"}) == {"bill": Money(7, "USD")}
        assert SIGNATURE.bind({"bill": {"amount": 7}}) == {"bill": Money(7)}

    def test_a_demonstration_survives_json(self) -> None:
        """Saved values are plain data and become values again where they are shown."""
        demo = Example(bill=Money(1), total=Money(2), parts=[Money(2)])
        again = Example.from_dict(demo.to_dict())
        shown = [
            ChatAdapter().format(SIGNATURE, [each], {"bill": Money(3)}) for each in (demo, again)
        ]

        assert again["bill"] == "1 EUR"
        assert shown[0] == shown[1]

    def test_the_signature_survives_json(self) -> None:
        """The type is saved by its import path."""
        assert Signature.from_dict(SIGNATURE.to_dict()) == SIGNATURE
        assert pickle.loads(pickle.dumps(SIGNATURE)) == SIGNATURE


class TestDefaults:
    def test_a_type_of_parts_is_an_object_in_json(self) -> None:
        """Its fields without what holds its default; read back from it and from its text."""
        point = Point(1)

        assert point.to_json() == {"x": 1}
        assert Point.from_json({"x": 1}) == point
        assert Point.parse(point.as_text()) == point

    @pytest.mark.parametrize("data", [{"z": 1}, {}, 3, [1], "here", "[1]", None])
    def test_anything_else_is_a_value_error(self, data: Any) -> None:
        """The message names the type and shows the value."""
        with pytest.raises(ValueError, match="Point"):
            Point.from_json(data)

    def test_it_stays_in_the_text(self) -> None:
        """Nothing travels beside it unless the type says so."""
        assert not Point.travels_natively(Compat(), Sampling())
        assert Point.from_choice(Choice("x")) is None
        assert Point(1).tool_specs() == ()

    async def test_it_needs_no_loading(self) -> None:
        """It is in memory already."""
        point = Point(1)
        assert await point.load() is point

    def test_a_plain_class_must_say_how_it_is_saved(self) -> None:
        """There are no fields to take."""

        class Odd(FieldType):
            def render(self) -> Content:
                return ()

        with pytest.raises(TypeError, match="Odd is no dataclass"):
            Odd().to_json()


class TestPydantic:
    def test_it_may_stand_anywhere_in_a_type(self) -> None:
        """In a model, a list, a union; and is written as its JSON form."""

        class Bill(pydantic.BaseModel):
            total: Money
            parts: list[Money] = []
            tip: Money | None = None

        bill = Bill.model_validate({"total": "3 EUR", "parts": [{"amount": 1}, Money(2)]})

        assert bill.parts == [Money(1), Money(2)]
        assert bill.model_dump() == {"total": "3 EUR", "parts": ["1 EUR", "2 EUR"], "tip": None}
        assert Bill.model_json_schema()["properties"]["total"]["type"] == "string"

    def test_errors_are_validation_errors(self) -> None:
        """The field's place is in them."""
        with pytest.raises(pydantic.ValidationError, match="amount and a currency"):
            pydantic.TypeAdapter(list[Money]).validate_python([3])


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Image, (Image, ())),
        (Image | None, (Image, ())),
        (Code, (Code, ())),
        (Code[Literal["python"]], (Code, ("python",))),
        (Code[Literal["sql"]] | None, (Code, ("sql",))),
        (list[Image], None),
        (Image | str, None),
        (str, None),
        (None, None),
        (Any, None),
        (History, (History, ())),
        (Reasoning, (Reasoning, ())),
    ],
)
def test_the_type_an_annotation_names(annotation: Any, expected: Any) -> None:
    """A union with None names its other member; lists and other unions name none."""
    assert field_type_of(annotation) == expected
