"""Make a JSON value that a JSON schema accepts, keeping what already fits.

A member is, in this order: the value that is there, if the schema accepts it; the schema's `const`,
its `default`, its first `enum` member; the text at hand for a string; zero, false, an empty list.
Read are type, enum, const, default, properties, required, items, anyOf, oneOf, allOf, $ref into the
same schema, and the bounds of numbers, strings and lists. `pattern`, `format` and `not` are not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, cast

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Filling", "same_json")

_MISSING: Final = object()
_MAX_DEPTH: Final = 12
_OPTIONAL_DEPTH: Final = 3

_Schema = dict[str, Any]


class Filling:
    """Values for one schema; `text` is what a string holds when nothing else is known."""

    def __init__(self, schema: Mapping[str, Any], text: str = "") -> None:
        """Keep the schema that references point into."""
        self._root = dict(schema)
        self._text = text

    def value(self, found: object = _MISSING) -> object:
        """Return `found` as far as the schema accepts it, the rest made up."""
        return self._value(found, self._root, 0)

    def _value(self, found: object, schema: object, depth: int) -> object:
        """Return a value for one part of the schema."""
        part = self._resolved(schema)
        if "const" in part:
            return part["const"]

        if options := _schemas(part.get("anyOf") or part.get("oneOf")):
            return self._either(found, options, depth)

        if (choices := part.get("enum")) and isinstance(choices, list):
            return _one_of(found, cast("list[object]", choices), part)

        if found is _MISSING and "default" in part:
            found = part["default"]

        return self._typed(found, part, depth)

    def _typed(self, found: object, part: _Schema, depth: int) -> object:
        """Return a value of the type that the part names."""
        match _kind(part, found):
            case "object":
                return self._object(found, part, depth)
            case "array":
                return self._array(found, part, depth)
            case "string":
                return _string(found, part, self._text)
            case "integer" | "number" as kind:
                return _number(found, part, whole=kind == "integer")
            case "boolean":
                return found if isinstance(found, bool) else False
            case "null":
                return None
            case _:
                return self._text if found is _MISSING else found

    def _resolved(self, schema: object) -> _Schema:
        """Follow references, and lay the parts of `allOf` over each other."""
        part = _mapping(schema)
        for _ in range(_MAX_DEPTH):
            if not isinstance(reference := part.get("$ref"), str):
                break

            part = self._pointed(reference)

        merged = dict(part)
        for extra in _schemas(part.get("allOf")):
            more = self._resolved(extra) if "allOf" not in extra else extra
            properties = {**_mapping(merged.get("properties")), **_mapping(more.get("properties"))}
            required = [*_names(merged.get("required")), *_names(more.get("required"))]
            merged = {**merged, **more, "properties": properties, "required": required}

        return merged

    def _pointed(self, reference: str) -> _Schema:
        """Return what a JSON pointer into this schema points at."""
        part: object = self._root
        for name in reference.removeprefix("#").split("/")[1:]:
            part = _mapping(part).get(name.replace("~1", "/").replace("~0", "~"))

        return _mapping(part)

    def _either(self, found: object, options: list[_Schema], depth: int) -> object:
        """Return `found` under the first option that takes it as it is; else fill the first."""
        if found is not _MISSING:
            for option in options:
                if same_json(self._value(found, option, depth), found):
                    return found

        filled = [option for option in options if self._resolved(option).get("type") != "null"]
        if depth >= _OPTIONAL_DEPTH and len(filled) < len(options):
            return None

        return self._value(found, (filled or options)[0], depth)

    def _object(self, found: object, part: _Schema, depth: int) -> object:
        """Keep the members that belong; add those that must be there, and near optional ones."""
        given = _mapping(found)
        properties = _mapping(part.get("properties"))
        required = _names(part.get("required"))
        members: dict[str, object] = {}
        for name, schema in properties.items() if depth < _MAX_DEPTH else ():
            if name in given or name in required or depth < _OPTIONAL_DEPTH:
                members[name] = self._value(given.get(name, _MISSING), schema, depth + 1)

        extra = part.get("additionalProperties", True)
        for name in given.keys() - properties.keys() if extra is not False else ():
            members[name] = self._value(given[name], extra, depth + 1)

        for name in required:
            members.setdefault(name, self._text)

        return members

    def _array(self, found: object, part: _Schema, depth: int) -> object:
        """Fit each item, then the length."""
        given = cast("list[object]", found) if isinstance(found, list) else []
        least, most = _bound(part, "minItems", 0), _bound(part, "maxItems", math.inf)
        items = part.get("items", {})
        missing = [_MISSING] * max(0, int(least) - len(given))
        wanted = [*given, *missing][: len(given) + len(missing) if most == math.inf else int(most)]
        return [self._value(item, items, depth + 1) for item in wanted]


def same_json(one: object, other: object) -> bool:
    """Say whether two values are the same in JSON, where false is not 0 and order is nothing."""
    if one != other:
        return False

    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        other, option=orjson.OPT_SORT_KEYS
    )


def _mapping(value: object) -> _Schema:
    return cast("_Schema", value) if isinstance(value, dict) else {}


def _schemas(value: object) -> list[_Schema]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [_mapping(item) for item in items]


def _names(value: object) -> list[str]:
    """Return a list of names, or none."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str)]


