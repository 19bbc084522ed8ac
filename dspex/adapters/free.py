"""An answer in plain words, for a second step to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex.adapters.demonstrations import LEFT_OUT
from dspex.adapters.layout import Shape, field_list, objective, type_note
from dspex.adapters.objects import fields_of_object
from dspex.adapters.rendering import render_field
from dspex.adapters.sections import header, split_sections
from dspex.adapters.streaming_chat import ChatStreamParser
from dspex.adapters.text_adapter import TextAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex.signatures.fields import Field
    from dspex.signatures.record import Record
    from dspex.signatures.signature import Signature

__all__ = ("FreeAdapter",)


@dataclass(frozen=True, slots=True)
class FreeAdapter(TextAdapter):
    """Asks for an answer in any form: what `TwoStep` asks the strong model.

    Its `parse` reads sections or an object where the model wrote them; any other answer is for
    another model to extract.
    """

    def around(self, name: str) -> tuple[str, str]:
        """Return the header of a section; inputs look as they do for `ChatAdapter`."""
        return f"{header(name)}\n", ""

    def system_text(self, signature: Signature, shape: Shape) -> str:
        """Return the fields and the objective; the form of the answer is free."""
        return "\n".join(
            (*field_list(shape), "", "Your objective is:", objective(signature, shape))
        )

    def reminder_text(self, shape: Shape) -> str:
        """Return what an answer must cover."""
        named = [f"`{field.name}`{type_note(field)}" for field in shape.written]
        return f"Answer in your own words. Say all that these fields need: {', '.join(named)}."

    def answer_text(self, fields: Sequence[Field], values: Mapping[str, Any] | Record) -> str:
        """Return a paragraph for each field."""
        return "\n\n".join(
            f"{field.name}: "
            + (render_field(field, values[field.name]) if field.name in values else LEFT_OUT)
            for field in fields
        )

    def find(self, text: str, names: Mapping[str, str]) -> Mapping[str, Any]:
        """Return sections or an object, should the model have written any."""
        return split_sections(text, names) or fields_of_object(text, names)

    def stream_parser(self, signature: Signature) -> ChatStreamParser:
        """Return what reads one answer while it comes."""
        return ChatStreamParser.of(self, signature)
