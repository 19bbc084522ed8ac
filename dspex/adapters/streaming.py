"""Reading an answer while it comes: what each field gained, and never a marker.

A `StreamParser` belongs to one answer. What it gives, put together per field, is the text that the
whole answer has for the field, however the stream is cut: what is not yet clear is held back, and
what never became clear is settled by reading the whole at the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from dspex.adapters.rendering import render_value
from dspex.messages import StreamEvent, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dspex.adapters.layout import Layout
    from dspex.signatures.signature import Signature

__all__ = ("FieldDelta", "ReadsAnswers", "StreamParser")


@dataclass(frozen=True, slots=True)
class FieldDelta:
    """More text of one output field."""

    field: str
    text: str


class ReadsAnswers(Protocol):
    """The part of an adapter that a parser of its streams asks."""

    def find(self, text: str, names: Mapping[str, str]) -> Mapping[str, Any]:
        """Return what a whole answer says of each field."""
        ...

    def layout(self, signature: Signature) -> Layout:
        """Return what the signature alone decides."""
        ...


class StreamParser(ABC):
    """Turns the pieces of one answer into deltas of its fields.

    Args:
        find: reads a whole answer.
        names: the fields' names by their folded form.
        thinking: the field that the model's own thinking is, if there is one.
        by_tool: whether the answer is the arguments of a tool call.
    """

    def __init__(
        self,
        find: Callable[[str], Mapping[str, Any]],
        names: Mapping[str, str],
        *,
        thinking: str | None = None,
        by_tool: bool = False,
    ) -> None:
        self._find = find
        self._names = names
        self._thinking = thinking
        self._by_tool = by_tool
        self._text = ""
        self._emitted: dict[str, list[str]] = {}
        self._closed = False

    @classmethod
    def of(cls, adapter: ReadsAnswers, signature: Signature, *, by_tool: bool = False) -> Self:
        """Build the parser of one answer for an adapter."""
        layout = adapter.layout(signature)
        names = layout.names
        return cls(
            lambda text: adapter.find(text, names),
            names,
            thinking=layout.shape.thinking,
            by_tool=by_tool,
        )

    @property
    def text(self) -> str:
        """What of the answer has come so far."""
        return self._text

    def take(self, event: StreamEvent) -> list[FieldDelta]:
        """Return what an event of the first choice adds to the fields."""
        if isinstance(event, TextDelta) and event.choice == 0:
            return self._take_text(event)

        if isinstance(event, ToolCallDelta) and self._by_tool and event.index == event.choice == 0:
            return self.feed(event.arguments)

        return []

    def feed(self, text: str) -> list[FieldDelta]:
        """Return what a piece of the answer adds to the fields.

        Raises:
            ValueError: the answer was closed.
        """
        if self._closed:
            raise ValueError("the answer is closed: a parser reads one answer")

        # While nobody else holds it, a text grows in place; else every piece would copy it whole.
        whole, self._text = self._text, ""
        whole += text
        self._text = whole
        return self._noted(self._advance())

    def close(self) -> list[FieldDelta]:
        """Say that the answer is complete; return what was held back."""
        if self._closed:
            return []

        self._closed = True
        rest: list[FieldDelta] = []
        for name, value in self._find(self._text).items():
            whole = value if isinstance(value, str) else render_value(value)
            known = "".join(self._emitted.get(name, ()))
            if whole.startswith(known) and len(whole) > len(known):
                rest.append(FieldDelta(name, whole[len(known) :]))

        return self._noted(rest)

    @abstractmethod
    def _advance(self) -> list[FieldDelta]:
        """Return what has become clear of the text so far."""

    def _take_text(self, event: TextDelta) -> list[FieldDelta]:
        if not event.reasoning:
            return [] if self._by_tool else self.feed(event.text)

        return [FieldDelta(self._thinking, event.text)] if self._thinking and event.text else []

    def _noted(self, deltas: list[FieldDelta]) -> list[FieldDelta]:
        for delta in deltas:
            self._emitted.setdefault(delta.field, []).append(delta.text)

        return deltas
