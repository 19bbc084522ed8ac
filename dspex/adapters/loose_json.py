"""The JSON in a model's text, however it stands there: strict, fenced, among words, or broken."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

import json_repair
from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("json_candidates", "read_json", "takes_long")

# Repairing takes some 0.3 ms per KB, at the worst 2 ms for the first KB and the square of that, so
# that programs read what is long in a thread; and far more where brackets are never closed.
_LONG: Final = 8_000
_LONG_WITH_BRACKETS: Final = 1_000
_MAX_REPAIR: Final = 20_000
_MAX_DEPTH: Final = 30
_MAX_BRACKETS: Final = 1_500
_MAX_LITERAL: Final = 20_000
_OPENING: Final = re.compile(r"[{\[]")
_BRACKET: Final = re.compile(r"[{}\[\]]")
_HALF_ESCAPE: Final = re.compile(r"(?<!\\)((?:\\\\){0,100})\\(?:u[0-9a-fA-F]{0,3})?\Z")
_UNREADABLE: Final = object()


def read_json(text: str) -> Any:
    """Return the JSON in a text: strictly read, else without fences and chatter around it.

    Raises:
        ValueError: there is none.
    """
    if (value := _strict_json(text)) is not _UNREADABLE:
        return value

    for read in (_enclosed_json, _repaired_json):
        if (value := read(text)) is not _UNREADABLE:
            return value

    raise ValueError("there is no JSON in it")


def takes_long(text: str) -> bool:
    """Tell whether reading an answer may take milliseconds, which an event loop must not wait for.

    Without brackets, those of `[[ ## name ## ]]` aside, there is nothing to repair.
    """
    if len(text) <= _LONG_WITH_BRACKETS:
        return False

    return len(text) > _LONG or "{" in text or text.count("[") > 2 * text.count("[[ ##")


def json_candidates(text: str) -> Iterator[Any]:
    """Yield what a text may mean: JSON, a Python literal, JSON once repaired, the text itself."""
    if (value := _strict_json(text)) is not _UNREADABLE:
        yield value

    if (value := _python_literal(text)) is not _UNREADABLE:
        yield value

    for repaired in (_enclosed_json, _repaired_json):
        if (value := repaired(text)) is not _UNREADABLE:
            yield value

    yield text


def _strict_json(text: str) -> Any:
    try:
        return from_json(text)
    except (ValueError, TypeError):  # the latter for text that UTF-8 cannot carry
        return _UNREADABLE


def _depth(text: str) -> int:
    """Return how deep the brackets of a text go, those in its strings included.

    Too many are as bad as too deep, and counted so.
    """
    marks = _BRACKET.findall(text)
    depth = deepest = 0
    for mark in marks:
        depth = depth + 1 if mark in "{[" else max(0, depth - 1)
        deepest = max(deepest, depth)

    return deepest if len(marks) <= _MAX_BRACKETS else _MAX_DEPTH + 1


def _python_literal(text: str) -> Any:
    if len(text) > _MAX_LITERAL:
        return _UNREADABLE

    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _UNREADABLE


def _enclosed_json(text: str) -> Any:
    """Read what stands between the first and the last bracket: fences and chatter are outside."""
    first = _OPENING.search(text)
    if first is None:
        return _UNREADABLE

    last = text.rfind("}" if first[0] == "{" else "]")
    return _strict_json(text[first.start() : last + 1]) if last > first.start() else _UNREADABLE


def _repaired_json(text: str) -> Any:
    if len(text) > _MAX_REPAIR or not 0 < _depth(text) <= _MAX_DEPTH:
        return _UNREADABLE

    try:
        whole = _HALF_ESCAPE.sub(r"\1", text)
        value: Any = json_repair.loads(whole, skip_json_loads=True)
    except (ValueError, RecursionError):
        return _UNREADABLE

    return _UNREADABLE if value == "" else value
