"""Values of fields as the text of a prompt, and the words that tell a model what a field takes."""

from __future__ import annotations

import json
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

from dspex.signatures.annotations import type_name, union_members, unwrap
from dspex.signatures.constraints import CONSTRAINTS
from dspex.signatures.encoding import to_jsonable
from dspex.types.base import FieldType, field_type_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.signatures.fields import Field

__all__ = (
    "choices",
    "describe_field",
    "is_any_text",
    "render_field",
    "render_value",
    "requirement",
)

_NOUNS: Final[Mapping[type, str]] = {
    str: "text",
    bool: "`true` or `false`",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    type(None): "`null`",
}
_ISO_FORMS: Final = frozenset({"date", "date-time", "duration", "time"})


def render_value(value: Any) -> str:
    """Return a value as text, as a model would write it: strings as they are, all else as JSON."""
    if isinstance(value, FieldType):
        return value.as_text()

    if isinstance(value, Enum):
        return render_value(value.value)

    if isinstance(value, str):
        return value

    plain = to_jsonable(value)
    # A date or a Decimal is a bare word here and a quoted string inside a list.
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def render_field(field: Field, value: Any) -> str:
    """Return a field's value as text, by its own `format` where it has one."""
    return field.format(value) if callable(field.format) else render_value(value)


def choices(annotation: Any) -> tuple[str, ...]:
    """Return the texts that a Literal or an enum allows; nothing for another type."""
    annotation = unwrap(annotation)
    if get_origin(annotation) is Literal:
        return tuple(render_value(value) for value in get_args(annotation))

    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(render_value(member) for member in annotation)

    return ()


def requirement(field: Field) -> str:
    """Return what the text of an output must look like, or nothing where any text will do."""
    parts = [part for part in (_form(field.annotation), _limits(field)) if part]
    if isinstance(field.format, str):
        parts.append(f"form: {field.format}")

    return "; ".join(parts)


def describe_field(field: Field) -> str:
    """Return one line about a field: name, type, description, what it must be, examples."""
    parts = [field.desc] if field.desc else []
    if field.role == "output" and (needed := requirement(field)):
        parts.append(needed)
    elif field.role == "input" and (limits := _limits(field)):
        parts.append(limits)

    if field.examples:
        parts.append("for example " + "; ".join(render_value(item) for item in field.examples))

    head = f"`{field.name}` ({field.type_name})"
    return f"{head}: {'. '.join(parts)}" if parts else head


def _form(annotation: Any) -> str:
    annotation = unwrap(annotation)
    members = union_members(annotation)
    others = [member for member in members if member is not type(None)]
    nullable = len(others) < len(members)
    if allowed := choices(others[0] if len(others) == 1 else annotation):
        allowed = (*allowed, "null") if nullable else allowed
        return f"must exactly match one of: {'; '.join(allowed)}"

    if is_any_text(annotation):
        return ""

    return "must be " + " or ".join(_noun(member) for member in members or (annotation,))


def _noun(annotation: Any) -> str:
    annotation = unwrap(annotation)
    if allowed := choices(annotation):
        return f"one of ({'; '.join(allowed)})"

    if isinstance(annotation, type) and annotation in _NOUNS:
        return _NOUNS[annotation]

    if not union_members(annotation) and (found := field_type_of(annotation)):
        cls, parameters = found
        return cls.describe(*parameters)

    try:
        schema = TypeAdapter(annotation).json_schema()
    except PydanticInvalidForJsonSchema:
        return f"a {type_name(annotation)}"

    if schema.get("type") == "string":
        form = str(schema.get("format", type_name(annotation)))
        return f"a {form} in ISO form" if form in _ISO_FORMS else f"a {form}"

    return f"JSON of this schema: {json.dumps(schema, ensure_ascii=False)}"


def is_any_text(annotation: Any) -> bool:
    """Tell whether any text at all is a value of the type."""
    if annotation is str:
        return True

    found = field_type_of(annotation)
    return found is not None and issubclass(found[0], str) and found[0].describe() == "text"


def _limits(field: Field) -> str:
    return ", ".join(CONSTRAINTS[name].format(value) for name, value in field.constraints.items())
