"""JSON schemas in the strict subset that providers enforce while the model writes.

The subset is OpenAI's, which the others' contain: objects name all their properties and require
each, unions are `anyOf`, and a handful of keywords is known. What it cannot say (an object with any
keys, a tuple, anything at all) has no strict schema. What it may leave unsaid (lengths, patterns
with look-around) is left out here and checked when the answer is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic.errors import PydanticInvalidForJsonSchema

from dspex.signatures.binding import object_schema
from dspex.signatures.encoding import is_items, is_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex.signatures.fields import Field

__all__ = ("plain_schema", "strict_schema")

_KEPT: Final = frozenset(
    {
        "$ref",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "type",
    }
)
_DROPPED: Final = frozenset(
    {"default", "discriminator", "examples", "maxLength", "minLength", "title", "uniqueItems"}
)
_FORMATS: Final = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)
_MAX_DEPTH: Final = 10
_MAX_PROPERTIES: Final = 1_000


class _NotStrictError(Exception):
    """The subset cannot say it."""


def plain_schema(fields: Sequence[Field]) -> dict[str, Any]:
    """Return the JSON schema of an object of the fields, with all that can be said."""
    return object_schema(fields)


def strict_schema(fields: Sequence[Field]) -> dict[str, Any] | None:
    """Return the schema of an object of the fields in the strict subset; None if it has none."""
    if not fields:
        return None

    try:
        schema = object_schema(fields)
        strict = _object(schema, 0)
        if definitions := schema.get("$defs"):
            strict["$defs"] = {name: _strict(inner, 1) for name, inner in definitions.items()}
    except (_NotStrictError, PydanticInvalidForJsonSchema):
        return None

    return strict if _count_properties(strict) <= _MAX_PROPERTIES else None


def _strict(schema: Any, depth: int) -> dict[str, Any]:
    if not is_table(schema) or depth > _MAX_DEPTH:
        raise _NotStrictError

    if "$ref" in schema:  # nothing may stand beside it
        return {"$ref": schema["$ref"]}

    if "allOf" in schema and len(schema["allOf"]) == 1:
        return _strict(schema["allOf"][0], depth)

    for kind in ("anyOf", "oneOf"):
        if kind in schema:
            described = {key: schema[key] for key in ("description",) if key in schema}
            return {"anyOf": [_strict(member, depth) for member in schema[kind]], **described}

    if schema.get("type") == "object":
        return _object(schema, depth)

    if schema.get("type") == "array":
        return _array(schema, depth)

    if not schema.keys() & {"type", "enum", "const"}:
        raise _NotStrictError

    return _keywords(schema)


def _object(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if "properties" not in schema or schema.get("additionalProperties", False) is not False:
        raise _NotStrictError

    strict = _keywords(schema, "properties", "required", "additionalProperties", "$defs")
    properties = {name: _strict(inner, depth + 1) for name, inner in schema["properties"].items()}
    return {
        **strict,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if "items" not in schema or "prefixItems" in schema:
        raise _NotStrictError

    return {**_keywords(schema, "items"), "items": _strict(schema["items"], depth + 1)}


def _keywords(schema: Mapping[str, Any], *handled: str) -> dict[str, Any]:
    strict: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _KEPT:
            strict[key] = value
        elif key == "pattern":
            if "(?" not in value:
                strict[key] = value
        elif key == "format":
            if value in _FORMATS:
                strict[key] = value
        elif key not in _DROPPED and key not in handled:
            raise _NotStrictError

    return strict


def _count_properties(schema: Any) -> int:
    if is_table(schema):
        own = len(schema["properties"]) if is_table(schema.get("properties")) else 0
        return own + sum(map(_count_properties, schema.values()))

    return sum(map(_count_properties, schema)) if is_items(schema) else 0
