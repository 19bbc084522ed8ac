"""The default layout: `[[ ## name ## ]]` sections in a chat, answered in the same form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dspex.adapters.layout import ChatLayout
from dspex.adapters.protocol import DEFAULT_COMPAT, DEFAULT_SAMPLING
from dspex.adapters.reading import read_json
from dspex.adapters.rendering import render_field, render_value
from dspex.adapters.sections import COMPLETED, fold_name, header, split_sections
from dspex.errors import ParseError
from dspex.messages import Choice, Compat, FinishReason, Message, Request, Response, Sampling
from dspex.recipe import Recipe
from dspex.signatures.encoding import is_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dspex.signatures.example import Example
    from dspex.signatures.record import Record
    from dspex.signatures.signature import Signature

__all__ = ("ChatAdapter", "render_answer")

_PARTIAL = "In the following example of the task, some fields are left out."
_LEFT_OUT = "(left out in this example)"
_END = f"\n\n{header(COMPLETED)}\n"


@dataclass(frozen=True, slots=True)
class ChatAdapter:
    """Asks in `[[ ## name ## ]]` sections and reads them back; works with any chat model.

    The system message lists the fields, shows the structure and states the objective; incomplete
    demonstrations come first, then complete ones, then the inputs with a reminder of the outputs.
    """

    def prefix(self, signature: Signature, demos: Sequence[Example]) -> tuple[Message, ...]:
        """Return system message and demonstrations."""
        layout = self._layout(signature)
        complete = [demo for demo in demos if _is_complete(signature, demo)]
        partial = [demo for demo in demos if _is_usable_part(signature, demo)]
        turns = [turn for demo in partial for turn in _demo_turns(signature, demo, _PARTIAL)]
        turns += [turn for demo in complete for turn in _demo_turns(signature, demo)]
        return (layout.system, *turns)

    def format(
        self, signature: Signature, demos: Sequence[Example], inputs: Mapping[str, Any]
    ) -> tuple[Message, ...]:
        """Return the whole conversation that asks for the outputs."""
        return (*self.prefix(signature, demos), self._question(signature, inputs))

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
        if prefix is None:
            prefix = self.prefix(signature, demos)

        return Request((*prefix, self._question(signature, inputs)), sampling=sampling)

    def parse(self, signature: Signature, response: Response | Choice | str) -> dict[str, Any]:
        """Return the output fields, in the order of the signature, as their types.

        A text without any section is read as one JSON object of the fields.

        Raises:
            ParseError: one of them is missing or does not fit.
        """
        text = _text_of(signature, response)
        layout = self._layout(signature)
        sections: Mapping[str, Any] = split_sections(text, layout.names)
        if not sections:
            sections = _object_in(text, layout.names)

        values: dict[str, Any] = {}
        missing: list[str] = []
        problems: list[str] = []
        for field, _, read in layout.outputs:
            name = field.name
            try:
                if name in sections:
                    found = sections[name]
                    if field.annotation is str and isinstance(found, (int, float)):
                        found = render_value(found)  # a number or a boolean of a JSON object

                    values[name] = read(found) if isinstance(found, str) else field.validate(found)
                elif field.required:
                    missing.append(name)
                else:
                    values[name] = field.default_value()
            except ValueError as exc:
                problems.append(f"the field `{name}` does not fit: {exc}")

        if not problems and not missing:
            return values

        problems += [f"the field `{name}` is missing" for name in missing]
        raise ParseError(
            "; ".join((*problems, *_circumstances(response))),
            signature=str(signature),
            text=text,
            parsed=values,
            missing=tuple(missing),
        )

    def repair(
        self,
        signature: Signature,
        request: Request,
        response: Response | Choice | str,
        error: ParseError,
    ) -> Request:
        """Return a request that shows the model its own answer and what was wrong with it."""
        answer = response if isinstance(response, str) else _choice_of(response).text
        complaint = (
            f"Your answer could not be used: {error.problem}.\n\n"
            f"Write the whole answer again. {self._layout(signature).reminder}"
        )
        turns = (Message("assistant", answer), Message("user", complaint))
        return replace(request, messages=(*request.messages, *turns))

    def recipe(self) -> Recipe:
        """Return how to build an equal adapter in another process."""
        return Recipe(f"{__name__}:ChatAdapter")

    def _question(self, signature: Signature, inputs: Mapping[str, Any]) -> Message:
        layout = self._layout(signature)
        parts: list[str] = []
        for name, head, render in layout.inputs:
            if name in inputs:
                value = inputs[name]
                parts.append(head + (value if type(value) is str else render(value)))

        parts.append(layout.reminder)
        return Message("user", "\n\n".join(parts))

    def _layout(self, signature: Signature) -> ChatLayout:
        return signature.cached(ChatLayout, ChatLayout.of)


def render_answer(signature: Signature, values: Mapping[str, Any] | Record) -> str:
    """Return the text a perfect model would answer in the form of `ChatAdapter`."""
    return _sections(signature, values, signature.output_fields) + _END


def _demo_turns(
    signature: Signature, demo: Example, note: str | None = None
) -> tuple[Message, Message]:
    given = [name for name in signature.input_fields if name in demo]
    asked = _sections(signature, demo, given)
    return (
        Message("user", f"{note}\n\n{asked}" if note else asked),
        Message("assistant", render_answer(signature, demo)),
    )


def _sections(
    signature: Signature, values: Mapping[str, Any] | Record, names: Iterable[str]
) -> str:
    return "\n\n".join(
        f"{header(name)}\n{render_field(signature.fields[name], values[name])}"
        if name in values
        else f"{header(name)}\n{_LEFT_OUT}"
        for name in names
    )


def _is_complete(signature: Signature, demo: Example) -> bool:
    return all(name in demo for name in signature.fields)


def _is_usable_part(signature: Signature, demo: Example) -> bool:
    return (
        not _is_complete(signature, demo)
        and any(name in demo for name in signature.input_fields)
        and any(name in demo for name in signature.output_fields)
    )


def _object_in(text: str, names: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        found = read_json(text)
    except ValueError:
        return {}

    table: Mapping[Any, Any] = found if is_table(found) else {}
    return {
        names[folded]: value
        for key, value in table.items()
        if (folded := fold_name(str(key))) in names
    }


def _text_of(signature: Signature, response: Response | Choice | str) -> str:
    if isinstance(response, str):
        return response

    if isinstance(response, Response) and not response.choices:
        raise ParseError("the answer has no choices", signature=str(signature), text="")

    return _choice_of(response).text


def _choice_of(response: Response | Choice) -> Choice:
    return response if isinstance(response, Choice) else response.choices[0]


def _circumstances(response: Response | Choice | str) -> Iterable[str]:
    """Yield what else is known about an answer that cannot be read."""
    if isinstance(response, str):
        return

    choice = _choice_of(response)
    if choice.finish_reason is FinishReason.LENGTH:
        yield "the answer was cut off at the token limit"

    if choice.refusal:
        yield f"the model refused: {choice.refusal}"
