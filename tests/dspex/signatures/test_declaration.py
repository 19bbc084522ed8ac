"""The class syntax: what a class body declares, and how it forwards to its value."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Optional

import pydantic
import pytest

from dspex.errors import SignatureError
from dspex.recipe import build, decode_argument, encode_argument, recipe_of
from dspex.signatures.fields import InputField, OutputField
from dspex.signatures.meta import SignatureMeta
from dspex.signatures.signature import Signature, make_signature

if TYPE_CHECKING:
    from decimal import Decimal


class Invoice(pydantic.BaseModel):
    total: float


class Extract(Signature):
    """Read the invoice.

    Every line counts.
    """

    scale: ClassVar[int] = 3

    text: str = InputField(desc="the raw text")
    invoice: Invoice = OutputField()
    due: Optional["datetime.date"] = OutputField(desc="when to pay")  # noqa: UP037, UP045
    currency = OutputField()


class Detailed(Extract):
    language: Literal["en", "de"] = InputField(default="en")
    currency: Literal["EUR", "USD"] = OutputField()


def test_the_docstring_is_the_instructions() -> None:
    """Its indentation goes, its paragraphs stay."""
    assert Extract.instructions == "Read the invoice.\n\nEvery line counts."


def test_annotated_attributes_are_the_fields() -> None:
    """Order is kept; strings in annotations are resolved; no annotation means text."""
    assert str(Extract.declared) == ("text -> invoice: Invoice, due: date | None, currency")
    assert make_signature(Extract).fields["text"].desc == "the raw text"


def test_inheritance_adds_and_replaces_fields() -> None:
    """New fields come after those of the base, a field of the same name takes its place."""
    assert str(Detailed.declared) == (
        "text, language: Literal['en', 'de'] -> invoice: Invoice, due: date | None, "
        "currency: Literal['EUR', 'USD']"
    )
    assert Detailed.instructions == Extract.instructions


def test_a_subclass_may_say_something_else() -> None:
    """Its own docstring wins over that of the base."""

    class Strict(Extract):
        """Read it twice."""

    assert Strict.instructions == "Read it twice."
    assert Strict.fields.keys() == Extract.fields.keys()


def test_no_docstring_means_default_instructions() -> None:
    """The docstring of the library's own base class is not an instruction."""

    class Plain(Signature):
        a: str = InputField()
        b: str = OutputField()

    assert Plain.instructions == "Given the fields `a`, produce the fields `b`."


def test_a_declaration_forwards_to_its_value() -> None:
    """Everything a value offers, the class offers."""
    value = make_signature(Extract)

    assert Extract.fields == value.fields
    assert Extract.with_instructions("x") == value.with_instructions("x")
    assert Extract.append("more", OutputField()) == value.append("more", OutputField())
    assert Extract.output_schema() == value.output_schema()
    assert Extract.to_dict() == value.to_dict()


def test_a_declaration_travels_by_value() -> None:
    """A recipe holds what it declares, so that the class need not be importable."""

    class Local(Signature):
        a: str = InputField()
        b: str = OutputField()

    assert build(recipe_of(Local)) == Local.declared
    assert decode_argument(encode_argument([Local, Signature], "x")) == [Local.declared, Signature]


def test_the_base_class_keeps_its_plain_methods() -> None:
    """On `Signature` itself the attributes are functions and properties."""
    plain: Any = Signature.with_instructions
    assert plain(Signature("a -> b"), "x").instructions == "x"
    assert Signature.fields.__doc__ == "Return all fields by name, inputs first."


def test_a_field_may_have_the_name_of_a_method() -> None:
    """Fields are no attributes of the class, so nothing is hidden."""

    class Odd(Signature):
        """Do it."""

        fields: str = InputField()  # type: ignore[assignment]  # that is the test
        instructions: str = OutputField()

    assert list(Odd.fields) == ["fields", "instructions"]
    assert Odd.instructions == "Do it."


