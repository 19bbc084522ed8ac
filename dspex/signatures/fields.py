"""One field of a signature: its name, type, description and constraints, and the check of a value.

The constraints are rendered in prompts and enforced by pydantic, both when inputs come in and when
a model's answer is read.
"""

from __future__ import annotations

import keyword
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    TypedDict,
    Unpack,
    cast,
)

import pydantic
from pydantic import TypeAdapter, ValidationError

from dspex.errors import SignatureError
from dspex.signatures.annotations import type_name
from dspex.signatures.constraints import CONSTRAINTS, unfit_constraint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = (
    "MISSING",
    "Field",
    "FieldOptions",
    "InputField",
    "Missing",
    "OutputField",
    "describe_error",
)


class Missing:
    """The type of `MISSING`: no default was given, which is not the same as None."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class FieldOptions(TypedDict, total=False):
    """What may be said about a field besides its name, role and type; see `Field`."""

    desc: str
    default: Any
    default_factory: Callable[[], Any] | None
    required: bool
    format: str | Callable[[Any], str] | None
    gt: Any
    ge: Any
    lt: Any
    le: Any
    multiple_of: Any
    min_length: int | None
    max_length: int | None
    pattern: str | None
    examples: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One named value that a signature takes or gives.

    Args:
        name: a Python identifier without a leading underscore.
        role: whether the model reads it or writes it.
        annotation: the type; values are checked against it.
        desc: what it holds, for the model.
        default: its value when it is left out.
        default_factory: makes that value.
        required: False without a default makes the default None.
        format: how a value is written in prompts: a function from value to text; or a text that
            tells the model what form the value has.
        examples: values shown to the model.
    """

    name: str
    role: Literal["input", "output"]
    annotation: Any = str
    _: KW_ONLY
    desc: str = ""
    default: Any = MISSING
    default_factory: Callable[[], Any] | None = None
    required: bool = True
    format: str | Callable[[Any], str] | None = None
    gt: Any = None
    ge: Any = None
    lt: Any = None
    le: Any = None
    multiple_of: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    examples: Sequence[Any] = ()
    # Types compare equal whatever the order of their members, and here the order has a meaning.
    type_name: str = field(init=False, repr=False, default="")
    _adapter: Any = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        set_once = object.__setattr__
        set_once(self, "type_name", type_name(self.annotation))
        set_once(self, "examples", tuple(self.examples))
        if self.default is not MISSING or self.default_factory is not None:
            set_once(self, "required", False)

        if self.default is not MISSING and self.default_factory is not None:
            raise SignatureError(f"field {self.name!r}: give default or default_factory, not both")

    def __hash__(self) -> int:
        return hash((self.name, self.role, self.type_name, self.desc))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.options(), self.name, self.role, self.annotation)

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options().items())
        return f"Field({self.name!r}, {self.role!r}, {self.type_name}{options})"

    @property
    def constraints(self) -> dict[str, Any]:
        """The constraints that are set, by name."""
        return {name: value for name in CONSTRAINTS if (value := getattr(self, name)) is not None}

    def options(self) -> dict[str, Any]:
        """Return what was given besides name, role and type, without what holds its default."""
        return {
            item.name: value
            for item in fields(self)
            if item.kw_only and item.init
            if (value := getattr(self, item.name)) != item.default
            if not (item.name == "required" and self._has_default())
        }

    def default_value(self) -> Any:
        """Return the value of a field that was left out."""
        if self.default_factory is not None:
            return self.default_factory()

        return None if self.default is MISSING else self.default

    def adapter(self) -> TypeAdapter[Any]:
        """Return pydantic's view of type and constraints; built on first use and kept."""
        if self._adapter is None:
            object.__setattr__(self, "_adapter", _build_adapter(self))

        return cast("TypeAdapter[Any]", self._adapter)

    def validate(self, value: Any) -> Any:
        """Return `value` as the field's type.

        Raises:
            ValueError: it does not fit; the text says why and names no field.
        """
        adapter = self._adapter or self.adapter()
        try:
            return adapter.validator.validate_python(value)
        except ValidationError as exc:
            raise ValueError(describe_error(exc)) from exc
        except TypeError as exc:
            raise ValueError(str(exc)) from exc

    def checked(self) -> Field:
        """Return the field itself once it is known to be usable.

        Raises:
            SignatureError: name, type, constraints or default cannot work.
        """
        _check_name(self.name)
        _check_options(self)
        self.adapter()
        if self.default is not MISSING and self.default is not None:
            try:
                self.validate(self.default)
            except ValueError as exc:
                raise SignatureError(
                    f"field {self.name!r}: the default {self.default!r} is not a "
                    f"{self.type_name}: {exc}"
                ) from exc

        return self

    def _has_default(self) -> bool:
        return self.default is not MISSING or self.default_factory is not None


