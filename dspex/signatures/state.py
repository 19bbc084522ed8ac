"""Fields as JSON: types as the string syntax writes them, other classes by import path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from dspex.errors import LoadError, SignatureError
from dspex.recipe import decode_argument, import_path, resolve
from dspex.signatures.annotations import has_metadata, named_classes
from dspex.signatures.encoding import is_table, to_jsonable
from dspex.signatures.fields import Field
from dspex.signatures.grammar import parse_signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ("fields_from_dict", "fields_to_dict")


def fields_to_dict(fields: Iterable[Field]) -> list[dict[str, Any]]:
    """Return fields as plain JSON data.

    Raises:
        TypeError: a type or a function in them cannot be imported by name; names the field.
    """
    return [_field_to_dict(field) for field in fields]


def fields_from_dict(data: Mapping[str, Any], version: int) -> list[Field]:
    """Return the fields of a saved signature.

    Raises:
        LoadError: it is of a newer version than `version`, or not a signature; names the field.
    """
    given: object = data
    found = data.get("version") if is_table(given) else None
    if not isinstance(found, int) or not isinstance(data.get("fields"), list):
        raise LoadError(f"not a signature: {data!r}")

    if found > version:
        raise LoadError(
            f"the signature is of version {found} and this dspex reads up to {version}: upgrade it"
        )

    return [_field_from_dict(row) for row in data["fields"]]


def _field_to_dict(field: Field) -> dict[str, Any]:
    where = f"field {field.name!r}"
    if has_metadata(field.annotation):
        raise TypeError(
            f"{where}: what Annotated says of its type cannot be saved: say it in "
            "InputField(...) or OutputField(...)"
        )

    data: dict[str, Any] = {"name": field.name, "role": field.role, "type": field.type_name}
    if types := _imports(field, where):
        data["types"] = types

    for name, value in field.options().items():
        data[name] = _option_to_json(value, f"{where}, {name}")

    return data


def _imports(field: Field, where: str) -> dict[str, str]:
    types: dict[str, str] = {}
    for cls in named_classes(field.annotation):
        path = import_path(cls, where)
        if types.setdefault(cls.__name__, path) != path:
            raise TypeError(f"{where}: two types in it are called {cls.__name__!r}: rename one")

    return types


def _option_to_json(value: Any, where: str) -> Any:
    if callable(value):
        return {"$import": import_path(value, where)}

    try:
        return to_jsonable(value)
    except TypeError as exc:
        raise TypeError(f"{where}: {exc}") from exc


def _field_from_dict(data: Any) -> Field:
    if not is_table(data):
        raise LoadError(f"not a field: {data!r}")

    row = dict(data)
    try:
        name: str = row.pop("name")
        role: Literal["input", "output"] = row.pop("role")
        annotation = _read_type(row.pop("type"), row.pop("types", {}))
        options = {key: _option_from_json(value) for key, value in row.items()}
        field = Field(name, role, annotation, **options)
        if role not in ("input", "output"):
            raise ValueError(f"its role is {role!r}")

        return _with_typed_default(field).checked()
    except (KeyError, TypeError, ValueError, SignatureError) as exc:
        raise LoadError(f"not a field: {data!r}: {exc}") from exc


def _with_typed_default(field: Field) -> Field:
    """Return the field with its default as a value of its type, which JSON could not say."""
    options = field.options()
    if options.get("default") is None:
        return field

    options["default"] = field.validate(options["default"])
    return Field(field.name, field.role, field.annotation, **options)


def _option_from_json(value: Any) -> Any:
    return decode_argument(value) if is_table(value) and "$import" in value else value


def _read_type(text: str, imports: Mapping[str, str]) -> Any:
    types = {name: resolve(path) for name, path in imports.items()}
    for name, cls in types.items():
        if not isinstance(cls, type):
            raise TypeError(f"{imports[name]!r} is not a type but {cls!r}")

    read = parse_signature(f"x: {text} -> y", types)
    if len(read) != 2:
        raise ValueError(f"{text!r} is not one type")

    return read[0].annotation
