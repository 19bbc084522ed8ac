"""What the adapters share: turns, demonstrations, history, reading, repair.

An adapter that asks for text says how a field is marked, how an answer is written and how one is
found again; the rest is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dspex.adapters.carrying import carried
from dspex.adapters.contents import field_values, join
from dspex.adapters.demonstrations import demo_turns, history_turns
from dspex.adapters.layout import Layout, Shape, element_type, shape_of
from dspex.adapters.outputs import choice_of, collect
from dspex.adapters.protocol import DEFAULT_COMPAT, DEFAULT_SAMPLING
from dspex.messages import Choice, Compat, Message, Request, Response, Sampling
from dspex.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex.adapters.streaming import StreamParser
    from dspex.errors import ParseError
    from dspex.messages import ToolSpec
    from dspex.signatures.example import Example
    from dspex.signatures.fields import Field
    from dspex.signatures.record import Record
    from dspex.signatures.signature import Signature
    from dspex.types.base import FieldType

__all__ = ("TextAdapter",)

_NO_TEXT = "(no text)"


@dataclass(frozen=True, slots=True)
class TextAdapter(ABC):
    """An adapter whose answers are text of one form.

    Args:
        native: the fields that travel beside the text; `fitted` says which.
    """

    _: KW_ONLY
    native: frozenset[str] = frozenset()

    fitted_fields: ClassVar[frozenset[str]] = frozenset({"native"})
    """Settings that `fitted` decides and a recipe leaves out."""

    # --- what each form says for itself

    @abstractmethod
    def around(self, name: str) -> tuple[str, str]:
        """Return what stands before and after the value of an input."""

    @abstractmethod
    def system_text(self, signature: Signature, shape: Shape) -> str:
        """Return the system message."""

    @abstractmethod
    def reminder_text(self, shape: Shape) -> str:
        """Return what ends every question."""

    @abstractmethod
    def answer_text(self, fields: Sequence[Field], values: Mapping[str, Any] | Record) -> str:
        """Return what a perfect model would answer; what has no value is marked as left out."""

    @abstractmethod
    def find(self, text: str, names: Mapping[str, str]) -> Mapping[str, Any]:
        """Return what an answer says of each field: its text, or JSON data."""

    @abstractmethod
    def stream_parser(self, signature: Signature) -> StreamParser:
        """Return what reads one answer while it comes."""

    # --- the same for all

    def fitted(
        self,
        signature: Signature,
        capabilities: Compat = DEFAULT_COMPAT,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Self:
        """Return the adapter as it is for one endpoint; see `Adapter.fitted`."""
        typed = signature.cached(_typed_fields, _typed_fields)
        if not typed:
            return self

        native = frozenset(
            name for name, kind in typed if kind.travels_natively(capabilities, sampling)
        )
        return self if native == self.native else replace(self, native=native)

    def prefix(self, signature: Signature, demos: Sequence[Example]) -> tuple[Message, ...]:
        """Return system message and demonstrations."""
        layout = self.layout(signature)
        return (layout.system, *demo_turns(self, signature, layout, demos))

    def format(
        self, signature: Signature, demos: Sequence[Example], inputs: Mapping[str, Any]
    ) -> tuple[Message, ...]:
        """Return the whole conversation that asks for the outputs."""
        layout = self.layout(signature)
        return self._messages(signature, layout, self.prefix(signature, demos), inputs)

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

        layout = self.layout(signature)
        messages = self._messages(signature, layout, prefix, inputs)
        shape = layout.shape
        if shape.rich:
            messages = carried(messages, capabilities)

        request = Request(messages, sampling=sampling)
        if shape.native_inputs:
            request = replace(request, tools=_tools_in(shape, inputs))

        return request

    def parse(self, signature: Signature, response: Response | Choice | str) -> dict[str, Any]:
        """Return the output fields, in the order of the signature, as their types.

        An answer in the form of another adapter is read as well. About 10 us per field; what must
        be repaired to be JSON takes some 0.3 ms per KB.

        Raises:
            ParseError: one of them is missing or does not fit.
        """
        choice = choice_of(signature, response)
        text = response if isinstance(response, str) else self.text_of(choice or Choice(""))
        layout = self.layout(signature)
        found = self.find(text, layout.names)
        return collect(signature, layout.shape.outputs, found, response, text)

    def repair(
        self,
        signature: Signature,
        request: Request,
        response: Response | Choice | str,
        error: ParseError,
    ) -> Request:
        """Return a request that shows the model its own answer and what was wrong with it."""
        choice = choice_of(signature, response)
        answer = response if isinstance(response, str) else self.text_of(choice or Choice(""))
        turns = (
            Message("assistant", answer or _NO_TEXT),
            Message("user", self.complaint(signature, error)),
        )
        return replace(request, messages=(*request.messages, *turns))

    def complaint(self, signature: Signature, error: ParseError) -> str:
        """Return what a model is told about an answer that could not be read."""
        return (
            f"Your answer could not be used: {error.problem}.\n\n"
            f"Write the whole answer again. {self.layout(signature).reminder}"
        )

    def text_of(self, choice: Choice) -> str:
        """Return the text of an answer that is read."""
        return choice.text

    def recipe(self) -> Recipe:
        """Return how to build an equal adapter in another process."""
        return Recipe(f"{type(self).__module__}:{type(self).__qualname__}")

    def layout(self, signature: Signature) -> Layout:
        """Return what the signature alone decides, built once."""
        return signature.cached(self, self._build)

    def _build(self, signature: Signature) -> Layout:
        shape = shape_of(signature, self.native)
        system = self.system_text(signature, shape)
        return Layout.of(shape, system, self.reminder_text(shape), self.around)

    def _messages(
        self,
        signature: Signature,
        layout: Layout,
        prefix: tuple[Message, ...],
        inputs: Mapping[str, Any],
    ) -> tuple[Message, ...]:
        question = _question(layout, inputs)
        if not layout.shape.histories:
            return (*prefix, question)

        return (*prefix, *history_turns(self, signature, layout, inputs), question)


def _question(layout: Layout, inputs: Mapping[str, Any]) -> Message:
    parts: list[Any] = []
    for name, head, render, tail in layout.inputs:
        if name in inputs:
            value = inputs[name]
            content = value if type(value) is str else render(value)
            parts.append(
                f"{head}{content}{tail}"
                if isinstance(content, str)
                else join((head, content, tail), "")
            )

    parts.append(layout.reminder)
    return Message("user", join(parts) if layout.shape.rich else "\n\n".join(parts))


def _tools_in(shape: Shape, inputs: Mapping[str, Any]) -> tuple[ToolSpec, ...]:
    return tuple(
        spec
        for name in shape.native_inputs
        for value in field_values(inputs.get(name))
        for spec in value.tool_specs()
    )


def _typed_fields(signature: Signature) -> tuple[tuple[str, type[FieldType]], ...]:
    found = ((field.name, element_type(field.annotation)) for field in signature.fields.values())
    return tuple((name, kind) for name, kind in found if kind is not None)
