"""From a row of a table to an example."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final, Self, TypeAlias, cast as typed

from dspex.errors import DatasetError
from dspex.signatures.example import Example

__all__ = ("Cast", "FieldNames", "Shape")

FieldNames: TypeAlias = "Iterable[str] | Mapping[str, str] | None"
"""The columns to take; or the column of each field, by the field's name; None: all columns."""

Cast: TypeAlias = "Callable[[Any], Any]"
"""Makes a value of what a file holds: `int`, `float`, `bool`, `json.loads`, a function of yours."""

_TRUTHS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Shape:
    """Which columns become which fields, what of, and which fields are inputs.

    `columns` is the column of each field; None takes every column under its own name.
    """

    inputs: tuple[str, ...]
    _: KW_ONLY
    columns: Mapping[str, str] | None
    casts: Mapping[str, Cast]

    @classmethod
    def of(
        cls,
        inputs: Iterable[str] | str,
        fields: FieldNames,
        casts: Mapping[str, Cast] | None,
    ) -> Self:
        """Check what the caller says.

        Raises:
            DatasetError: it contradicts itself, or says nothing.
        """
        names = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        if not names or not _are_texts(names):
            raise DatasetError(
                f"inputs is {inputs!r}; name the fields that the program is given, as in "
                "inputs=('question',)"
            )

        columns: Mapping[str, str] | None = None
        if isinstance(fields, Mapping):
            columns = dict(typed("Mapping[str, str]", fields))
        elif fields is not None:
            taken = (fields,) if isinstance(fields, str) else tuple(fields)
            columns = {name: name for name in (*names, *taken)}

        known = None if columns is None else set(columns)
        for what, wanted in (("inputs", names), ("casts", tuple(casts or ()))):
            lost = [name for name in wanted if known is not None and name not in known]
            if lost:
                raise DatasetError(f"{what} names {lost}, and the fields are {sorted(known or ())}")

        return cls(names, columns=columns, casts=dict(casts or {}))

    def example(self, row: Mapping[str, Any], place: str) -> Example:
        """Return the example of a row; `place` names it in errors.

        Raises:
            DatasetError: a column is missing, or a value cannot be cast; names place and column.
        """
        values = dict(row) if self.columns is None else self._taken(row, self.columns, place)
        for name, cast in self.casts.items():
            if name not in values:
                raise self._missing(name, row, place)

            values[name] = self._cast(name, cast, values[name], place)

        for name in self.inputs:
            if name not in values:
                raise self._missing(name, row, place)

        return Example(values).with_inputs(*self.inputs)

    def check(self, columns: Iterable[str], place: str) -> None:
        """Refuse a table that lacks a column, before its first row is read.

        Raises:
            DatasetError: it does; names the column and those there are.
        """
        there = dict.fromkeys(columns)
        wanted = (*self.inputs, *self.casts) if self.columns is None else self.columns.values()
        for name in wanted:
            if name not in there:
                raise self._missing(name, there, place)

    def _taken(
        self, row: Mapping[str, Any], columns: Mapping[str, str], place: str
    ) -> dict[str, Any]:
        try:
            return {name: row[column] for name, column in columns.items()}
        except KeyError as exc:
            raise self._missing(exc.args[0], row, place) from None

    @staticmethod
    def _missing(column: str, row: Mapping[str, Any], place: str) -> DatasetError:
        there = ", ".join(map(repr, row)) or "none"
        return DatasetError(
            f"{place}: there is no column {column!r}; there is {there}. Columns get other names by "
            f"fields={{{column!r}: 'its column', ...}}"
        )

    @staticmethod
    def _cast(name: str, cast: Cast, value: Any, place: str) -> Any:
        try:
            return _truth(value) if cast is bool else cast(value)
        except Exception as exc:  # a cast may be any function
            to = getattr(cast, "__name__", repr(cast))
            raise DatasetError(
                f"{place}, column {name!r}: {to} does not take {value!r}: {exc}. Correct the "
                "value, or give a cast that takes it"
            ) from exc


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value

    found = _TRUTHS.get(str(value).strip().lower())
    if found is None:
        raise ValueError("a truth is written true, yes, 1, false, no or 0")

    return found


def _are_texts(names: tuple[object, ...]) -> bool:
    return all(isinstance(name, str) for name in names)
