"""Types of fields as text: the names the string syntax knows, and how a type is written down.

`type_name` writes what the string syntax reads, so that a signature's text gives the signature back
and a saved signature is readable.
"""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import types
import typing
import uuid
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from dspex import types as field_types
from dspex.types.base import FieldType, field_type_of

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ("TYPES", "has_metadata", "named_classes", "type_name", "union_members", "unwrap")

TYPES: Final[Mapping[str, Any]] = types.MappingProxyType(
    {
        "str": str,
        "int": int,
        "float": float,
        "bool": bool,
        "bytes": bytes,
        "list": list,
        "dict": dict,
        "tuple": tuple,
        "set": set,
        "frozenset": frozenset,
        "object": object,
        "None": None,
        "Any": Any,
        "Literal": Literal,
        "Optional": typing.Optional,
        "Union": Union,
        "List": list,
        "Dict": dict,
        "Tuple": tuple,
        "Set": set,
        "FrozenSet": frozenset,
        "Sequence": collections.abc.Sequence,
        "Mapping": collections.abc.Mapping,
        "date": datetime.date,
        "datetime": datetime.datetime,
        "time": datetime.time,
        "timedelta": datetime.timedelta,
        "Decimal": decimal.Decimal,
        "UUID": uuid.UUID,
        **{
            name: value
            for name in field_types.__all__
            if isinstance(value := getattr(field_types, name), type)
        },
    }
)
"""What a name in the string syntax means without `types={...}`."""

_KNOWN: Final = frozenset(
    {types.NoneType, types.UnionType, *(v for v in TYPES.values() if isinstance(v, type))}
)


def type_name(annotation: Any) -> str:
    """Return a type as the string syntax writes it: `list[str]`, `int | None`, `Literal['a']`."""
    annotation = unwrap(annotation)
    if annotation is None or annotation is types.NoneType:
        return "None"

    if annotation is Ellipsis:
        return "..."

    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return f"Literal[{', '.join(_literal(value) for value in arguments)}]"

    if isinstance(origin, type) and issubclass(origin, FieldType):
        _, parameters = field_type_of(annotation) or (origin, ())
        return f"{origin.__name__}[{', '.join(map(_parameter, parameters))}]"

    if members := union_members(annotation):
        return " | ".join(type_name(member) for member in members)

    if origin is None:
        return _bare_name(annotation)

    inner = ", ".join(_argument(argument) for argument in arguments) or "()"
    return f"{_bare_name(origin)}[{inner}]"


def union_members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union in order, or nothing when it is none."""
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)

    return ()


def unwrap(annotation: Any) -> Any:
    """Return what stands under `Annotated`, a new type or a type alias."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":  # 3.12 has it in typing
            annotation = annotation.__value__
        else:
            return annotation


def named_classes(annotation: Any) -> Iterator[type]:
    """Yield the classes in a type that the string syntax does not know by itself."""
    annotation = unwrap(annotation)
    if get_origin(annotation) is Literal:
        for value in get_args(annotation):
            if not isinstance(value, (str, int, bytes, types.NoneType)):
                yield type(value)

        return

    for part in (get_origin(annotation), *get_args(annotation)):
        if part is not None and part is not annotation:
            yield from named_classes(part)

    plain = isinstance(annotation, type) and not get_args(annotation)
    if plain and annotation not in _KNOWN:
        yield annotation


def has_metadata(annotation: Any) -> bool:
    """Tell whether `Annotated` says more about a type than its name does."""
    if get_origin(annotation) is Annotated:
        return True

    return any(has_metadata(argument) for argument in get_args(annotation))


def _bare_name(annotation: Any) -> str:
    name = getattr(annotation, "__name__", None)
    return name if isinstance(name, str) else str(annotation).removeprefix("typing.")


def _argument(argument: Any) -> str:
    if isinstance(argument, list):  # the parameters of a Callable
        return f"[{', '.join(map(type_name, typing.cast('Iterable[Any]', argument)))}]"

    return type_name(argument)


def _parameter(value: Any) -> str:
    return type_name(value) if isinstance(value, type) else _literal(value)


def _literal(value: Any) -> str:
    return f"{type(value).__name__}.{value.name}" if hasattr(value, "name") else repr(value)
