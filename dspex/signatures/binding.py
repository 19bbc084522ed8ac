"""Checking the inputs of a call against the fields that take them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from dspex.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dspex.signatures.fields import Field

__all__ = ("bind_inputs", "object_schema")


def bind_inputs(
    fields: Sequence[Field], inputs: Mapping[str, Any], shape: object
) -> dict[str, Any]:
    """Return the checked inputs in the order of the fields, defaults filled in.

    Raises:
        InputError: an input is missing, unknown or of the wrong type; names each, and `shape`.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    given = 0
    for field in fields:
        name = field.name
        if name in inputs:
            given += 1
            try:
                values[name] = field.validate(inputs[name])
            except ValueError as exc:
                problems.append(_mistyped(field, inputs[name], exc))
        elif field.required:
            problems.append(f"input {name!r} is missing")
        else:
            values[name] = field.default_value()

    if given != len(inputs):
        problems += _unknown([field.name for field in fields], inputs)

    if problems:
        raise InputError(f"{'; '.join(problems)} ({shape})")

    return values


def object_schema(fields: Iterable[Field]) -> dict[str, Any]:
    """Return the JSON schema of an object that holds the fields and nothing else."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    required: list[str] = []
    for field in fields:
        schema = field.adapter().json_schema()
        definitions.update(schema.pop("$defs", {}))
        properties[field.name] = {**schema, **({"description": field.desc} if field.desc else {})}
        if field.required:
            required.append(field.name)

    result: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return {**result, "$defs": definitions} if definitions else result


def _mistyped(field: Field, value: Any, exc: ValueError) -> str:
    shown = repr(value)
    shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
    return f"input {field.name!r} must be {field.type_name}, got {shown}: {exc}"


def _unknown(names: list[str], inputs: Iterable[str]) -> list[str]:
    problems: list[str] = []
    for name in inputs:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            problems.append(f"unknown input {name!r}{hint}")

    return problems
