"""The turns of a conversation so far; they become messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeGuard

from dspex.types.base import FieldType
from dspex.types.loading import load_all

__all__ = ("History",)


@dataclass(frozen=True, slots=True)
class History(FieldType):
    """The turns of a conversation so far, oldest first; an input.

        History(({"question": "1 + 1?", "answer": "2"}, {"question": "And 2 more?", "answer": "4"}))

    Each turn holds fields of the signature by name: its inputs become a user's message, its outputs
    the assistant's answer to it, between the demonstrations and the question.
    """

    messages: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        turns = tuple(self.messages)
        for turn in turns:
            if not _is_table(turn) or not turn:
                raise ValueError(f"a turn holds fields by name, as a dict; got {turn!r}")

        object.__setattr__(self, "messages", tuple(dict(turn) for turn in turns))

    def with_turn(self, **fields: Any) -> Self:
        """Return a copy with one more turn at its end."""
        return type(self)((*self.messages, fields))

    async def load(self) -> Self:
        """Return the turns with all that they hold in memory."""
        turns = [await load_all(turn) for turn in self.messages]
        same = all(new is old for new, old in zip(turns, self.messages, strict=True))
        return self if same else type(self)(tuple(turns))

    def __len__(self) -> int:
        return len(self.messages)

    def __hash__(self) -> int:
        return hash((len(self.messages), *(tuple(turn) for turn in self.messages)))

    def render(self) -> str:
        """Return the turns as JSON, for where they cannot become messages."""
        return json.dumps(self.to_json(), ensure_ascii=False, default=str)

    def to_json(self) -> Any:
        """Return the turns as they are; their values are the caller's."""
        return [dict(turn) for turn in self.messages]

    @classmethod
    def from_json(cls, data: Any, *parameters: Any) -> Self:
        """Return the history of a list of turns, or of an object that holds it as `messages`."""
        if _is_table(data) and "messages" in data:
            data = data["messages"]

        if isinstance(data, str) or not _is_list(data):
            raise ValueError(f"{str(data)[:200]!r} is not a list of turns, each a dict of fields")

        return cls(tuple(data))

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Return the turns of a JSON list."""
        try:
            return cls.from_json(json.loads(text))
        except (ValueError, RecursionError) as exc:
            raise ValueError(f"{text[:200]!r} is not {cls.describe()}") from exc

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what a model must write."""
        return "a JSON list of turns, each an object of fields"

    @classmethod
    def json_schema(cls, *parameters: Any) -> dict[str, Any]:
        """Return the schema of a list of objects."""
        return {"type": "array", "items": {"type": "object"}}


def _is_table(data: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(data, Mapping)


def _is_list(data: object) -> TypeGuard[Iterable[Any]]:
    return isinstance(data, Iterable) and not isinstance(data, Mapping)
