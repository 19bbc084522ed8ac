"""The class syntax: what a class body that declares a signature says."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, get_origin, get_type_hints

from dspex.errors import SignatureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.signatures.fields import Field

__all__ = ("Declaration", "read_class")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What one class body says by itself: its docstring and its fields in order."""

    instructions: str | None
    fields: tuple[Field, ...]


def read_class(cls: type, declared: Mapping[str, Field], types: Mapping[str, Any]) -> Declaration:
    """Read the body of a class.

    Args:
        cls: the class.
        declared: its fields as they stand in its body, not yet named.
        types: what names in its annotations mean that its module does not know.

    Raises:
        SignatureError: it declares something that cannot be; the message names class and field.
    """
    try:
        annotations = inspect.get_annotations(cls)
    except NameError as exc:  # 3.14 evaluates annotations only here
        raise _unresolved(cls, "?", exc) from exc

    _refuse_bare_annotations(cls, annotations, declared)
    fields = tuple(
        _field(cls, name, value, annotations.get(name, str), types)
        for name, value in declared.items()
    )
    document = vars(cls).get("__doc__")
    return Declaration(inspect.cleandoc(document) if document else None, fields)


def _field(
    cls: type, name: str, declared: Field, annotation: Any, types: Mapping[str, Any]
) -> Field:
    try:
        return replace(
            declared, name=name, annotation=_resolve(cls, name, annotation, types)
        ).checked()
    except SignatureError as exc:
        raise SignatureError(f"{cls.__qualname__}: {exc}") from exc


def _resolve(cls: type, name: str, annotation: Any, types: Mapping[str, Any]) -> Any:
    def holder() -> None: ...

    # typing evaluates the strings of anything that has annotations, nested ones included.
    holder.__annotations__ = {name: annotation}
    module = getattr(sys.modules.get(cls.__module__), "__dict__", {})
    try:
        return get_type_hints(holder, module, {**vars(cls), **types}, include_extras=True)[name]
    except NameError as exc:
        raise _unresolved(cls, name, exc) from exc
    except (SyntaxError, TypeError, AttributeError) as exc:
        raise SignatureError(f"field {name!r}: {annotation!r} is not a type: {exc}") from exc


def _unresolved(cls: type, name: str, exc: NameError) -> SignatureError:
    unknown = exc.name or "that type"
    return SignatureError(
        f"field {name!r}: its type names {unknown!r}, which module {cls.__module__!r} does not "
        f"know when it runs: define or import it at the top level (not under TYPE_CHECKING), or "
        f"write `class {cls.__name__}(Signature, types={{{unknown!r}: {unknown}}})`"
    )


def _refuse_bare_annotations(
    cls: type, annotations: Mapping[str, Any], declared: Mapping[str, Field]
) -> None:
    for name, annotation in annotations.items():
        shared = get_origin(annotation) is ClassVar or "ClassVar" in str(annotation)
        if name not in declared and not shared and not name.startswith("_"):
            raise SignatureError(
                f"{cls.__qualname__}: {name!r} is neither input nor output: write "
                f"`{name}: ... = InputField()` or `= OutputField()`"
            )
