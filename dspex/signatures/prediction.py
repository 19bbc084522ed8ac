"""What a program gives: the output fields, and what it took to get them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dspex.signatures.record import Record
from dspex.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Prediction", "Repair")

_NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Repair:
    """One answer that could not be read: what was wrong with it, and its text."""

    problem: str
    text: str

    def to_dict(self) -> dict[str, str]:
        """Return plain JSON data."""
        return {"problem": self.problem, "text": self.text}


class Prediction(Record):
    """The output fields of a program, by attribute and by `[name]`; immutable.

    `usage` covers every model call below it, failed and repaired ones included. `completions` are
    the predictions of all samples that were asked for, itself the first. Equal predictions have
    equal fields, whatever they cost.
    """

    __slots__ = ("_completions", "_repairs", "_usage")

    RESERVED: ClassVar[frozenset[str]]
    """Names that an output field cannot have, because they mean something else here."""

    _completions: tuple[Prediction, ...]
    _repairs: tuple[Repair, ...]
    _usage: Usage

    def __init__(self, base: Mapping[str, Any] | Record | None = None, /, **values: Any) -> None:
        super().__init__(base, **values)
        object.__setattr__(self, "_usage", _NOTHING)
        object.__setattr__(self, "_completions", ())
        object.__setattr__(self, "_repairs", ())

    @classmethod
    def of(
        cls,
        values: dict[str, Any],
        usage: Usage = _NOTHING,
        *,
        repairs: tuple[Repair, ...] = (),
        completions: tuple[Prediction, ...] = (),
    ) -> Self:
        """Build a prediction with its circumstances; `values` is kept, not copied."""
        prediction = object.__new__(cls)
        set_once = object.__setattr__
        set_once(prediction, "_values", values)
        set_once(prediction, "_usage", usage)
        set_once(prediction, "_repairs", repairs)
        set_once(prediction, "_completions", completions)
        return prediction

    @property
    def usage(self) -> Usage:
        """Tokens, calls and cost of everything that was asked to get here."""
        return self._usage

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The answers that could not be read, oldest first."""
        return self._repairs

    @property
    def completions(self) -> tuple[Prediction, ...]:
        """The predictions of all samples, in order; a single one is its own only completion."""
        return self._completions or (self,)

    def with_usage(self, usage: Usage) -> Self:
        """Return a copy that cost something else; itself when it did not."""
        if usage is self._usage:
            return self

        return self._revive({**self._state(), "_usage": usage})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data: values, usage, and repairs and completions if any."""
        data: dict[str, Any] = {"values": super().to_dict(), "usage": self._usage.to_dict()}
        if self._repairs:
            data["repairs"] = [repair.to_dict() for repair in self._repairs]

        if self._completions:
            data["completions"] = [Record.to_dict(other) for other in self._completions]

        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; values stay the plain JSON they were written as."""
        return cls.of(
            dict(data["values"]),
            Usage.from_dict(data["usage"]),
            repairs=tuple(Repair(**repair) for repair in data.get("repairs", ())),
            completions=tuple(cls.of(dict(row)) for row in data.get("completions", ())),
        )

    def _state(self) -> dict[str, Any]:
        return {
            "_values": self._values,
            "_usage": self._usage,
            "_repairs": self._repairs,
            "_completions": self._completions,
        }


Prediction.RESERVED = frozenset(
    name for name in (*vars(Prediction), *vars(Record)) if not name.startswith("_")
)
