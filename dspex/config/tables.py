"""Settings as nested tables, before they are checked: looked up, laid over each other, walked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, TypeGuard

__all__ = ("Location", "find", "is_mapping", "leaves", "merge")

Location: TypeAlias = tuple[int | str, ...]
"""Where a value stands: the names of its tables, and its own."""


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Tell whether a value is a table."""
    return isinstance(value, Mapping)


def find(data: object, location: Location) -> object:
    """Return what stands at `location`, or None."""
    for part in location:
        data = data.get(str(part)) if is_mapping(data) else None

    return data


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both tables as one; what stands above wins, table by table."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if is_mapping(old) and is_mapping(value) else value

    return merged


def leaves(data: Mapping[str, Any], above: Location = ()) -> Iterator[tuple[Location, Any]]:
    """Yield each value that is no table, with its place."""
    for name, value in data.items():
        here = (*above, name)
        if is_mapping(value):
            yield from leaves(value, here)
        else:
            yield here, value
