"""Content of messages: text, and parts where a value is an image, a file or the like."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final, cast, get_args, get_origin

from pydantic import BaseModel

from dspex.adapters.rendering import render_value
from dspex.messages import TextPart
from dspex.signatures.annotations import unwrap
from dspex.signatures.encoding import is_items, is_table, to_jsonable
from dspex.types.base import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dspex.messages import Content, Part

__all__ = ("field_values", "join", "may_hold_field_types", "render_content")

_ANYTHING: Final = (Any, object)


def render_content(value: Any) -> Content:
    """Return a value as content: what our own types in it render to, and JSON around them."""
    if isinstance(value, FieldType):
        return value.render()

    if not any(True for _ in field_values(value)):
        return render_value(value)

    return join(_pieces(value), "")


def join(contents: Iterable[Content], separator: str = "\n\n") -> Content:
    """Return contents one after another; text alone stays text."""
    texts: list[str] = []
    parts: list[Part] = []
    for index, content in enumerate(contents):
        if index:
            texts.append(separator)

        if isinstance(content, str):
            texts.append(content)
            continue

        for part in content:
            if isinstance(part, TextPart):
                texts.append(part.text)
            else:
                _flush(texts, parts)
                parts.append(part)

    if not parts:
        return "".join(texts)

    _flush(texts, parts)
    return tuple(parts)


def field_values(value: Any) -> Iterator[FieldType]:
    """Yield the values of our own types in a value, however deep in it."""
    if isinstance(value, FieldType):
        yield value
    elif not isinstance(value, str):
        for inner in _children(value):
            yield from field_values(inner)


def may_hold_field_types(annotation: Any) -> bool:
    """Tell whether values of a type may hold values of our own types."""
    return _may_hold(annotation, set())


def _may_hold(annotation: Any, seen: set[int]) -> bool:
    annotation = unwrap(annotation)
    if annotation in _ANYTHING:
        return True

    if id(annotation) in seen:
        return False

    seen.add(id(annotation))
    if isinstance(annotation, type):
        cls = cast("type[object]", annotation)
        if issubclass(cls, FieldType):
            return True

        if issubclass(cls, BaseModel):
            inner = [info.annotation for info in cls.model_fields.values()]
            return any(_may_hold(kind, seen) for kind in inner)

        if dataclasses.is_dataclass(cls):
            # Types written as text are not looked up: what they name is found in the value.
            return any(
                isinstance(item.type, str) or _may_hold(item.type, seen)
                for item in dataclasses.fields(cls)
            )

    origin = get_origin(annotation)
    parts = [part for part in (origin, *get_args(annotation)) if part is not None]
    return any(_may_hold(part, seen) for part in parts)


def _pieces(value: Any) -> Iterator[Content]:
    if isinstance(value, FieldType):
        content = value.render()
        yield _json(value) if isinstance(content, str) else content
    elif is_items(value):
        yield from _joined("[", (_pieces(item) for item in value), "]")
    elif (table := _table(value)) is not None:
        rows = ((f"{_json(str(key))}: ", *_pieces(item)) for key, item in table.items())
        yield from _joined("{", rows, "}")
    else:
        yield _json(value)


def _joined(head: str, items: Iterable[Iterable[Content]], tail: str) -> Iterator[Content]:
    yield head
    for index, item in enumerate(items):
        if index:
            yield ", "

        yield from item

    yield tail


def _children(value: Any) -> Iterable[Any]:
    if is_items(value):
        return value

    table = _table(value)
    return () if table is None else table.values()


def _table(value: Any) -> dict[Any, Any] | None:
    if is_table(value) or isinstance(value, BaseModel):
        return dict(value)

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}

    return None


def _json(value: Any) -> str:
    return json.dumps(to_jsonable(value), ensure_ascii=False)


def _flush(texts: list[str], parts: list[Part]) -> None:
    if text := "".join(texts):
        parts.append(TextPart(text))

    texts.clear()
