"""What a task takes and gives: an immutable value, and the class syntax that declares one."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from dspex.errors import LoadError, SignatureError
from dspex.recipe import Recipe
from dspex.signatures.binding import bind_inputs, object_schema
from dspex.signatures.fields import Field
from dspex.signatures.forwarding import forwarded, forwarded_property
from dspex.signatures.grammar import parse_signature
from dspex.signatures.meta import SignatureMeta
from dspex.signatures.models import fields_of_model
from dspex.signatures.prediction import Prediction
from dspex.signatures.record import Record
from dspex.signatures.state import fields_from_dict, fields_to_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import BaseModel

__all__ = ("Signature", "SignatureLike", "default_instructions", "make_signature")

T = TypeVar("T")

_VERSION: Final = 1


class Signature(metaclass=SignatureMeta):
    """What a task takes and gives, in words and types; immutable and compared by value.

    Build one from a string, `Signature("question -> answer", "Answer briefly.")`, or declare one
    with a class: the docstring is the instructions, annotated attributes are the fields. Changed
    copies come from `with_instructions`, `append` and the like.

        class Triage(Signature):
            '''Route the ticket to the team that owns it.'''

            ticket: str = InputField(desc="what the customer wrote")
            team: Literal["billing", "network"] = OutputField()

    Args:
        text: the fields in string syntax.
        instructions: what to do; None names the fields.
        types: what further names in `text` mean.
    """

    __slots__ = ("_cache", "_fields", "_inputs", "_instructions", "_outputs")

    _cache: dict[object, Any]
    _fields: Mapping[str, Field]
    _inputs: tuple[Field, ...]
    _outputs: tuple[Field, ...]
    _instructions: str | None

    def __init__(
        self,
        text: str,
        instructions: str | None = None,
        *,
        types: Mapping[str, Any] | None = None,
    ) -> None:
        _fill(self, parse_signature(text, types), instructions)

    @classmethod
    def from_fields(cls, fields: Iterable[Field], instructions: str | None = None) -> Signature:
        """Build a signature from fields; the order counts within inputs and within outputs."""
        signature = object.__new__(Signature)
        _fill(signature, tuple(fields), instructions)
        return signature

    @classmethod
    def from_model(
        cls, inputs: type[BaseModel], outputs: type[BaseModel], instructions: str | None = None
    ) -> Signature:
        """Build a signature whose fields are those of two pydantic models.

        Descriptions, constraints, examples and defaults come along.

        Raises:
            SignatureError: a model has validators of its own, or a name is on both sides.
        """
        fields = (*fields_of_model(inputs, "input"), *fields_of_model(outputs, "output"))
        return Signature.from_fields(fields, instructions)

    @forwarded_property
    def instructions(self) -> str:
        """Return what to do, in words."""
        return self._instructions or default_instructions(self._inputs, self._outputs)

    @forwarded_property
    def given_instructions(self) -> str | None:
        """Return the instructions as given; None where the default names the fields."""
        return self._instructions

    @forwarded_property
    def fields(self) -> Mapping[str, Field]:
        """Return all fields by name, inputs first."""
        return self._fields

    @forwarded_property
    def input_fields(self) -> Mapping[str, Field]:
        """Return the inputs by name, in order."""
        return MappingProxyType({field.name: field for field in self._inputs})

    @forwarded_property
    def output_fields(self) -> Mapping[str, Field]:
        """Return the outputs by name, in order."""
        return MappingProxyType({field.name: field for field in self._outputs})

    @forwarded
    def with_instructions(self, instructions: str) -> Signature:
        """Return a copy with other instructions."""
        return Signature.from_fields(self._fields.values(), instructions)

    @forwarded
    def append_instructions(self, text: str) -> Signature:
        """Return a copy whose instructions go on with `text`, in a paragraph of its own."""
        return self.with_instructions(f"{self.instructions}\n\n{text}")

    @forwarded
    def with_updated_field(self, name: str, /, **changes: Any) -> Signature:
        """Return a copy in which one field has other options, another type or another name.

        Args:
            name: the field.
            changes: anything a `Field` holds: `desc=`, `annotation=`, `ge=`, ...
        """
        field = self._existing(name)
        try:
            changed = replace(field, **changes)
        except TypeError as exc:
            raise SignatureError(f"field {name!r} has no such option: {exc}") from exc

        fields = [changed if other is field else other for other in self._fields.values()]
        return Signature.from_fields(fields, self._instructions)

    @forwarded
    def prepend(self, name: str, field: Any, annotation: Any = None) -> Signature:
        """Return a copy with one more field in front of those of its role."""
        return self.insert(0, name, field, annotation)

    @forwarded
    def append(self, name: str, field: Any, annotation: Any = None) -> Signature:
        """Return a copy with one more field after those of its role."""
        return self.insert(len(self._fields), name, field, annotation)

    @forwarded
    def insert(self, index: int, name: str, field: Any, annotation: Any = None) -> Signature:
        """Return a copy with one more field at a place among those of its role.

        Args:
            index: 0 is the first; negative counts from the end, as lists do.
            name: its name, which must be new.
            field: `InputField(...)` or `OutputField(...)`.
            annotation: its type; None takes the field's own, which is `str` if it says nothing.
        """
        if not isinstance(field, Field):
            raise SignatureError(f"{field!r} is not InputField() or OutputField()")

        if name in self._fields:
            raise SignatureError(f"there is a field {name!r} already: {self}")

        kind = field.annotation if annotation is None else annotation
        added = replace(field, name=name, annotation=kind)
        same = list(self._inputs if field.role == "input" else self._outputs)
        same.insert(index, added)
        other = self._outputs if field.role == "input" else self._inputs
        return Signature.from_fields((*same, *other), self._instructions)

    @forwarded
    def delete(self, name: str) -> Signature:
        """Return a copy without a field."""
        gone = self._existing(name)
        left = [field for field in self._fields.values() if field is not gone]
        return Signature.from_fields(left, self._instructions)

    @forwarded
    def new(self, /, **inputs: Any) -> Record:
        """Return the inputs as a checked, immutable record, defaults filled in.

        Raises:
            InputError: an input is missing, unknown or of the wrong type; names each.
        """
        return Record(self.bind(inputs))

    @forwarded
    def bind(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the checked inputs in the order of the signature, defaults filled in.

        Raises:
            InputError: an input is missing, unknown or of the wrong type; names each.
        """
        return bind_inputs(self._inputs, inputs, self)

    @forwarded
    def input_schema(self) -> dict[str, Any]:
        """Return the JSON schema of an object that holds the inputs."""
        return object_schema(self._inputs)

    @forwarded
    def output_schema(self) -> dict[str, Any]:
        """Return the JSON schema of an object that holds the outputs."""
        return object_schema(self._outputs)

    @forwarded
    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, by field name; types are written as in the string syntax.

        Raises:
            TypeError: a type or a function in it cannot be imported by name.
        """
        return {
            "version": _VERSION,
            "instructions": self._instructions,
            "fields": fields_to_dict(self._fields.values()),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Signature:
        """Rebuild from `to_dict`.

        Raises:
            LoadError: it is of a newer version or not a signature.
        """
        fields = fields_from_dict(data, _VERSION)
        try:
            return Signature.from_fields(fields, data.get("instructions"))
        except SignatureError as exc:
            raise LoadError(f"not a signature: {exc}: {data!r}") from exc

    @forwarded
    def recipe(self) -> Recipe:
        """Return how to build an equal signature in another process."""
        return Recipe(f"{__name__}:Signature.from_dict", {"data": self.to_dict()})

    def cached(self, key: object, make: Callable[[Signature], T]) -> T:
        """Return what `make` gives for this signature, made once per `key` and kept with it."""
        try:
            return cast("T", self._cache[key])
        except KeyError:
            return cast("T", self._cache.setdefault(key, make(self)))

    def _existing(self, name: str) -> Field:
        try:
            return self._fields[name]
        except KeyError:
            raise SignatureError(f"there is no field {name!r}: {self}") from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"signatures are immutable: {name!r} cannot be set; make a copy")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"signatures are immutable: {name!r} cannot be deleted; make a copy")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Signature):
            return NotImplemented

        return (
            self._inputs == other._inputs
            and self._outputs == other._outputs
            and self.instructions == other.instructions
        )

    def __hash__(self) -> int:
        return hash((self._inputs, self._outputs, self.instructions))

    def __reduce__(self) -> tuple[Any, ...]:
        return Signature.from_fields, (tuple(self._fields.values()), self._instructions)

    def __str__(self) -> str:
        return f"{_side(self._inputs)} -> {_side(self._outputs)}"

    def __repr__(self) -> str:
        return f"Signature({str(self)!r}, {self.instructions!r})"


SignatureLike: TypeAlias = str | Signature | type[Signature]
"""What every API takes where a signature is wanted."""


def make_signature(
    source: SignatureLike,
    instructions: str | None = None,
    *,
    types: Mapping[str, Any] | None = None,
) -> Signature:
    """Return the signature that a string, a signature or a declaring class stands for.

    Args:
        source: any of the three.
        instructions: replaces its own when given.
        types: what further names in a string mean.

    Raises:
        SignatureError: it is none of them, or wrong.
    """
    if isinstance(source, str):
        return Signature(source, instructions, types=types)

    signature: object = source
    if isinstance(source, SignatureMeta):
        signature = source.declared

    if not isinstance(signature, Signature):
        raise SignatureError(
            f"{source!r} is no signature: give a string such as 'question -> answer', a Signature, "
            "or a class that declares one"
        )

    return signature if instructions is None else signature.with_instructions(instructions)


def _fill(signature: Signature, fields: tuple[Field, ...], instructions: object) -> None:
    if instructions is not None and not isinstance(instructions, str):
        raise SignatureError(f"instructions are a text, got {instructions!r}")

    inputs = tuple(field.checked() for field in fields if field.role == "input")
    outputs = tuple(field.checked() for field in fields if field.role == "output")
    ordered = (*inputs, *outputs)
    _check(inputs, outputs)
    set_once = object.__setattr__
    set_once(signature, "_inputs", inputs)
    set_once(signature, "_outputs", outputs)
    set_once(signature, "_fields", MappingProxyType({field.name: field for field in ordered}))
    set_once(signature, "_instructions", instructions)
    set_once(signature, "_cache", {})


def _check(inputs: tuple[Field, ...], outputs: tuple[Field, ...]) -> None:
    if not inputs or not outputs:
        raise SignatureError("a signature has at least one input and one output")

    seen: dict[str, str] = {}
    for field in (*inputs, *outputs):
        if field.name in seen:
            raise SignatureError(
                f"field {field.name!r} is {seen[field.name]} and {field.role}: names are unique"
            )

        seen[field.name] = field.role

    for field in outputs:
        if field.name in Prediction.RESERVED:
            raise SignatureError(
                f"output {field.name!r} would hide `prediction.{field.name}`: use another name"
            )


def default_instructions(inputs: Iterable[Field], outputs: Iterable[Field]) -> str:
    """Return the instructions of a signature that was given none."""
    return f"Given the fields {_quoted(inputs)}, produce the fields {_quoted(outputs)}."


def _quoted(fields: Iterable[Field]) -> str:
    return ", ".join(f"`{field.name}`" for field in fields)


def _side(fields: Iterable[Field]) -> str:
    return ", ".join(
        field.name if field.annotation is str else f"{field.name}: {field.type_name}"
        for field in fields
    )
