"""One data point: values by name, and which of them are inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast

from dspex.errors import DatasetError
from dspex.signatures.encoding import digest, to_jsonable
from dspex.signatures.record import Record

__all__ = ("Example",)


class Example(Record):
    """One data point, or a demonstration in a prompt: values by name; immutable.

    `Example(question="..", answer="..").with_inputs("question")` says what a program is given; all
    the rest are labels.
    """

    __slots__ = ("_digest", "_input_names")

    _digest: str | None
    _input_names: frozenset[str] | None

    def __init__(self, base: Mapping[str, Any] | Record | None = None, /, **values: Any) -> None:
        super().__init__(base, **values)
        names = base._input_names if isinstance(base, Example) else None
        object.__setattr__(self, "_input_names", names)
        object.__setattr__(self, "_digest", None)

    @property
    def input_names(self) -> frozenset[str] | None:
        """The names of the inputs; None while nobody has said."""
        return self._input_names

    def with_inputs(self, *names: str) -> Self:
        """Return a copy whose inputs are exactly these fields.

        Raises:
            DatasetError: the example does not have one of them.
        """
        missing = [name for name in names if name not in self._values]
        if missing:
            raise DatasetError(f"the example has no {', '.join(map(repr, missing))}: {self!r}")

        return self._revive({**self._state(), "_input_names": frozenset(names), "_digest": None})

    def with_values(self, /, **values: Any) -> Self:
        """Return a copy with further or other values."""
        return self._revive(
            {**self._state(), "_values": {**self._values, **values}, "_digest": None}
        )

    def without(self, *names: str) -> Self:
        """Return a copy without these fields; names it does not have are ignored."""
        left = {name: value for name, value in self._values.items() if name not in names}
        inputs = None if self._input_names is None else self._input_names - set(names)
        return self._revive({"_values": left, "_input_names": inputs, "_digest": None})

    def inputs(self) -> dict[str, Any]:
        """Return what a program is given.

        Raises:
            DatasetError: nobody has said which fields are inputs.
        """
        names = self._declared()
        return {name: value for name, value in self._values.items() if name in names}

    def labels(self) -> dict[str, Any]:
        """Return what a program is not given.

        Raises:
            DatasetError: nobody has said which fields are inputs.
        """
        names = self._declared()
        return {name: value for name, value in self._values.items() if name not in names}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data: the values, and the names of the inputs if they are known.

        Raises:
            DatasetError: a value has no JSON form; names it.
        """
        names = self._input_names
        return {
            "values": {name: _plain(name, value) for name, value in self._values.items()},
            "inputs": None if names is None else sorted(names),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; values stay the plain JSON they were written as.

        Raises:
            DatasetError: it is not an example.
        """
        values, names = data.get("values"), data.get("inputs")
        if not isinstance(values, Mapping) or not isinstance(names, (list, tuple, type(None))):
            raise DatasetError(f"not an example: {data!r}: it needs 'values' and 'inputs'")

        example = cls(cast("Mapping[str, Any]", values))
        return example if names is None else example.with_inputs(*cast("list[str]", names))

    def digest(self) -> str:
        """Return a SHA-256 of values and input names, the same in every process.

        Raises:
            DatasetError: a value has no JSON form; names it.
        """
        if self._digest is None:
            object.__setattr__(self, "_digest", digest(self.to_dict()))

        return cast("str", self._digest)

    def _declared(self) -> frozenset[str]:
        if self._input_names is None:
            raise DatasetError(
                f"which fields of {self!r} are inputs? Say it with `.with_inputs(...)`"
            )

        return self._input_names

    def _state(self) -> dict[str, Any]:
        return {
            "_values": self._values,
            "_input_names": self._input_names,
            "_digest": self._digest,
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Example):
            return NotImplemented

        return self._values == other._values and self._input_names == other._input_names

    __hash__ = Record.__hash__

    def __repr__(self) -> str:
        if self._input_names is None:
            return super().__repr__()

        names = ", ".join(repr(name) for name in self._values if name in self._input_names)
        return f"{super().__repr__()}.with_inputs({names})"


def _plain(name: str, value: Any) -> Any:
    try:
        return to_jsonable(value)
    except TypeError as exc:
        raise DatasetError(f"the example's {name!r} cannot be saved: {exc}") from exc
