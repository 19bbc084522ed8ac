"""The metaclass that makes a subclass of `Signature` a declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.errors import SignatureError
from dspex.signatures.declaration import read_class
from dspex.signatures.fields import Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.signatures.signature import Signature

__all__ = ("SignatureMeta",)


class SignatureMeta(type):
    """Makes a subclass of `Signature` a declaration: `declared` is its value, it forwards to it."""

    declared: Signature | None

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        types: Mapping[str, Any] | None = None,
    ) -> SignatureMeta:
        """Read a class body; `types` gives names that its module does not know."""
        # Fields are no attributes of the class, so they may be called like any of its methods.
        fields = {key: value for key, value in namespace.items() if isinstance(value, Field)}
        body = {key: value for key, value in namespace.items() if key not in fields}
        cls = super().__new__(mcls, name, bases, body)
        declared = _declare(cls, fields, types or {}) if bases else None
        type.__setattr__(cls, "declared", declared)
        return cls

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Build a signature; a declaration is one already."""
        if cls.declared is not None:
            raise TypeError(
                f"{cls.__name__} is a declaration and has no instances: "
                f"{cls.__name__}.new(...) checks inputs, Predict({cls.__name__}) runs it"
            )

        return super().__call__(*args, **kwargs)

    def __setattr__(cls, name: str, value: object) -> None:
        raise AttributeError(f"signatures are immutable: {cls.__name__}.{name} cannot be set")

    def __repr__(cls) -> str:
        shape = "" if cls.declared is None else f" ({cls.declared})"
        return f"<signature {cls.__module__}.{cls.__qualname__}{shape}>"


def _root(cls: type) -> Any:
    return next(base for base in reversed(cls.__mro__) if isinstance(base, SignatureMeta))


def _declare(cls: type, own: Mapping[str, Field], types: Mapping[str, Any]) -> Signature:
    body = read_class(cls, own, types)
    instructions: str | None = None
    fields: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        declared = base.declared if isinstance(base, SignatureMeta) else None
        if declared is not None:
            fields.update(declared.fields)
            instructions = declared.given_instructions or instructions

    fields.update({field.name: field for field in body.fields})

    try:
        declaration: Signature = _root(cls).from_fields(
            fields.values(), body.instructions or instructions
        )
    except SignatureError as exc:
        raise SignatureError(f"{cls.__qualname__}: {exc}") from exc

    return declaration
