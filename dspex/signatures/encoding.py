"""Values of fields as plain JSON, for files, digests and events; one way only."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any, TypeGuard

import orjson
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from dspex.types.base import FieldType

__all__ = ("digest", "is_items", "is_table", "to_jsonable")


def to_jsonable(value: Any) -> Any:
    """Return `value` as plain JSON data, the same in every process: sets come sorted.

    Raises:
        TypeError: it holds something that has no JSON form.
    """
    if value is None or type(value) in (str, int, float, bool):
        return value

    if isinstance(value, FieldType):
        return to_jsonable(value.to_json())

    if isinstance(value, Enum):
        return to_jsonable(value.value)

    if is_items(value):
        plain = [to_jsonable(item) for item in value]
        return sorted(plain, key=_bytes) if isinstance(value, (set, frozenset)) else plain

    if isinstance(value, BaseModel):
        return to_jsonable(dict(value))

    if is_table(value):
        return {_key(key): to_jsonable(item) for key, item in value.items()}

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_jsonable(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }

    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, ValueError) as exc:
        raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}") from exc


def is_items(value: object) -> TypeGuard[Collection[Any]]:
    """Tell whether a value is a list, a tuple or a set."""
    return isinstance(value, (list, tuple, set, frozenset))


def is_table(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Tell whether a value is a mapping."""
    return isinstance(value, Mapping)


def digest(data: Any) -> str:
    """Return the SHA-256 of plain JSON data in hexadecimal, whatever the order of its keys."""
    return hashlib.sha256(_bytes(data)).hexdigest()


def _key(key: Any) -> str:
    plain = to_jsonable(key)
    return plain if isinstance(plain, str) else _bytes(plain).decode()


def _bytes(data: Any) -> bytes:
    try:
        return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits and lone surrogates are beyond orjson.
        return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
