"""Answers in `<name>` tags, with whatever text in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex.adapters.demonstrations import LEFT_OUT
from dspex.adapters.layout import Shape, field_list, objective, slot, type_note
from dspex.adapters.objects import fields_of_object
from dspex.adapters.rendering import render_field
from dspex.adapters.sections import split_sections
from dspex.adapters.streaming_xml import XMLStreamParser
from dspex.adapters.tags import split_tags
from dspex.adapters.text_adapter import TextAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex.signatures.fields import Field
    from dspex.signatures.record import Record
    from dspex.signatures.signature import Signature

__all__ = ("XMLAdapter",)


@dataclass(frozen=True, slots=True)
class XMLAdapter(TextAdapter):
    """Asks in `<name>` tags and reads them back.

    Nothing is escaped on either side: `<` and `&` in a value are what they are. Values that are no
    text are JSON inside their tag.
    """

    def around(self, name: str) -> tuple[str, str]:
        """Return the tags around a value."""
        return f"<{name}>\n", f"\n</{name}>"

    def system_text(self, signature: Signature, shape: Shape) -> str:
        """Return the fields, the structure and the objective."""
        return "\n".join(
            (
                *field_list(shape),
                "",
                "Every exchange has this structure, with the values filled in:",
                "",
                *(_tagged(field.name, f"{{{field.name}}}") for field in shape.inputs),
                *(_tagged(field.name, slot(field)) for field in shape.written),
                "",
                "Within this structure, your objective is:",
                objective(signature, shape),
            )
        )

    def reminder_text(self, shape: Shape) -> str:
        """Return the tags that an answer has, in order."""
        named = [f"`<{field.name}>`{type_note(field)}" for field in shape.written]
        return f"Answer with these tags, in this order, each closed: {', then '.join(named)}."

    def answer_text(self, fields: Sequence[Field], values: Mapping[str, Any] | Record) -> str:
        """Return the tags of an answer."""
        return "\n\n".join(
            _tagged(
                field.name,
                render_field(field, values[field.name]) if field.name in values else LEFT_OUT,
            )
            for field in fields
        )

    def find(self, text: str, names: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the text in the tags; an answer without any is read in the other forms."""
        return (
            split_tags(text, names) or split_sections(text, names) or fields_of_object(text, names)
        )

    def stream_parser(self, signature: Signature) -> XMLStreamParser:
        """Return what reads one answer while it comes."""
        return XMLStreamParser.of(self, signature)


def _tagged(name: str, text: str) -> str:
    return f"<{name}>\n{text}\n</{name}>"
