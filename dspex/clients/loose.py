"""Reading JSON that may be anything: what is not as it should be is read as missing."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

__all__ = ("count_of", "is_list", "is_object", "list_of", "object_of", "text_of")

_MOST: Final = 2**53


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Say whether `value` is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Say whether `value` is a JSON list."""
    return isinstance(value, list)


def object_of(value: object) -> dict[str, Any]:
    """Return an object, empty for anything else."""
    return value if is_object(value) else {}


def list_of(value: object) -> list[Any]:
    """Return a list, empty for anything else."""
    return value if is_list(value) else []


def text_of(value: object) -> str:
    """Return a text: a string, or the text parts of a list joined; empty for anything else."""
    if isinstance(value, str):
        return value

    if not is_list(value):
        return ""

    parts = (object_of(part).get("text") for part in value)
    return "".join(part for part in parts if isinstance(part, str))


def count_of(value: object) -> int:
    """Return a count; 0 for what is negative, not finite, absurdly large, or no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0

    return int(value) if 0 <= value < _MOST else 0
