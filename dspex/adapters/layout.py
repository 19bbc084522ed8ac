"""The part of a chat prompt that the signature alone decides, built once and kept with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex.adapters.reading import Reader, field_reader
from dspex.adapters.rendering import describe_field, render_field, render_value, requirement
from dspex.adapters.sections import COMPLETED, fold_name, header
from dspex.messages import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dspex.signatures.fields import Field
    from dspex.signatures.signature import Signature

__all__ = ("ChatLayout",)


@dataclass(frozen=True, slots=True)
class ChatLayout:
    """What ChatAdapter knows of one signature before any inputs come."""

    system: Message
    reminder: str
    inputs: tuple[tuple[str, str, Callable[[Any], str]], ...]
    outputs: tuple[tuple[Field, str, Reader], ...]
    names: dict[str, str]

    @classmethod
    def of(cls, signature: Signature) -> ChatLayout:
        """Build the layout of a signature."""
        inputs = tuple(signature.input_fields.values())
        outputs = tuple(signature.output_fields.values())
        folded = {fold_name(field.name): field.name for field in outputs}
        if len(folded) < len(outputs):  # names that differ in case alone are matched exactly
            folded = {field.name: field.name for field in outputs}

        return cls(
            Message("system", _system(signature, inputs, outputs)),
            _reminder(outputs),
            tuple((field.name, f"{header(field.name)}\n", _renderer(field)) for field in inputs),
            tuple((field, f"{header(field.name)}\n", field_reader(field)) for field in outputs),
            folded,
        )


def _system(signature: Signature, inputs: Iterable[Field], outputs: Iterable[Field]) -> str:
    return "\n".join(
        (
            "The input fields are:",
            *_numbered(inputs),
            "The output fields are:",
            *_numbered(outputs),
            "",
            "Every exchange has this structure, with the values filled in:",
            "",
            *(f"{header(field.name)}\n{{{field.name}}}\n" for field in inputs),
            *(f"{header(field.name)}\n{_slot(field)}\n" for field in outputs),
            header(COMPLETED),
            "",
            "Within this structure, your objective is:",
            signature.instructions,
        )
    )


def _numbered(fields: Iterable[Field]) -> Iterable[str]:
    return (f"{number}. {describe_field(field)}" for number, field in enumerate(fields, 1))


def _slot(field: Field) -> str:
    needed = requirement(field)
    return f"{{{field.name}}}" + (f"        # {needed}" if needed else "")


def _reminder(outputs: Iterable[Field]) -> str:
    named = [f"`{header(field.name)}`{_type_note(field)}" for field in outputs]
    return (
        f"Answer with these fields, in this order: {', then '.join(named)}, and end with the "
        f"marker `{header(COMPLETED)}`."
    )


def _type_note(field: Field) -> str:
    return "" if field.annotation is str else f" (a valid {field.type_name})"


def _renderer(field: Field) -> Callable[[Any], str]:
    if callable(field.format):
        return lambda value: render_field(field, value)

    return render_value
