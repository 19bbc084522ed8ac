"""The part of a prompt that the signature alone decides, built once and kept with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex.adapters.contents import may_hold_field_types, render_content
from dspex.adapters.outputs import Output
from dspex.adapters.rendering import (
    describe_field,
    is_any_text,
    render_field,
    render_value,
    requirement,
)
from dspex.adapters.sections import folded_names
from dspex.messages import Message
from dspex.signatures.signature import default_instructions
from dspex.types.base import FieldType, field_type_of
from dspex.types.history import History
from dspex.types.reasoning import Reasoning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dspex.messages import Content
    from dspex.signatures.fields import Field
    from dspex.signatures.signature import Signature

__all__ = (
    "Layout",
    "Shape",
    "element_type",
    "field_list",
    "objective",
    "shape_of",
    "slot",
    "type_note",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Where each field of a signature goes: into the text, beside it, or into turns of its own."""

    inputs: tuple[Field, ...]
    outputs: tuple[Output, ...]
    native_inputs: tuple[str, ...]
    histories: tuple[str, ...]
    rich: frozenset[str]

    @property
    def written(self) -> tuple[Field, ...]:
        """The outputs that the model writes as text, in order."""
        return tuple(output.field for output in self.outputs if not output.native)

    @property
    def thinking(self) -> str | None:
        """The output that is the model's own thinking, if there is one."""
        kinds = ((output.name, output.kind) for output in self.outputs if output.native)
        return next((name for name, kind in kinds if kind and issubclass(kind, Reasoning)), None)


@dataclass(frozen=True, slots=True)
class Layout:
    """What an adapter knows of one signature before any inputs come."""

    shape: Shape
    system: Message
    reminder: str
    inputs: tuple[tuple[str, str, Callable[[Any], Content], str], ...]
    names: dict[str, str]

    @classmethod
    def of(
        cls, shape: Shape, system: str, reminder: str, around: Callable[[str], tuple[str, str]]
    ) -> Layout:
        """Build a layout; `around` gives what stands before and after the value of a field."""
        return cls(
            shape,
            Message("system", system),
            reminder,
            tuple(
                (field.name, head, _renderer(field, rich=field.name in shape.rich), tail)
                for field in shape.inputs
                for head, tail in (around(field.name),)
            ),
            folded_names(field.name for field in shape.written),
        )


def shape_of(signature: Signature, native: frozenset[str]) -> Shape:
    """Return where the fields of a signature go when those named travel beside the text."""
    inputs = tuple(signature.input_fields.values())
    histories = tuple(field.name for field in inputs if _is_history(field))
    aside = {*histories, *native}
    return Shape(
        tuple(field for field in inputs if field.name not in aside),
        tuple(
            Output.of(field, native=field.name in native)
            for field in signature.output_fields.values()
        ),
        tuple(field.name for field in inputs if field.name in native),
        histories,
        frozenset(
            field.name
            for field in signature.fields.values()
            if may_hold_field_types(field.annotation)
        ),
    )


def _numbered(fields: Iterable[Field]) -> list[str]:
    """Return one numbered line about each field."""
    return [f"{number}. {describe_field(field)}" for number, field in enumerate(fields, 1)]


def field_list(shape: Shape) -> list[str]:
    """Return the lines that begin every system message: the fields and what they hold."""
    return [
        "The input fields are:",
        *_numbered(shape.inputs),
        "The output fields are:",
        *_numbered(shape.written),
    ]


def objective(signature: Signature, shape: Shape) -> str:
    """Return the instructions; where none were given, of the fields that the prompt shows."""
    given = signature.given_instructions
    return default_instructions(shape.inputs, shape.written) if given is None else given


def slot(field: Field) -> str:
    """Return what stands for the value of an output where the structure is shown."""
    needed = requirement(field)
    return f"{{{field.name}}}" + (f"        # {needed}" if needed else "")


def type_note(field: Field) -> str:
    """Return the type of an output in a reminder; nothing where any text will do."""
    return "" if is_any_text(field.annotation) else f" (a valid {field.type_name})"


def element_type(annotation: Any) -> type[FieldType] | None:
    """Return the field type of a field, or of the items of its list."""
    found = field_type_of(annotation)
    if found is not None:
        return found[0]

    for argument in getattr(annotation, "__args__", ()):
        if argument is not type(None) and (inner := element_type(argument)) is not None:
            return inner

    return None


def _renderer(field: Field, *, rich: bool) -> Callable[[Any], Content]:
    """Return what writes the values of an input."""
    if callable(field.format):
        return lambda value: render_field(field, value)

    return render_content if rich else render_value


def _is_history(field: Field) -> bool:
    found = field_type_of(field.annotation)
    return found is not None and issubclass(found[0], History)