def InputField(**options: Unpack[FieldOptions]) -> Any:  # noqa: N802 - reads as a type
    """Declare what a signature takes; the options are those of `Field`."""
    return Field("", "input", **options)


def OutputField(**options: Unpack[FieldOptions]) -> Any:  # noqa: N802 - reads as a type
    """Declare what a signature gives; the options are those of `Field`.

    It is typed as anything, so that a class body may annotate it as what predictions will hold.
    """
    return Field("", "output", **options)


def describe_error(exc: ValidationError) -> str:
    """Return pydantic's complaints on one line, at most five of them."""
    problems = [
        ".".join(str(part) for part in error["loc"])
        + (": " if error["loc"] else "")
        + error["msg"].removeprefix("Value error, ")
        for error in exc.errors(include_url=False, include_context=False, include_input=False)
    ]
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    return "; ".join(problems[:5]) + more


def _restore(options: dict[str, Any], *place: Any) -> Field:
    return Field(*place, **options)


def _check_name(name: str) -> None:
    if not name.isidentifier():
        raise SignatureError(f"field name {name!r} is not a Python identifier")

    if keyword.iskeyword(name):
        raise SignatureError(f"field name {name!r} is a Python keyword: no program could pass it")

    if name.startswith("_"):
        raise SignatureError(f"field name {name!r} starts with an underscore: leave it away")


def _check_options(item: Field) -> None:
    annotation, desc, form = cast("tuple[object, ...]", (item.annotation, item.desc, item.format))
    if isinstance(annotation, str):
        raise SignatureError(
            f"field {item.name!r}: its type is the text {annotation!r}: give the type itself"
        )

    if not isinstance(desc, str):
        raise SignatureError(f"field {item.name!r}: desc is a text, got {desc!r}")

    if form is not None and not isinstance(form, str) and not callable(form):
        raise SignatureError(f"field {item.name!r}: format is a text or a function, got {form!r}")

    if item.default_factory is not None and not callable(item.default_factory):
        raise SignatureError(
            f"field {item.name!r}: default_factory is a function, got {item.default_factory!r}"
        )


def _build_adapter(item: Field) -> TypeAdapter[Any]:
    limits = item.constraints
    if name := unfit_constraint(item.annotation, limits):
        raise SignatureError(
            f"field {item.name!r}: {name}={limits[name]!r} means nothing for a {item.type_name}"
        )

    annotation: Any = item.annotation
    if limits:
        annotation = Annotated[item.annotation, pydantic.Field(**limits)]

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        if not adapter.pydantic_complete:
            raise TypeError("it refers to a type that is not defined")

        return adapter
    except Exception as exc:  # pydantic raises whatever its parts raise on a type it cannot take
        raise SignatureError(
            f"field {item.name!r}: the type {item.type_name} "
            + (f"with {limits} " if limits else "")
            + f"cannot be validated: {' '.join(str(exc).split())[:300]}"
        ) from exc
