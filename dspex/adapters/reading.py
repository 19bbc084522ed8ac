"""The text of one field as a value: generous in form, strict in type.

A text is read as JSON, then as a Python literal, then with its JSON repaired, then as it stands;
the first that the type takes is the value. Numbers, booleans, choices and unions have rules of
their own.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from dspex.adapters.loose_json import json_candidates
from dspex.adapters.rendering import render_value
from dspex.signatures.annotations import type_name, union_members, unwrap
from dspex.signatures.fields import Field, describe_error
from dspex.types.base import FieldType, field_type_of

__all__ = ("Reader", "field_reader")

Reader: TypeAlias = Callable[[str], Any]
"""Takes the text of a value; raises ValueError, in words a model understands, if it is none."""

_DECORATION: Final = " \t\r\n\"'`*"
_NULLS: Final = frozenset({"", "null", "none"})
_BOOLEANS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "yes", "y", "t", "on", "1"), True),
    **dict.fromkeys(("false", "no", "n", "f", "off", "0"), False),
}
_NUMERAL: Final = re.compile(
    r"""(?P<sign>[-+]?)\s?[$€£¥]?\s?
        (?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]*)
        (?P<rest>(?:\.[0-9]*)?(?:[eE][-+]?[0-9]{1,3})?)""",
    re.VERBOSE,
)
_MAX_DIGITS: Final = 1_000
_MOMENTS: Final = (datetime.date, datetime.time, datetime.timedelta)
_EXACT: Final = (str, bool, int, float, Decimal)


def field_reader(field: Field) -> Reader:
    """Return what reads the text of a field and checks type and constraints."""
    read = _reader(field.annotation)
    if field.annotation in _EXACT and not field.constraints:
        return read  # it gives nothing but values of that type

    def read_and_check(text: str) -> Any:
        return field.validate(read(text))

    return read_and_check


def _reader(annotation: Any) -> Reader:
    annotation = unwrap(annotation)
    if annotation is None:
        return _read_null

    if isinstance(annotation, type) and annotation in _PLAIN:
        return _PLAIN[annotation]

    if get_origin(annotation) is Literal:
        return _choice_reader({render_value(value): value for value in get_args(annotation)})

    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _enum_reader(annotation)

    if members := union_members(annotation):
        return _union_reader(members)

    if found := field_type_of(annotation):
        return _field_type_reader(*found)

    return partial(_read_structure, _checker(annotation), _is_moment(annotation))


def _field_type_reader(cls: type[FieldType], parameters: tuple[Any, ...]) -> Reader:
    def read(text: str) -> FieldType:
        return cls.parse(text, *parameters)

    return read


def _read_text(text: str) -> str:
    return text


def _read_null(text: str) -> None:
    if _bare(text) not in _NULLS:
        raise ValueError(f"{_shown(text)} is not null")


def _read_boolean(text: str) -> bool:
    try:
        return _BOOLEANS[_bare(text)]
    except KeyError:
        raise ValueError(f"{_shown(text)} is neither true nor false") from None


def _read_number(text: str) -> Decimal:
    stripped = text.strip(_DECORATION)
    found = _NUMERAL.fullmatch(stripped) if len(stripped) <= _MAX_DIGITS else None
    if not found:
        raise ValueError(f"{_shown(text)} is not a number")

    digits = found["sign"] + found["whole"].replace(",", "") + found["rest"]
    try:
        return Decimal(digits)
    except ArithmeticError:
        raise ValueError(f"{_shown(text)} is not a number") from None


def _read_integer(text: str) -> int:
    if len(text) < 19 and text.isascii() and text.isdecimal():
        return int(text)

    number = _read_number(text)
    if number != number.to_integral_value():
        raise ValueError(f"{_shown(text)} is not a whole number")

    return int(number)


def _read_float(text: str) -> float:
    if _bare(text).lstrip("+-") in ("nan", "inf", "infinity"):
        return float(_bare(text))

    return float(_read_number(text))


_PLAIN: Final[Mapping[type, Reader]] = {
    str: _read_text,
    bool: _read_boolean,
    int: _read_integer,
    float: _read_float,
    Decimal: _read_number,
    type(None): _read_null,
}


def _enum_reader(enum: type[Enum]) -> Reader:
    members = enum.__members__.items()
    texts: dict[str, Any] = {f"{enum.__name__}.{name}": member for name, member in members}
    texts.update(members)
    return _choice_reader({**texts, **{render_value(member): member for member in enum}}, enum)


def _choice_reader(texts: Mapping[str, Any], enum: type[Enum] | None = None) -> Reader:
    """Match exactly; then without quotes; then in any case, where that leaves no doubt."""
    folded: dict[str, Any] = {}
    doubtful: set[str] = set()
    for text, value in texts.items():
        if folded.setdefault(text.casefold(), value) is not value:
            doubtful.add(text.casefold())

    allowed = "; ".join(texts if enum is None else (render_value(member) for member in enum))

    def read(text: str) -> Any:
        for candidate in (text, text.strip(_DECORATION), text.strip(_DECORATION).rstrip(".")):
            if candidate in texts:
                return texts[candidate]

            if (lowered := candidate.casefold()) in folded and lowered not in doubtful:
                return folded[lowered]

        raise ValueError(f"{_shown(text)} is not one of: {allowed}")

    return read


def _union_reader(members: tuple[Any, ...]) -> Reader:
    optional = type(None) in members
    others = [member for member in members if member is not type(None)]
    readers = [_reader(member) for member in others]
    names = " | ".join(type_name(member) for member in members)

    def read(text: str) -> Any:
        if optional and _bare(text) in _NULLS:
            return None

        problems: list[str] = []
        for reader in readers:
            try:
                return reader(text)
            except ValueError as exc:
                problems.append(str(exc))

        if len(problems) == 1:
            raise ValueError(problems[0])

        raise ValueError(f"{_shown(text)} is no {names}: {'; '.join(problems)}")

    return read


def _read_structure(check: Callable[[Any], Any], moment: bool, text: str) -> Any:
    """Return the first reading of a text that `check` takes."""
    if moment:
        return _read_moment(check, text)

    problem: str | None = None
    for candidate in json_candidates(text):
        try:
            return check(candidate)
        except ValueError as exc:
            if problem is None and not isinstance(candidate, str):
                problem = str(exc)

    raise ValueError(problem or f"{_shown(text)} is not JSON of the right form")


def _read_moment(check: Callable[[Any], Any], text: str) -> Any:
    bare = text.strip(_DECORATION)
    if re.fullmatch(r"[-+]?[0-9.]+", bare):
        # A year on its own would be taken for seconds since 1970.
        raise ValueError(f"{_shown(text)} is not in ISO form")

    return check(bare)


def _checker(annotation: Any) -> Callable[[Any], Any]:
    validate = TypeAdapter(annotation).validator.validate_python

    def check(value: Any) -> Any:
        try:
            return validate(value)
        except ValidationError as exc:
            raise ValueError(describe_error(exc)) from exc

    return check


def _is_moment(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, _MOMENTS)


def _bare(text: str) -> str:
    return text.strip(_DECORATION).rstrip(".").casefold()


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 200 else f"{text[:200]!r}..."
