"""Read JSON that strangers sent: each function returns a checked value or names what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from dspex.sandbox.exchange import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = (
    "invalid",
    "kind_of",
    "read_flag",
    "read_integer",
    "read_json",
    "read_list",
    "read_number",
    "read_object",
    "read_parts",
    "read_some",
    "read_strings",
    "read_text",
)


def invalid(param: str, problem: str, code: str = "invalid_value") -> RequestError:
    """Return the error that names a parameter and its problem."""
    return RequestError(f"Invalid value for {param!r}: {problem}", param=param, code=code)


def kind_of(value: object) -> str:
    """Return what a value is, for a message."""
    return "null" if value is None else type(value).__name__


def read_json(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that a request's body is."""
    try:
        data: object = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise RequestError(f"We could not parse the JSON body of your request: {exc}") from exc

    if not isinstance(data, dict):
        raise RequestError(f"The request body must be a JSON object, got {kind_of(data)}")

    return cast("dict[str, Any]", data)


def read_object(place: str, value: object, *, optional: bool = True) -> dict[str, Any]:
    """Return a JSON object; one that is left out is empty if it may be."""
    if value is None and optional:
        return {}

    if not isinstance(value, dict):
        raise invalid(place, f"expected an object, got {kind_of(value)}")

    return cast("dict[str, Any]", value)


def read_list(place: str, value: object, *, optional: bool = True) -> list[object]:
    """Return a JSON list; one that is left out is empty if it may be."""
    if value is None and optional:
        return []

    if not isinstance(value, list):
        raise invalid(place, f"expected a list, got {kind_of(value)}")

    return cast("list[object]", value)


def read_some(place: str, value: object, said: str) -> list[object]:
    """Return a list of at least one item; `said` is the problem of anything else."""
    if not isinstance(value, list) or not value:
        raise invalid(place, said)

    return cast("list[object]", value)


def read_parts(place: str, value: object) -> list[object]:
    """Return the parts of a content that is no string."""
    if not isinstance(value, list):
        raise invalid(place, f"expected a string or a list of parts, got {kind_of(value)}")

    return cast("list[object]", value)


def read_text(place: str, value: object) -> str:
    """Return a string that is there and not empty."""
    if not isinstance(value, str) or not value:
        raise invalid(place, f"expected a string that is not empty, got {value!r}")

    return value


def read_strings(place: str, value: object) -> tuple[str, ...]:
    """Return a list of strings; one string alone is a list of one, and nothing an empty list."""
    if value is None:
        return ()

    if isinstance(value, str):
        return (value,)

    return tuple(read_text(place, item) for item in read_list(place, value))


def read_number(
    body: Mapping[str, Any], key: str, least: float, most: float, *, default: float
) -> float:
    """Return a number within bounds, or the default when it is left out."""
    value = body.get(key)
    if value is None:
        return default

    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise invalid(key, f"expected a number from {least} to {most}, got {value!r}")

    return float(value)


def read_integer(
    body: Mapping[str, Any], key: str, least: int | None = None, most: int | None = None
) -> int | None:
    """Return an integer within bounds, or None when it is left out."""
    value = body.get(key)
    if value is None:
        return None

    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(key, f"expected an integer, got {value!r}")

    if (least is not None and value < least) or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise invalid(key, f"expected an integer {bounds}, got {value!r}")

    return value


def read_flag(body: Mapping[str, Any], key: str) -> bool:
    """Return true or false; left out is false."""
    value = body.get(key)
    if value is None:
        return False

    if not isinstance(value, bool):
        raise invalid(key, f"expected true or false, got {value!r}")

    return value
