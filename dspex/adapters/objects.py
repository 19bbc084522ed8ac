"""Finding the fields of an answer in a JSON object, however much stands around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.adapters.loose_json import read_json
from dspex.adapters.sections import fold_name
from dspex.signatures.encoding import is_items, is_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ("fields_of_object", "named_fields")


def fields_of_object(text: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what the JSON object in a text says of each field; nothing if there is none.

    Of several objects the first counts that has the most fields.
    """
    try:
        data = read_json(text)
    except ValueError:
        return {}

    found = [named_fields(table, names) for table in _tables(data)]
    return max(found, key=len) if found else {}


def named_fields(table: Mapping[Any, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of a table by the names of the fields they belong to."""
    return {
        name: value
        for key, value in table.items()
        if (name := names.get(str(key)) or names.get(fold_name(str(key))))
    }


def _tables(data: Any) -> Iterable[Mapping[Any, Any]]:
    if is_table(data):
        return (data,)

    return (item for item in data if is_table(item)) if is_items(data) else ()
