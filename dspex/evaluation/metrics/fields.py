"""Metrics that compare one field of a prediction with the example's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any

from dspex.errors import EvaluationError
from dspex.evaluation.metrics.words import holds, normalize_answer, overlap
from dspex.recipe import Recipe, import_path
from dspex.signatures.encoding import to_jsonable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dspex.signatures.record import Record

__all__ = (
    "F1",
    "Contains",
    "ExactMatch",
    "PassageMatch",
    "contains",
    "exact_match",
    "f1",
    "passage_match",
)


@dataclass(frozen=True, slots=True)
class _FieldMetric(ABC):
    """Compares one field of the prediction with the example's.

    `against` names the example's field where it has another name.
    """

    field: str
    _: KW_ONLY
    against: str | None = None

    def recipe(self) -> Recipe:
        """Return how to build this metric again."""
        arguments = {f.name: getattr(self, f.name) for f in fields(self)}
        return Recipe(import_path(type(self)), arguments)

    def __str__(self) -> str:
        options = [
            f"{f.name}={getattr(self, f.name)!r}"
            for f in fields(self)[1:]
            if getattr(self, f.name) != f.default
        ]
        return f"{type(self).__name__}({', '.join([repr(self.field), *options])})"

    def __call__(self, example: Record, prediction: Record) -> bool | float:
        """Return what the predicted field is worth, at best over the example's right answers."""
        answers = self._get(example, self.against or self.field, "example")
        given = self._get(prediction, self.field, "prediction")
        return self._judge(given, answers)

    def _get(self, source: Record, name: str, what: str) -> Any:
        try:
            return source[name]
        except KeyError:
            raise EvaluationError(
                f"metric {self} needs the field {name!r}, which this {what} does not have; it has "
                f"{', '.join(map(repr, source)) or 'none'}"
            ) from None

    @abstractmethod
    def _judge(self, given: Any, answers: Any) -> bool | float: ...


@dataclass(frozen=True, slots=True)
class ExactMatch(_FieldMetric):
    """True if the answer equals a right one.

    Texts are compared in their normal form (see `normalize_answer`) if `normalize`, an enum's
    member against a text by its value; anything else by equality, its own or that of its JSON form:
    datasets hold dates as texts and models as dicts. For a text, a list of answers in the example
    means any of them.
    """

    normalize: bool = True

    __str__ = _FieldMetric.__str__

    def _judge(self, given: Any, answers: Any) -> bool:
        if isinstance(given, Enum) and not isinstance(answers, Enum):
            given = given.value

        if not isinstance(given, str):
            return bool(given == answers) or _same_json(given, answers)

        same = normalize_answer if self.normalize else str
        return any(same(given) == same(answer) for answer in _texts(answers))


@dataclass(frozen=True, slots=True)
class Contains(_FieldMetric):
    """True if a right answer occurs in the predicted text as a run of whole words."""

    __str__ = _FieldMetric.__str__

    def _judge(self, given: Any, answers: Any) -> bool:
        return _holds(str(given), answers)


@dataclass(frozen=True, slots=True)
class F1(_FieldMetric):
    """Harmonic mean of precision and recall over words, at best over the right answers.

    As SQuAD scores it (Rajpurkar et al., 2016, section 6.1).
    """

    __str__ = _FieldMetric.__str__

    def _judge(self, given: Any, answers: Any) -> float:
        return max((overlap(str(given), answer) for answer in _texts(answers)), default=0.0)


@dataclass(frozen=True, slots=True)
class PassageMatch(_FieldMetric):
    """True if any of the passages in `field` holds a right answer as a run of whole words.

    As retrieval is scored by V. Karpukhin et al., "Dense passage retrieval for open-domain question
    answering", EMNLP 2020, section 4.1.
    """

    __str__ = _FieldMetric.__str__

    def _judge(self, given: Any, answers: Any) -> bool:
        passages = [given] if isinstance(given, str) else given
        return any(_holds(str(passage), answers) for passage in passages)


def _same_json(given: Any, answer: Any) -> bool:
    if type(given) is type(answer):
        return False  # its own equality has spoken

    try:
        return bool(to_jsonable(given) == to_jsonable(answer))
    except TypeError:  # one of them has no JSON form
        return False


def _texts(answers: Any) -> Iterable[str]:
    if isinstance(answers, (list, tuple, set, frozenset)):
        return (str(answer) for answer in answers)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # elements of Any

    return (str(answers),)


def _holds(text: str, answers: Any) -> bool:
    return any(holds(text, answer) for answer in _texts(answers))


def exact_match(field: str, *, against: str | None = None, normalize: bool = True) -> ExactMatch:
    """Return the metric "the answer equals a right one"; see `ExactMatch`."""
    return ExactMatch(field, against=against, normalize=normalize)


def contains(field: str, *, against: str | None = None) -> Contains:
    """Return the metric "the text holds a right answer"; see `Contains`."""
    return Contains(field, against=against)


def f1(field: str, *, against: str | None = None) -> F1:
    """Return the metric "overlap in words with a right answer"; see `F1`."""
    return F1(field, against=against)


def passage_match(field: str = "context", *, against: str = "answer") -> PassageMatch:
    """Return the metric "a passage holds a right answer"; see `PassageMatch`."""
    return PassageMatch(field, against=against)
