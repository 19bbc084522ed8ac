"""Reading what the values of our own types name, wherever in a value they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeGuard

from pydantic import BaseModel

from dspex.types.base import FieldType

__all__ = ("load_all",)


async def load_all(value: Any) -> Any:
    """Return a value in which everything is in memory; itself where everything was.

    Raises:
        OSError: a file cannot be read.
        ValueError: nothing tells what kind of bytes a file holds.
    """
    if isinstance(value, FieldType):
        return await value.load()

    if _is_items(value):
        items = [await load_all(item) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)

    changes = {name: await load_all(item) for name, item in _members(value).items()}
    if all(changes[name] is item for name, item in _members(value).items()):
        return value

    return _changed(value, changes)


def _members(value: Any) -> Mapping[Any, Any]:
    if _is_table(value):
        return value

    if isinstance(value, BaseModel):
        return dict(value)

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}

    return {}


def _changed(value: Any, members: dict[Any, Any]) -> Any:
    if isinstance(value, BaseModel):
        return value.model_copy(update=members)

    return members if _is_table(value) else dataclasses.replace(value, **members)


def _is_items(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return type(value) in (list, tuple)


def _is_table(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)
