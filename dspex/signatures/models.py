"""Fields of a signature from a pydantic model, with all that it says about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from dspex.errors import SignatureError
from dspex.signatures.constraints import CONSTRAINTS
from dspex.signatures.fields import Field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

__all__ = ("fields_of_model",)

_DECORATORS: Final = ("field_validators", "validators", "model_validators", "root_validators")


def fields_of_model(model: type[BaseModel], role: Literal["input", "output"]) -> Iterator[Field]:
    """Yield the fields of a pydantic model in order.

    Raises:
        SignatureError: it is no model, or it checks more than its fields say, which a signature
            could not keep.
    """
    if not _is_model(model):
        raise SignatureError(f"{model!r} is not a pydantic model (the {role}s)")

    checks = [
        name for kind in _DECORATORS for name in getattr(model.__pydantic_decorators__, kind, ())
    ]
    if checks:
        raise SignatureError(
            f"{model.__name__} has validators of its own ({', '.join(checks)}), which fields of a "
            f"signature cannot keep: make the whole model one field, `value: {model.__name__}`"
        )

    for name, info in model.model_fields.items():
        yield _field(name, info, role)


def _is_model(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _field(name: str, info: FieldInfo, role: Literal["input", "output"]) -> Field:
    limits: dict[str, Any] = {}
    others: list[Any] = []
    for item in info.metadata:
        found = {
            key: value for key in CONSTRAINTS if (value := getattr(item, key, None)) is not None
        }
        limits.update(found)
        if not found:
            others.append(item)

    annotation: Any = info.annotation
    for item in others:
        annotation = Annotated[annotation, item]

    return Field(
        name,
        role,
        annotation,
        desc=info.description or "",
        examples=tuple(info.examples or ()),
        **limits,
        **_default(info),
    )


def _default(info: FieldInfo) -> dict[str, Any]:
    if info.default_factory is not None:
        return {"default_factory": info.default_factory}

    return {} if info.default is PydanticUndefined else {"default": info.default}
