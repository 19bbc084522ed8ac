"""What a prompt says about an output: the values it may take, or the type that it has.

Lists of values are found near the output's name in the usual ways of writing them: `Literal[...]`,
"one of: a; b", `"enum": [...]` in a JSON schema, true or false.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson

__all__ = ("OutputField", "Value", "read_field", "read_schema")

Value = str | int | float | bool | None
"""What an output may hold: a Literal's members keep their types."""

_HEADER: Final = re.compile(r"\[\[[ \t]*##[ \t]*\w+[ \t]*##[ \t]*\]\]")
_LITERAL: Final = re.compile(r"Literal\[")
_ONE_OF: Final = re.compile(r"\bone of:?[ \t]*(.+)", re.IGNORECASE)
_BOOLEAN: Final = re.compile(r"\bbool\b|`?\btrue`? or `?false\b", re.IGNORECASE)
_CONTAINER: Final = re.compile(r"\b(?:list|dict|set|frozenset|tuple|Sequence|Mapping)\[")
_SCHEMA: Final = re.compile(r"\bschema: *(\{.*\})")
_NEXT_REMARK: Final = re.compile(r"\. for example ")
_ENUM: Final = re.compile(r'"enum"\s*:\s*(\[[^\]]*\])')
_EMPTY_OF_TYPE: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"\b(?:list|set|tuple|array)\b", re.IGNORECASE), "[]"),
    (re.compile(r"\b(?:dict|object)\b", re.IGNORECASE), "{}"),
    (re.compile(r"\b(?:int|integer|whole number)\b"), "0"),
    (re.compile(r"\b(?:float|number)\b"), "0.0"),
)
_WINDOW_CHARS: Final = 4000


@dataclass(frozen=True, slots=True)
class OutputField:
    """An output: the values it may take (empty: any text), and what stands for no answer at all."""

    name: str
    allowed: tuple[Value, ...]
    empty: str | None


def read_schema(schema: Mapping[str, Any]) -> tuple[OutputField, ...]:
    """Return the members that a JSON schema of an object describes."""
    members = _mapping(schema.get("properties"))
    return tuple(_schema_field(name, spec, schema) for name, spec in members.items())


def read_field(name: str, texts: Iterable[str], others: Iterable[str] = ()) -> OutputField:
    """Find what `texts` say about the output `name`, up to where they go on about `others`."""
    ends = [f"`{re.escape(other)}`" for other in others if other != name]
    following = re.compile("|".join([_HEADER.pattern, *ends]))
    empty: str | None = None
    for text in texts:
        for window in _windows(name, text, following):
            if spec := _schema_in(window):
                return _schema_field(name, spec, spec)

            if allowed := _allowed(window):
                return OutputField(name, allowed, None)

            empty = empty or _empty_of_type(window)

    return OutputField(name, (), empty)


def _schema_field(name: str, spec: object, schema: Mapping[str, Any]) -> OutputField:
    """Read one member's schema; a reference is followed once, into the definitions."""
    said = _mapping(spec)
    if isinstance(reference := said.get("$ref"), str):
        said = _mapping(_mapping(schema.get("$defs")).get(reference.rpartition("/")[2]))

    if said.get("type") == "boolean":
        return OutputField(name, (True, False), None)

    empties = {"integer": "0", "number": "0.0", "array": "[]", "object": "{}"}
    return OutputField(name, _values(said.get("enum")), empties.get(str(said.get("type"))))


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _values(found: object) -> tuple[Value, ...]:
    """Return the members of a list that an output can hold."""
    if not isinstance(found, Iterable) or isinstance(found, str):
        return ()

    members = cast("Iterable[object]", found)
    return tuple(item for item in members if item is None or isinstance(item, str | int | float))


def _windows(name: str, text: str, following: re.Pattern[str]) -> Iterable[str]:
    """Yield the text after each place that names `name`, up to the line's end or `following`."""
    escaped = re.escape(name)
    header = rf"(?P<header>\[\[[ \t]*##[ \t]*{escaped}[ \t]*##[ \t]*\]\])"
    place = re.compile(rf'{header}|`{escaped}`|"{escaped}"')
    for match in place.finditer(text):
        start = match.end()
        stop = text.find("\n", start)
        if match["header"] and stop == start:
            stop = text.find("\n", start + 1)

        window = text[start : stop if stop >= 0 else len(text)][:_WINDOW_CHARS]
        end = following.search(window)
        yield window[: end.start()] if end else window


def _allowed(window: str) -> tuple[Value, ...]:
    """Return the values that a window lists for the field itself, not for items in it."""
    if _CONTAINER.search(window):
        return ()

    if match := _LITERAL.search(window):
        return _literal_members(window[match.end() :])

    if match := _ENUM.search(window):
        return _json_members(match[1])

    if match := _ONE_OF.search(window):
        return _listed(match[1])

    return (True, False) if _BOOLEAN.search(window) else ()


def _literal_members(text: str) -> tuple[Value, ...]:
    """Return the members of `Literal[` ... `]`, whose opening bracket has been read."""
    end = text.find("]")
    while end >= 0:
        try:
            return _values(ast.literal_eval(f"({text[:end]},)"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            end = text.find("]", end + 1)

    return ()


def _json_members(text: str) -> tuple[Value, ...]:
    try:
        return _values(orjson.loads(text))
    except orjson.JSONDecodeError:
        return ()


def _schema_in(window: str) -> Mapping[str, Any]:
    """Return the JSON schema that a window spells out, or an empty one."""
    match = _SCHEMA.search(window)
    try:
        return _mapping(orjson.loads(match[1])) if match else {}
    except orjson.JSONDecodeError:
        return {}


def _listed(text: str) -> tuple[Value, ...]:
    """Return the members of a list in prose, separated by semicolons, bars or commas."""
    text = _NEXT_REMARK.split(text, maxsplit=1)[0]
    inside, closed, _ = text.partition(")")
    if closed and "(" not in inside:
        text = inside

    separator = next((mark for mark in (";", "|", ",") if mark in text), None)
    if separator is None:
        return ()

    members = [part.strip().rstrip(".)").strip("`'\" ") for part in text.split(separator)]
    return tuple(dict.fromkeys(member for member in members if member))


def _empty_of_type(window: str) -> str | None:
    for pattern, empty in _EMPTY_OF_TYPE:
        if pattern.search(window):
            return empty

    return None
