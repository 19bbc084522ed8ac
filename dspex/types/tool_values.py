"""What tools take and give, as JSON data."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from dspex.types.base import FieldType

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("as_json", "call_digest")


def as_json(value: Any) -> Any:
    """Return a value as JSON data; what has none is shown as Python shows it."""
    if isinstance(value, FieldType):
        return value.as_text()

    try:
        return from_json(to_json(value, fallback=repr, inf_nan_mode="strings", bytes_mode="base64"))
    except ValueError:
        return repr(value)


def call_digest(name: str, arguments: Mapping[str, Any]) -> str:
    """Return what tells one call from another, the same in every process."""
    told = json.dumps([name, as_json(dict(arguments))], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()
