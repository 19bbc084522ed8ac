"""What a field can hold beyond Python types: the base of values that know how prompts show them.

A subclass says how its value stands in a prompt (`render`), how a model's text becomes a value
(`parse`) and what a model is told to write (`describe`). Adapters, signatures, saved programs and
JSON schemas take it from there.
"""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeGuard, get_args, get_origin

from pydantic_core import core_schema, from_json

if TYPE_CHECKING:
    from dspex.messages import Choice, Compat, Content, Sampling, ToolSpec

__all__ = ("FieldType", "field_type_of")


class FieldType(ABC):
    """A value that knows how it looks in a prompt; subclasses are frozen dataclasses.

        @dataclass(frozen=True, slots=True)
        class Money(FieldType):
            amount: int
            currency: str

            def render(self) -> str:
                return f"{self.amount} {self.currency}"

            @classmethod
            def parse(cls, text: str) -> Self:
                amount, currency = text.split()
                return cls(int(amount), currency)

            @classmethod
            def describe(cls) -> str:
                return "an amount and a currency, such as `5 EUR`"

    A type with parameters, as `Code["python"]`, is no dataclass (pydantic reads those its own way);
    `parse`, `describe` and `json_schema` are handed them as further arguments.
    """

    __slots__ = ()

    @abstractmethod
    def render(self) -> Content:
        """Return the value as a prompt shows it: text, or parts of a message."""

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Return the value that a model's text stands for; by default a JSON object of its fields.

        `parse(value.as_text())` gives an equal value.

        Raises:
            ValueError: it stands for none; the message can be shown to a model.
        """
        try:
            data = from_json(text)
        except ValueError:
            data = None

        if isinstance(data, Mapping):
            return cls.from_json(data, *parameters)

        raise ValueError(f"{_shown(text)} is not {cls.describe(*parameters)}")

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what a model must write, in words that follow "must be"."""
        return f"a {cls.__name__}"

    @classmethod
    def json_schema(cls, *parameters: Any) -> dict[str, Any]:
        """Return the JSON schema of `to_json`; by default that of a text."""
        return {"type": "string"}

    def to_json(self) -> Any:
        """Return the value as plain JSON data: its text, or an object of its fields."""
        content = self.render()
        return content if isinstance(content, str) else _fields_of(self)

    @classmethod
    def from_json(cls, data: Any, *parameters: Any) -> Self:
        """Return the value that `to_json` wrote.

        Raises:
            ValueError: `data` is something else.
        """
        if isinstance(data, str):
            return cls.parse(data, *parameters)

        if not _is_table(data):
            raise ValueError(f"{_shown(data)} is not {cls.describe(*parameters)}")

        try:
            return cls(**data)
        except TypeError as exc:
            raise ValueError(f"{_shown(dict(data))} is not a {cls.__name__}: {exc}") from exc

    def as_text(self) -> str:
        """Return what a model would write for it: what `parse` reads."""
        plain = self.to_json()
        return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)

    async def load(self) -> Self:
        """Return the value with all it needs in memory; by default itself.

        The only place where a value may do I/O. Programs load their inputs before they render them.
        """
        return self

    @classmethod
    def travels_natively(cls, capabilities: Compat, sampling: Sampling) -> bool:
        """Tell whether such a field leaves the text for a place of its own in request or answer.

        A native input is given by `tool_specs`, a native output is read by `from_choice`; the
        prompt speaks of neither.
        """
        return False

    @classmethod
    def from_choice(cls, choice: Choice) -> Self | None:
        """Return the value an answer holds beside its text; None if it holds none."""
        return None

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """Return the tools that a native input adds to the request."""
        return ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        parameters = _parameters(source)

        def check(value: Any) -> Any:
            return value if isinstance(value, cls) else cls.from_json(value, *parameters)

        return core_schema.no_info_plain_validator_function(
            check,
            serialization=core_schema.plain_serializer_function_ser_schema(_to_json),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return cls.json_schema()


def field_type_of(annotation: Any) -> tuple[type[FieldType], tuple[Any, ...]] | None:
    """Return the field type that an annotation names, with its parameters; None for any other.

    `X | None` names X.
    """
    others = [member for member in get_args(annotation) if member is not NoneType]
    if get_origin(annotation) is not None and len(others) == 1 < len(get_args(annotation)):
        return field_type_of(others[0])

    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, FieldType):
        return origin, _parameters(annotation)

    return None


def _parameters(source: Any) -> tuple[Any, ...]:
    return tuple(
        value
        for argument in get_args(source)
        for value in (get_args(argument) if get_origin(argument) is Literal else (argument,))
    )


def _to_json(value: Any) -> Any:
    return value.to_json() if isinstance(value, FieldType) else value


def _fields_of(value: Any) -> dict[str, Any]:
    if not dataclasses.is_dataclass(value):
        raise TypeError(
            f"{type(value).__name__} is no dataclass: give it `to_json` and `from_json`"
        )

    return {
        item.name: held
        for item in dataclasses.fields(value)
        if item.init and (held := getattr(value, item.name)) != item.default
    }


def _is_table(data: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(data, Mapping)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
