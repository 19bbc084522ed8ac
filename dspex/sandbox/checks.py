"""Checks of the values in a script: each names the key, shows the value and says what fits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dspex.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = (
    "checked_keys",
    "convert",
    "convert_each",
    "require_at_least",
    "require_between",
    "require_integer",
    "require_one_of",
    "require_type",
)

_Part = TypeVar("_Part")


def require_at_least(name: str, value: object, least: float) -> None:
    """Refuse what is no finite number, or is under `least`."""
    require_between(name, value, least, math.inf)


def require_between(name: str, value: object, least: float, most: float) -> None:
    """Refuse what is no finite number, or is outside [least, most]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SandboxError(f"{name}: expected a finite number, got {value!r}")

    if not least <= value <= most:
        bounds = f"at least {least}" if most == math.inf else f"between {least} and {most}"
        raise SandboxError(f"{name}: must be {bounds}, got {value!r}")


def require_integer(name: str, value: object, least: int) -> None:
    """Refuse what is no integer, or is under `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SandboxError(f"{name}: expected an integer of at least {least}, got {value!r}")


def require_one_of(name: str, value: object, known: Collection[str]) -> None:
    """Refuse what is none of the known words."""
    if value not in known:
        raise SandboxError(f"{name}: expected one of {', '.join(known)}; got {value!r}")


def require_type(name: str, value: object, *kinds: type[Any]) -> None:
    """Refuse what is of no such type."""
    if not isinstance(value, kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise SandboxError(f"{name}: expected {expected}, got {value!r}")


def convert(values: dict[str, Any], key: str, part: type[_Part]) -> None:
    """Replace the JSON object under `key`, if there is one, by the value it describes."""
    if values.get(key) is not None:
        values[key] = _converted(key, values[key], part)


def convert_each(values: dict[str, Any], key: str, part: type[_Part]) -> None:
    """Replace the list of JSON objects under `key`, if there is one, by a tuple of values."""
    if isinstance(items := values.get(key), list):
        listed = cast("list[object]", items)
        values[key] = tuple(_converted(f"{key}[{i}]", item, part) for i, item in enumerate(listed))


def checked_keys(place: str, target: type[Any], data: object) -> dict[str, Any]:
    """Return `data` as keyword arguments for `target`, or name the key that it does not have."""
    if not isinstance(data, Mapping):
        raise SandboxError(f"{place}: expected a JSON object, got {data!r}")

    known = [item.name for item in fields(target) if item.name != "_"]
    given = cast("Mapping[str, Any]", data)
    for key in given:
        if key not in known:
            raise SandboxError(f"{place}: unknown key {key!r}; known keys: {', '.join(known)}")

    return dict(given)


def _converted(place: str, data: object, part: type[_Part]) -> _Part:
    """Return the value that a JSON object describes; a part reads its own parts, if it has any."""
    arguments = checked_keys(place, part, data)
    prepare = getattr(part, "prepare", None)
    if prepare is not None:
        prepare(arguments)

    try:
        return part(**arguments)
    except TypeError as exc:
        raise SandboxError(f"{place}: {exc}; got {data!r}") from exc
