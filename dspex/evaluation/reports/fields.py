"""Where predictions differ from what was expected, field by field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dspex.errors import EvaluationError
from dspex.evaluation.metrics import exact_match
from dspex.signatures.prediction import Prediction

if TYPE_CHECKING:
    from dspex.evaluation.outcome import Outcome
    from dspex.signatures.example import Example

__all__ = ("FieldDifference", "Fields", "Mismatch", "labels_of")

_MAX_FIELDS: Final = 40
_MAX_MISMATCHES: Final = 5


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One example in which a field differs."""

    index: int
    expected: Any
    predicted: Any


@dataclass(slots=True)
class FieldDifference:
    """One field over all examples looked at: in how many it was as expected, and where not."""

    name: str
    compared: int = 0
    equal: int = 0
    mismatches: list[Mismatch] = field(default_factory=list[Mismatch])


class Fields:
    """Compares the predicted fields that an example has labels for, as `exact_match` does.

    The first forty fields and the first five differences of each are kept.
    """

    __slots__ = ("_fields", "compared")

    def __init__(self) -> None:
        self._fields: dict[str, FieldDifference] = {}
        self.compared = 0

    def compare(self, outcome: Outcome, example: Example) -> None:
        """Look at one scored outcome."""
        self.compared += 1
        predicted = outcome.prediction or {}
        for name, expected in labels_of(example).items():
            if name in predicted and (found := self._field(name)) is not None:
                found.compared += 1
                if _same(name, example, predicted):
                    found.equal += 1
                elif len(found.mismatches) < _MAX_MISMATCHES:
                    found.mismatches.append(Mismatch(outcome.index, expected, predicted[name]))

    def differences(self) -> list[FieldDifference]:
        """Return the fields, those that differ most often first."""
        return sorted(self._fields.values(), key=lambda found: found.equal / found.compared)

    def _field(self, name: str) -> FieldDifference | None:
        if name not in self._fields and len(self._fields) < _MAX_FIELDS:
            self._fields[name] = FieldDifference(name)

        return self._fields.get(name)


def labels_of(example: Example) -> dict[str, Any]:
    """Return what is expected; nothing where the example does not say which fields are inputs."""
    return {} if example.input_names is None else example.labels()


def _same(name: str, example: Example, predicted: dict[str, Any]) -> bool:
    try:
        return bool(exact_match(name)(example, Prediction.of(predicted)))
    except (EvaluationError, TypeError, ValueError):  # values that cannot be compared differ
        return False
