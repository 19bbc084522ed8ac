"""The default layout: `[[ ## name ## ]]` sections in a chat, answered in the same form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex.adapters.demonstrations import LEFT_OUT
from dspex.adapters.layout import Shape, field_list, objective, slot, type_note
from dspex.adapters.objects import fields_of_object
from dspex.adapters.rendering import render_field
from dspex.adapters.sections import COMPLETED, header, split_sections
from dspex.adapters.streaming_chat import ChatStreamParser
from dspex.adapters.tags import split_tags
from dspex.adapters.text_adapter import TextAdapter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dspex.signatures.fields import Field
    from dspex.signatures.record import Record
    from dspex.signatures.signature import Signature

__all__ = ("ChatAdapter", "render_answer")

_END = f"\n\n{header(COMPLETED)}\n"


@dataclass(frozen=True, slots=True)
class ChatAdapter(TextAdapter):
    """Asks in `[[ ## name ## ]]` sections and reads them back; works with any chat model.

    The system message lists the fields, shows the structure and states the objective; incomplete
    demonstrations come first, then complete ones, then the conversation so far, then the inputs
    with a reminder of the outputs.
    """

    def around(self, name: str) -> tuple[str, str]:
        """Return the header of a section."""
        return f"{header(name)}\n", ""

    def system_text(self, signature: Signature, shape: Shape) -> str:
        """Return the fields, the structure and the objective."""
        return "\n".join(
            (
                *field_list(shape),
                "",
                "Every exchange has this structure, with the values filled in:",
                "",
                *(f"{header(field.name)}\n{{{field.name}}}\n" for field in shape.inputs),
                *(f"{header(field.name)}\n{slot(field)}\n" for field in shape.written),
                header(COMPLETED),
                "",
                "Within this structure, your objective is:",
                objective(signature, shape),
            )
        )

    def reminder_text(self, shape: Shape) -> str:
        """Return the sections that an answer has, in order."""
        return _reminder(shape.written)

    def answer_text(self, fields: Sequence[Field], values: Mapping[str, Any] | Record) -> str:
        """Return the sections of an answer, and the marker that ends it."""
        sections = (
            f"{header(field.name)}\n"
            + (render_field(field, values[field.name]) if field.name in values else LEFT_OUT)
            for field in fields
        )
        return "\n\n".join(sections) + _END

    def find(self, text: str, names: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the sections of an answer; one without any is read in the other forms."""
        return (
            split_sections(text, names) or fields_of_object(text, names) or split_tags(text, names)
        )

    def stream_parser(self, signature: Signature) -> ChatStreamParser:
        """Return what reads one answer while it comes."""
        return ChatStreamParser.of(self, signature)


def render_answer(signature: Signature, values: Mapping[str, Any] | Record) -> str:
    """Return the text a perfect model would answer in the form of `ChatAdapter`."""
    return ChatAdapter().answer_text(tuple(signature.output_fields.values()), values)


def _reminder(outputs: Iterable[Field]) -> str:
    named = [f"`{header(field.name)}`{type_note(field)}" for field in outputs]
    return (
        f"Answer with these fields, in this order: {', then '.join(named)}, and end with the "
        f"marker `{header(COMPLETED)}`."
    )
