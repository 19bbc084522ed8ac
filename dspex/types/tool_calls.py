"""The tools a model calls, and what they gave."""

from __future__ import annotations

import json
import re
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, TypeGuard, get_args

from pydantic_core import from_json

from dspex.messages import ImagePart, Message, TextPart, ToolCall
from dspex.types.base import FieldType
from dspex.types.tool_schema import is_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.messages import Choice, Compat, Content, Sampling

__all__ = ("ToolCalls", "ToolFailure", "ToolResult", "read_arguments")

ToolFailure: TypeAlias = Literal["arguments", "unknown", "timeout", "crash", "refused"]
"""Why a call gave no result: arguments that do not fit, no such tool, too slow, an exception of
the tool, or a policy that did not let it through."""

_FENCED: Final = re.compile(r"```[a-z]*\n(.*?)```", re.DOTALL)
_ARGUMENTS: Final = ("arguments", "args", "parameters", "input")


@dataclass(frozen=True, slots=True)
class ToolCalls(FieldType):
    """The tools that a model wants called, in its order; an output.

    Where an endpoint has tool calling, these are its own calls and the prompt asks for none;
    elsewhere a JSON list that the model writes.

    Args:
        calls: each with its arguments as the model wrote them.
        message: the whole turn of the model, thinking included, as it must be shown to it again.
    """

    calls: tuple[ToolCall, ...] = ()
    _: KW_ONLY
    message: Message | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.calls)

    def render(self) -> str:
        """Return the calls as a JSON list."""
        return json.dumps(self.to_json(), ensure_ascii=False)

    def to_json(self) -> Any:
        """Return each call as its name and arguments."""
        return [_plain_call(call) for call in self.calls]

    @classmethod
    def describe(cls, *parameters: Any) -> str:
        """Return what a model must write."""
        return (
            'a JSON list of tool calls, each {"name": "...", "arguments": {...}}; '
            "an empty list for none"
        )

    @classmethod
    def json_schema(cls, *parameters: Any) -> dict[str, Any]:
        """Return the schema of `to_json`."""
        call = {
            "type": "object",
            "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
            "required": ["name", "arguments"],
        }
        return {"type": "array", "items": call}

    @classmethod
    def parse(cls, text: str, *parameters: Any) -> Self:
        """Return the calls of a JSON list, between fences or not; also of a single call."""
        fenced = _FENCED.search(text)
        try:
            return cls.from_json(from_json(fenced[1] if fenced else text))
        except ValueError as exc:
            raise ValueError(f"{text[:200]!r} is not {cls.describe()}: {exc}") from exc

    @classmethod
    def from_json(cls, data: Any, *parameters: Any) -> Self:
        """Return the calls of a list; of one call alone; or of an object that holds the list."""
        if isinstance(data, str):
            return cls.parse(data)

        if is_table(data):
            data = next((data[key] for key in ("tool_calls", "calls") if key in data), [data])

        if not _is_list(data):
            raise ValueError(f"{str(data)[:200]!r} is not a list")

        return cls(tuple(_read_call(row, index) for index, row in enumerate(data)))

    @classmethod
    def travels_natively(cls, capabilities: Compat, sampling: Sampling) -> bool:
        """Tell whether the endpoint has tool calling."""
        return capabilities.tools

    @classmethod
    def from_choice(cls, choice: Choice) -> Self | None:
        """Return the calls of an answer; None if it has none."""
        return cls(choice.tool_calls, message=choice.to_message()) if choice.tool_calls else None


@dataclass(frozen=True, slots=True)
class ToolResult(FieldType):
    """What one call of a tool gave: plain JSON data and perhaps images, or why it gave none.

    Args:
        name: of the tool.
        value: what it gave, as JSON data; of a failure, what went wrong, as a text.
        call_id: of the call that it answers.
        error: why it gave no result; None if it did.
        images: what it gave besides.
    """

    name: str
    value: Any = None
    _: KW_ONLY
    call_id: str = ""
    error: ToolFailure | None = None
    images: tuple[ImagePart, ...] = ()

    def __hash__(self) -> int:
        return hash((self.name, self.text, self.call_id, self.error))

    @property
    def text(self) -> str:
        """What a model is shown: a text as it is, anything else as JSON."""
        if isinstance(self.value, str):
            return self.value

        return json.dumps(self.value, ensure_ascii=False)

    def render(self) -> Content:
        """Return the text, and the images behind it."""
        return (TextPart(self.text), *self.images) if self.images else self.text

    def as_message(self) -> Message:
        """Return the turn that answers the call; images are for a turn of their own."""
        note = f"\n[{len(self.images)} images follow]" if self.images else ""
        return Message(
            "tool",
            self.text + note,
            tool_call_id=self.call_id,
            name=self.name,
            is_error=self.error is not None,
        )

    def to_json(self) -> Any:
        """Return the fields that hold something."""
        data: dict[str, Any] = {"name": self.name, "value": self.value}
        if self.call_id:
            data["call_id"] = self.call_id

        if self.error is not None:
            data["error"] = self.error

        if self.images:
            data["images"] = [image.url for image in self.images]

        return data

    @classmethod
    def from_json(cls, data: Any, *parameters: Any) -> Self:
        """Return the result that `to_json` wrote."""
        if not is_table(data) or "name" not in data:
            raise ValueError(f"{str(data)[:200]!r} is not the result of a tool")

        error = data.get("error")
        if error is not None and error not in get_args(ToolFailure):
            raise ValueError(f"{error!r} is not one of {get_args(ToolFailure)}")

        return cls(
            str(data["name"]),
            data.get("value"),
            call_id=str(data.get("call_id", "")),
            error=error,
            images=tuple(ImagePart(url) for url in data.get("images", ())),
        )


def read_arguments(text: str) -> Mapping[str, Any]:
    """Return the arguments of a call that a model wrote as JSON; none at all for an empty text.

    Raises:
        ValueError: it is no JSON object.
    """
    if not text.strip():
        return {}

    try:
        data = from_json(text)
    except (ValueError, TypeError) as exc:  # the second for halves of characters
        raise ValueError(f"the arguments are no JSON: {exc}: {text[:200]!r}") from exc

    if not is_table(data):
        raise ValueError(f"the arguments are no JSON object of names and values: {text[:200]!r}")

    return data


def _is_list(data: object) -> TypeGuard[list[Any]]:
    return isinstance(data, list)


def _read_call(row: Any, index: int) -> ToolCall:
    if not is_table(row):
        raise ValueError(f"{str(row)[:200]!r} is not a call: it needs a name and arguments")

    inner = row.get("function", row)
    name = inner.get("name", inner.get("tool")) if is_table(inner) else None
    if not isinstance(name, str) or not name:
        raise ValueError(f"the call {str(dict(row))[:200]} names no tool")

    given = [inner[key] for key in _ARGUMENTS if inner.get(key) is not None]
    arguments: Any = given[0] if given else {}
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    read_arguments(written)
    return ToolCall(str(row.get("id") or f"call_{index}"), name, written)


def _plain_call(call: ToolCall) -> dict[str, Any]:
    try:
        arguments: Any = dict(read_arguments(call.arguments))
    except ValueError:
        arguments = call.arguments  # as it was: whoever reads it again finds the same mistake

    return {"name": call.name, "arguments": arguments}
