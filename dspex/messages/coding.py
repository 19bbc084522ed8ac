"""How the frozen data of a call becomes JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any, cast

import orjson

__all__ = ("plain", "to_dict")


def plain(value: object) -> object:
    """Return what JSON can say of a value that is no dataclass, list, text or number."""
    if isinstance(value, Decimal):
        return str(value)

    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))

    raise TypeError(f"{type(value).__name__} is not JSON: {value!r}")


def to_dict(value: Any) -> dict[str, Any]:
    """Return a dataclass as plain JSON data, lone surrogates and large integers included."""
    try:
        data: dict[str, Any] = orjson.loads(orjson.dumps(value, plain))
    except orjson.JSONEncodeError:
        data = json.loads(json.dumps(asdict(value), default=plain))

    return data
