"""Read a prompt: find the demonstrations, the question, and what is asked for, in text alone.

The layout is `[[ ## name ## ]]` headers at the start of a line, each followed by its value. User
turns hold inputs, assistant turns outputs (or one JSON object); the last user turn that has
sections is the question, and its last paragraph names the outputs. Nothing depends on the exact
sentences around this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.sandbox.similarity import Features

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = (
    "Demo",
    "Question",
    "read_demos",
    "read_headers",
    "read_question",
    "read_sections",
    "split_messages",
)

_HEADER: Final = re.compile(r"\[\[[ \t]*##[ \t]*(\w+)[ \t]*##[ \t]*\]\]")
_LINE_HEADER: Final = re.compile(r"^[ \t]*\[\[[ \t]*##[ \t]*(\w+)[ \t]*##[ \t]*\]\]", re.MULTILINE)
_NAME_IN_TICKS: Final = re.compile(r"`(\w+)`")
_END: Final = "completed"


@dataclass(frozen=True, slots=True)
class Demo:
    """One demonstration: the values of a user turn and of the assistant turn after it."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Question:
    """The turn to be answered: its inputs, the names of its outputs, the words that name them."""

    inputs: Mapping[str, str]
    outputs: tuple[str, ...]
    reminder: str
    as_json: bool

    @cached_property
    def text(self) -> str:
        """All inputs as one text."""
        return "\n".join(self.inputs.values())

    @cached_property
    def features(self) -> Features:
        """The features of that text."""
        return Features.of(self.text)


def split_messages(
    messages: Sequence[Mapping[str, str]],
) -> tuple[Sequence[Mapping[str, str]], str]:
    """Return what comes before the question, and the question's text.

    A last turn without sections, such as a request to repair an answer, leaves the question where
    it was: in the last user turn that has sections.
    """
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message["role"] == "user" and _LINE_HEADER.search(message["content"]):
            return messages[:index], message["content"]

    return messages[:-1], messages[-1]["content"] if messages else ""


def read_demos(messages: Iterable[Mapping[str, str]]) -> tuple[Demo, ...]:
    """Return the demonstrations: each user turn that is followed by an assistant turn."""
    demos: list[Demo] = []
    inputs: Mapping[str, str] = {}
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "user":
            inputs = read_sections(_without_reminder(content)[0])
        elif role == "assistant" and inputs:
            demos.append(Demo(inputs, _read_outputs(content)))
            inputs = {}

    return tuple(demos)


def read_sections(text: str) -> dict[str, str]:
    """Return the value under each header that starts a line; the end marker is left out."""
    pieces = _LINE_HEADER.split(text)
    return {
        name: value.strip()
        for name, value in zip(pieces[1::2], pieces[2::2], strict=True)
        if name != _END
    }


def read_question(text: str, *, asks_json: bool) -> Question:
    """Read the last turn; `asks_json` says whether what came before spoke of JSON."""
    body, reminder = _without_reminder(text)
    inputs = read_sections(body)
    headers = _HEADER.findall(reminder)
    as_json = not headers and (asks_json or "json" in reminder.lower())
    names = headers or (_NAME_IN_TICKS.findall(reminder) if as_json else [])
    outputs = dict.fromkeys(name for name in names if name not in inputs and name != _END)
    return Question(inputs or {"": body}, tuple(outputs), reminder, as_json)


def read_headers(text: str) -> list[str]:
    """Return the names in all headers of `text`, the end marker left out."""
    return [name for name in _HEADER.findall(text) if name != _END]


def _read_outputs(content: str) -> Mapping[str, str]:
    """Return the sections of an answer, or the members of the JSON object that it is."""
    sections = read_sections(content)
    if sections or not content.lstrip().startswith("{"):
        return sections

    try:
        members = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}

    return {key: _as_text(value) for key, value in members.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value

    return str(value) if isinstance(value, bool) else orjson.dumps(value).decode()


def _without_reminder(text: str) -> tuple[str, str]:
    """Split off the last paragraph if it speaks of outputs rather than being part of a value."""
    stripped = text.rstrip()
    start = stripped.rfind("\n\n")
    paragraph = stripped[start + 2 :] if start >= 0 else ""
    if not paragraph or _LINE_HEADER.match(paragraph):
        return text, ""

    if _HEADER.search(paragraph) or ("json" in paragraph.lower() and "`" in paragraph):
        return stripped[:start], paragraph

    return text, ""