def test_a_declaration_is_not_instantiated_and_not_changed() -> None:
    """The error says what to use."""
    with pytest.raises(TypeError, match=r"Extract\.new"):
        Extract("a -> b")
    with pytest.raises(AttributeError, match="immutable"):
        setattr(Extract, "instructions", "x")  # noqa: B010 - checkers know better
    with pytest.raises(AttributeError, match="immutable"):
        setattr(Extract, "anything", "x")  # noqa: B010 - checkers know better


def test_repr_shows_the_shape() -> None:
    """Whoever prints the class sees what it declares."""
    assert "text -> invoice: Invoice" in repr(Extract)


def test_constraints_come_from_pydantic_metadata_as_well() -> None:
    """`Annotated` types keep their checks."""

    class Bounded(Signature):
        n: Annotated[int, pydantic.Field(ge=0)] = InputField()
        b: str = OutputField()

    with pytest.raises(Exception, match="greater than or equal to 0"):
        Bounded.bind({"n": -1})


class TestMistakes:
    def test_a_type_that_is_only_imported_for_checkers(self) -> None:
        """The message names field, name, module and the fix."""
        with pytest.raises(SignatureError) as caught:

            class Bad(Signature):
                a: str = InputField()
                b: Decimal = OutputField()

        for word in ("Bad", "'b'", "'Decimal'", __name__, "TYPE_CHECKING", "types="):
            assert word in str(caught.value)

    def test_a_local_type(self) -> None:
        """It cannot be found by name, unless it is handed in."""

        class Local(pydantic.BaseModel):
            x: int

        with pytest.raises(SignatureError, match="'Local'"):

            class Bad(Signature):
                a: str = InputField()
                b: list[Local] = OutputField()

        class Good(Signature, types={"Local": Local}):
            a: str = InputField()
            b: list[Local] = OutputField()

        assert make_signature(Good).fields["b"].annotation == list[Local]

    def test_neither_input_nor_output(self) -> None:
        """A bare annotation does not say which side it is on."""
        with pytest.raises(SignatureError, match=r"'b' is neither input nor output"):

            class Bad(Signature):
                a: str = InputField()
                b: str

    def test_a_side_is_empty(self) -> None:
        """The message names the class."""
        with pytest.raises(SignatureError, match=r"Bad.*at least one input and one output"):

            class Bad(Signature):
                a: str = InputField()

    def test_an_output_that_would_hide_something(self) -> None:
        """`prediction.usage` means something else."""
        with pytest.raises(SignatureError, match="usage"):

            class Bad(Signature):
                a: str = InputField()
                usage: str = OutputField()

    @pytest.mark.parametrize(
        ("annotation", "options", "words"),
        [
            (str, {"default": 3}, "default 3 is not a str"),
            (int, {"default": 20, "le": 10}, "default 20"),
            (int, {"pattern": "x"}, "means nothing for a int"),
            (str, {"ge": 3}, "means nothing"),
            (list[str] | None, {"multiple_of": 3}, "means nothing"),
            (Literal["a"], {"max_length": 3}, "means nothing"),
            (bool, {"ge": 0}, "means nothing"),
            (str, {"pattern": "("}, "cannot be validated"),
            (type("Odd", (), {}), {}, "cannot be validated"),
            ("1 +", {}, "is not a type"),
            ("list[", {}, "is not a type"),
        ],
    )
    def test_a_field_that_cannot_work(
        self, annotation: Any, options: dict[str, Any], words: str
    ) -> None:
        """Defaults outside their type, impossible constraints, and what is no type at all."""
        body: dict[str, Any] = {
            "__annotations__": {"a": annotation, "b": str},
            "__module__": __name__,
            "a": InputField(**options),
            "b": OutputField(),
        }
        with pytest.raises(SignatureError, match=words):
            SignatureMeta("Bad", (Signature,), body)
