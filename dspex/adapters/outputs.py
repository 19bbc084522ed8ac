"""From what was found in an answer to the output fields, or to one error that says all at once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, get_origin

from dspex.adapters.reading import Reader, field_reader
from dspex.adapters.rendering import render_value
from dspex.errors import ParseError
from dspex.messages import Choice, FinishReason, Response
from dspex.signatures.annotations import union_members, unwrap
from dspex.types.base import FieldType, field_type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dspex.signatures.fields import Field
    from dspex.signatures.signature import Signature

__all__ = ("Output", "choice_of", "collect")

_SCALARS: Final = (str, bool, int, float, Decimal)


@dataclass(frozen=True, slots=True)
class Output:
    """One output field: how its text is read, and whether it travels beside the text."""

    field: Field
    name: str
    read: Reader
    kind: type[FieldType] | None
    native: bool
    scalar: bool

    @classmethod
    def of(cls, field: Field, *, native: bool) -> Output:
        """Build what reads one field."""
        found = field_type_of(field.annotation)
        return cls(
            field,
            field.name,
            field_reader(field),
            found[0] if found else None,
            native,
            _is_scalar(field.annotation),
        )

    def value_of(self, found: Any) -> Any:
        """Return what was found as the field's type: a text is read, JSON data is checked.

        Raises:
            ValueError: it does not fit.
        """
        if isinstance(found, str):
            return self.read(found)

        if self.scalar and isinstance(found, (bool, int, float)):
            # JSON's true is no number, its 3.0 is a whole one, and a bare 5 may be meant as text.
            return self.read(render_value(found))

        return self.field.validate(found)


def collect(
    signature: Signature,
    outputs: Iterable[Output],
    found: Mapping[str, Any],
    response: Response | Choice | str,
    text: str,
) -> dict[str, Any]:
    """Return the output fields, in the order of the signature, as their types.

    Raises:
        ParseError: one of them is missing or does not fit.
    """
    values: dict[str, Any] = {}
    missing: list[str] = []
    problems: list[str] = []
    for output in outputs:
        name = output.name
        if output.kind is not None and (output.native or name not in found):
            beside = _beside_text(output.kind, response)
            if beside is not None:
                values[name] = beside
                continue

        if name in found:
            try:
                values[name] = output.value_of(found[name])
            except ValueError as exc:
                problems.append(f"the field `{name}` does not fit: {exc}")
        elif output.field.required:
            missing.append(name)
        else:
            values[name] = output.field.default_value()

    if missing and _calls_tools(outputs, response):
        # The model stopped to have its tools called: the rest of its answer is still to come.
        values |= dict.fromkeys(missing)
        missing = []

    if not problems and not missing:
        return values

    problems += [f"the field `{name}` is missing" for name in missing]
    raise ParseError(
        "; ".join((*problems, *_circumstances(response))),
        signature=str(signature),
        text=text,
        parsed=values,
        missing=tuple(missing),
    )


def choice_of(signature: Signature, response: Response | Choice | str) -> Choice | None:
    """Return the choice that is read; None for a bare text.

    Raises:
        ParseError: there is none.
    """
    if isinstance(response, Response):
        if not response.choices:
            raise ParseError("the answer has no choices", signature=str(signature), text="")

        return response.choices[0]

    return response if isinstance(response, Choice) else None


def _beside_text(kind: type[FieldType], response: Response | Choice | str) -> FieldType | None:
    if isinstance(response, str):
        return None

    return kind.from_choice(_choice(response))


def _calls_tools(outputs: Iterable[Output], response: Response | Choice | str) -> bool:
    if isinstance(response, str) or not any(output.native for output in outputs):
        return False

    return _choice(response).finish_reason is FinishReason.TOOL_CALLS


def _circumstances(response: Response | Choice | str) -> Iterable[str]:
    """Yield what else is known about an answer that cannot be read."""
    if isinstance(response, str):
        return

    choice = _choice(response)
    if choice.finish_reason is FinishReason.LENGTH:
        yield "the answer was cut off at the token limit"

    if choice.refusal:
        yield f"the model refused: {choice.refusal}"


def _choice(response: Response | Choice) -> Choice:
    return response if isinstance(response, Choice) else response.choices[0]


def _is_scalar(annotation: Any) -> bool:
    annotation = unwrap(annotation)
    others = [member for member in union_members(annotation) if member is not type(None)]
    if others:
        return len(others) == 1 and _is_scalar(others[0])

    if annotation in _SCALARS or get_origin(annotation) is Literal:
        return True

    return isinstance(annotation, type) and issubclass(annotation, Enum)
