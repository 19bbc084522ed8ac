"""An immutable record of named values: the common ground of inputs, examples and predictions."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Self, cast

from dspex.signatures.encoding import to_jsonable

__all__ = ("Record",)

_MAPPING = frozenset({"get", "items", "keys", "values"})


class Record:
    """Named values, by attribute and by `[name]`; `dict(record)` and `**record` give them all.

    Immutable and compared by value; what it holds is shared, not copied. A field called `items`,
    `keys`, `values` or `get` wins over the mapping's method of that name.

    Args:
        base: a mapping or record to start from.
        values: further values, which win.
    """

    __slots__ = ("_values",)

    _values: dict[str, Any]

    def __init__(self, base: Mapping[str, Any] | Record | None = None, /, **values: Any) -> None:
        object.__setattr__(self, "_values", _values_of(base) | values if base else values)

    def __getattr__(self, name: str) -> Any:
        if name[:1] != "_":
            values = self._values
            if name in values:
                return values[name]

            if name in _MAPPING:
                return getattr(values, name)

        raise AttributeError(
            f"this {type(self).__name__} has no {name!r}: it has {', '.join(self._names()) or '-'}"
        )

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(f"{name!r} (there is {', '.join(self._values) or 'nothing'})") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record) or type(other) is not type(self):
            return NotImplemented

        return self._values == other._values

    def __hash__(self) -> int:
        return hash(frozenset((name, _hash(value)) for name, value in self._values.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._revive, (self._state(),)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._values.items())
        return f"{type(self).__name__}({shown})"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._values]

    def to_dict(self) -> dict[str, Any]:
        """Return the values as plain JSON data."""
        return {name: to_jsonable(value) for name, value in self._values.items()}

    def _names(self) -> list[str]:
        return list(self._values)

    def _state(self) -> dict[str, Any]:
        return {"_values": self._values}

    @classmethod
    def _revive(cls, state: dict[str, Any]) -> Self:
        record = object.__new__(cls)
        for name, value in state.items():
            object.__setattr__(record, name, value)

        return record


def _values_of(base: Mapping[str, Any] | Record) -> dict[str, Any]:
    given = cast("object", base)
    if not isinstance(given, (Mapping, Record)):
        raise TypeError(
            f"named values are wanted, got {given!r} ({type(given).__name__}): write them as "
            "question=..., or give a dict"
        )

    return {name: base[name] for name in base}


def _hash(value: object) -> int:
    # Lists and dicts are allowed as values; all of them share one hash, as equality demands.
    if isinstance(value, Hashable):
        try:
            return hash(value)
        except TypeError:  # a tuple of lists calls itself hashable
            return 0

    return 0
