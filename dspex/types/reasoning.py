"""What a model thought before it answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from dspex.types.base import FieldType

if TYPE_CHECKING:
    from dspex.messages import Choice, Compat, Sampling

__all__ = ("Reasoning",)


class Reasoning(str, FieldType):
    """What a model thought before it answered, a text; an output.

    Where a model thinks by itself and the call asks it to (`reasoning_effort` or
    `reasoning_tokens`), this is its own thinking, and the prompt asks for none. Elsewhere it is a
    field of the answer like any other.
    """

    __slots__ = ()

    def render(self) -> str:
        """Return the text."""
        return str(self)

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Return the text as it is."""
        return cls(text)

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what a model must write."""
        return "text"

    def to_json(self) -> Any:
        """Return the text."""
        return str(self)

    @classmethod
    def travels_natively(cls, capabilities: Compat, sampling: Sampling) -> bool:
        """Tell whether the call asks the model to think and the endpoint hands the thinking out."""
        asked = sampling.reasoning_effort not in (None, "none") or bool(sampling.reasoning_tokens)
        given = capabilities.reasoning_field is not None or capabilities.replay_reasoning
        return asked and given

    @classmethod
    def from_choice(cls, choice: Choice) -> Self | None:
        """Return the model's own thinking, empty where it did not think; None where it wrote it."""
        return None if choice.reasoning is None else cls(choice.reasoning)