def _kind(part: _Schema, found: object) -> str:
    """Return the type to make: of several, the one that `found` has, else the first."""
    named = part.get("type")
    if isinstance(named, list):
        kinds = [str(kind) for kind in cast("list[object]", named)]
        return next((kind for kind in kinds if _is_a(found, kind)), kinds[0] if kinds else "")

    if named is None:
        return "object" if "properties" in part else "array" if "items" in part else ""

    return str(named)


def _is_a(value: object, kind: str) -> bool:
    """Say whether a value has a JSON type."""
    if isinstance(value, bool):
        return kind == "boolean"

    kinds = {"string": str, "integer": int, "number": int | float, "array": list, "object": dict}
    return value is None if kind == "null" else isinstance(value, kinds.get(kind, ()))


def _one_of(found: object, choices: list[object], part: _Schema) -> object:
    """Return `found` if it is a choice, else the default, else the first."""
    if any(found == choice and type(found) is type(choice) for choice in choices):
        return found

    default = part.get("default", choices[0])
    return default if default in choices else choices[0]


def _string(found: object, part: _Schema, text: str) -> str:
    """Return text within the bounds of its length."""
    words = found if isinstance(found, str) else text
    least = int(_bound(part, "minLength", 0))
    most = _bound(part, "maxLength", math.inf)
    return words.ljust(least, "x") if most == math.inf else words.ljust(least, "x")[: int(most)]


def _number(found: object, part: _Schema, *, whole: bool) -> object:
    """Return a number within bounds; Draft 4's booleans for exclusive bounds are not known."""
    given = isinstance(found, int | float) and not isinstance(found, bool)
    if given and (not whole or isinstance(found, int) or float(cast("float", found)).is_integer()):
        number = cast("float", found)
        if _within(number, part):
            return number

    step = _bound(part, "multipleOf", 1 if whole else 0)
    least = max(_bound(part, "minimum", -math.inf), _bound(part, "exclusiveMinimum", -math.inf))
    most = min(_bound(part, "maximum", math.inf), _bound(part, "exclusiveMaximum", math.inf))
    start = min(max(0, least), most)
    candidates = [start, math.ceil(start), start + step, start - step, start + 1, start - 1]
    if step:
        candidates += [math.ceil(start / step) * step, math.floor(start / step) * step]
        candidates += [candidates[-2] + step, candidates[-1] - step]

    if least != -math.inf and most != math.inf:
        candidates.append((least + most) / 2)

    fitting = [item for item in candidates if _within(item, part)]
    chosen = next((item for item in fitting if not whole or float(item).is_integer()), start)
    return int(chosen) if float(chosen).is_integer() else chosen


def _within(number: float, part: _Schema) -> bool:
    """Say whether a number keeps to its bounds and to its step."""
    step = _bound(part, "multipleOf", 0)
    return (
        _bound(part, "minimum", -math.inf) <= number <= _bound(part, "maximum", math.inf)
        and number > _bound(part, "exclusiveMinimum", -math.inf)
        and number < _bound(part, "exclusiveMaximum", math.inf)
        and (not step or math.isclose(number / step, round(number / step)))
    )


def _bound(part: _Schema, key: str, default: float) -> float:
    """Return a bound; JSON made from protocol buffers has long integers as strings."""
    value = part.get(key, default)
    if isinstance(value, str) and value.isdigit():
        return int(value)

    return value if isinstance(value, int | float) and not isinstance(value, bool) else default
