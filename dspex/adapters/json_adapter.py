"""Answers as one JSON object, enforced by the endpoint where it can."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from dspex.adapters.demonstrations import LEFT_OUT
from dspex.adapters.layout import Shape, field_list, objective, slot, type_note
from dspex.adapters.objects import fields_of_object
from dspex.adapters.protocol import DEFAULT_COMPAT, DEFAULT_SAMPLING
from dspex.adapters.schema import plain_schema, strict_schema
from dspex.adapters.sections import header, split_sections
from dspex.adapters.streaming_json import JSONStreamParser
from dspex.adapters.tags import split_tags
from dspex.adapters.text_adapter import TextAdapter
from dspex.messages import (
    Choice,
    Compat,
    FilePart,
    Message,
    Request,
    Response,
    ResponseFormat,
    Sampling,
    ToolSpec,
)
from dspex.recipe import Recipe
from dspex.signatures.encoding import to_jsonable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex.errors import ParseError
    from dspex.signatures.example import Example
    from dspex.signatures.fields import Field
    from dspex.signatures.record import Record
    from dspex.signatures.signature import Signature

__all__ = ("JSONAdapter", "JSONForm")

JSONForm = Literal["json_schema", "json_object", "tool", "prompt"]
"""How an endpoint is held to JSON: by a schema, to any object, by a tool's schema, by asking."""

_TOOL: Final = "answer"


@dataclass(frozen=True, slots=True)
class JSONAdapter(TextAdapter):
    """Asks for one JSON object and reads it back.

    Args:
        form: how the endpoint is held to JSON; None takes the best that its `Compat` says it
            honours: a schema where the outputs have one in the strict subset, else any object, else
            the prompt alone.
    """

    _: KW_ONLY
    form: JSONForm | None = None

    def fitted(
        self,
        signature: Signature,
        capabilities: Compat = DEFAULT_COMPAT,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Self:
        """Return the adapter with the form that the endpoint honours; see `Adapter.fitted`."""
        fitted = super(JSONAdapter, self).fitted(signature, capabilities, sampling)
        if fitted.form is not None:
            return fitted

        return replace(fitted, form=fitted._best(signature, capabilities))

    def prepare(
        self,
        signature: Signature,
        demos: Sequence[Example],
        inputs: Mapping[str, Any],
        *,
        capabilities: Compat = DEFAULT_COMPAT,
        sampling: Sampling = DEFAULT_SAMPLING,
        prefix: tuple[Message, ...] | None = None,
    ) -> Request:
        """Return the request that asks for the outputs; see `Adapter.prepare`."""
        request = super(JSONAdapter, self).prepare(
            signature, demos, inputs, capabilities=capabilities, sampling=sampling, prefix=prefix
        )
        form = self.form or self._best(signature, capabilities)
        if form == "tool":
            tool = signature.cached((self, _TOOL), self._tool)
            return replace(request, tools=(*request.tools, tool), tool_choice=_TOOL)

        if form == "prompt" or request.tools or _cites(request):
            # Held to JSON a model could neither call tools nor cite; providers refuse the latter.
            return request

        held = replace(self, form=form)
        made = signature.cached((held, "response_format"), held._response_format)
        return replace(request, response_format=made)

    def around(self, name: str) -> tuple[str, str]:
        """Return the header of a section; inputs look as they do for `ChatAdapter`."""
        return f"{header(name)}\n", ""

    def system_text(self, signature: Signature, shape: Shape) -> str:
        """Return the fields, the structure and the objective."""
        slots = {field.name: slot(field) for field in shape.written}
        return "\n".join(
            (
                *field_list(shape),
                "",
                "Every exchange has this structure, with the values filled in:",
                "",
                "The question:",
                "",
                *(f"{header(field.name)}\n{{{field.name}}}\n" for field in shape.inputs),
                "The answer, one JSON object:",
                "",
                json.dumps(slots, indent=2, ensure_ascii=False),
                "",
                "Within this structure, your objective is:",
                objective(signature, shape),
            )
        )

    def reminder_text(self, shape: Shape) -> str:
        """Return the keys that an answer has, in order."""
        named = [f"`{field.name}`{type_note(field)}" for field in shape.written]
        return f"Answer with one JSON object of these keys, in this order: {', '.join(named)}."

    def answer_text(self, fields: Sequence[Field], values: Mapping[str, Any] | Record) -> str:
        """Return the object, with text where a field has a format of its own."""
        data = {
            field.name: _plain(field, values[field.name]) if field.name in values else LEFT_OUT
            for field in fields
        }
        return json.dumps(data, indent=2, ensure_ascii=False)

    def find(self, text: str, names: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the values of the object; an answer without any is read in the other forms."""
        if "[[ ##" in text and not text.lstrip().startswith("{"):
            found = split_sections(text, names) or fields_of_object(text, names)
        else:
            found = fields_of_object(text, names) or split_sections(text, names)

        return found or split_tags(text, names)

    def stream_parser(self, signature: Signature) -> JSONStreamParser:
        """Return what reads one answer while it comes."""
        return JSONStreamParser.of(self, signature, by_tool=self.form == "tool")

    def text_of(self, choice: Choice) -> str:
        """Return the object: the arguments of the tool where it was asked for so."""
        for call in choice.tool_calls:
            if self.form == "tool" and call.name == _TOOL:
                return call.arguments

        return choice.text

    def repair(
        self,
        signature: Signature,
        request: Request,
        response: Response | Choice | str,
        error: ParseError,
    ) -> Request:
        """Return a request that shows the model its own answer and what was wrong with it."""
        choice = response.choices[0] if isinstance(response, Response) else response
        if self.form != "tool" or isinstance(choice, str) or not choice.tool_calls:
            return super(JSONAdapter, self).repair(signature, request, response, error)

        # A call of a tool must be answered as one, each of them.
        complaint = self.complaint(signature, error)
        replies = (
            Message("tool", complaint, tool_call_id=call.id, name=call.name, is_error=True)
            for call in choice.tool_calls
        )
        return replace(request, messages=(*request.messages, choice.to_message(), *replies))

    def recipe(self) -> Recipe:
        """Return how to build an equal adapter in another process."""
        arguments = {} if self.form is None else {"form": self.form}
        return Recipe(f"{__name__}:JSONAdapter", arguments)

    def _best(self, signature: Signature, capabilities: Compat) -> JSONForm:
        best = capabilities.structured_output
        if best == "json_schema" and signature.cached((self, "strict"), self._strict) is None:
            return "json_object"

        return "prompt" if best == "none" else best

    def _strict(self, signature: Signature) -> dict[str, Any] | None:
        return strict_schema(self.layout(signature).shape.written)

    def _response_format(self, signature: Signature) -> ResponseFormat:
        if self.form == "json_object" or (schema := self._strict(signature)) is None:
            return ResponseFormat("json_object")

        return ResponseFormat("json_schema", "answer", schema)

    def _tool(self, signature: Signature) -> ToolSpec:
        strict = self._strict(signature)
        schema = strict or plain_schema(self.layout(signature).shape.written)
        return ToolSpec(_TOOL, "Give the answer.", schema, strict=None if strict is None else True)


def _cites(request: Request) -> bool:
    return any(
        isinstance(part, FilePart) and part.citations
        for message in request.messages
        if not isinstance(message.content, str)
        for part in message.content
    )


def _plain(field: Field, value: Any) -> Any:
    return field.format(value) if callable(field.format) else to_jsonable(value)
