"""The limits a field may set, in words, and which types can carry them."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, get_origin

from dspex.signatures.annotations import union_members, unwrap

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("CONSTRAINTS", "unfit_constraint")

CONSTRAINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gt": "greater than {}",
        "ge": "at least {}",
        "lt": "less than {}",
        "le": "at most {}",
        "multiple_of": "a multiple of {}",
        "min_length": "length at least {}",
        "max_length": "length at most {}",
        "pattern": "matching the pattern {}",
    }
)
"""The constraints a field may carry, in words."""

_SIZED: Final = (str, bytes, list, tuple, set, frozenset, dict)
_ORDERED: Final = (int, float, Decimal, date, time, timedelta)
_CARRIERS: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("gt", "ge", "lt", "le"), _ORDERED),
    **dict.fromkeys(("min_length", "max_length"), _SIZED),
    "multiple_of": (int, float, Decimal),
    "pattern": (str,),
}


def unfit_constraint(annotation: Any, names: Mapping[str, Any]) -> str | None:
    """Return the first constraint that means nothing for a type; None if all mean something.

    pydantic would notice most of these only when a value comes.
    """
    members = union_members(annotation) or (annotation,)
    plain = [unwrap(member) for member in members if member is not type(None)]
    classes = [get_origin(member) or member for member in plain]
    for name in names:
        if not any(_may_carry(cls, name) for cls in classes):
            return name

    return None


def _may_carry(cls: Any, constraint: str) -> bool:
    if cls is Literal or cls is bool:
        return False

    if not isinstance(cls, type) or not issubclass(cls, (*_SIZED, *_ORDERED)):
        return True  # a class of the user's may support anything

    return issubclass(cls, _CARRIERS[constraint])
