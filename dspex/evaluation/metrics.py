"""Metrics: what an answer is worth, and how any callable becomes one.

A metric is called with the example and the prediction, and with the trace of the run if it requires
a third argument; it is sync or async and returns a bool, a number, or a `Score` with feedback in
words. A third argument with a default, as in `def metric(example, prediction, trace=None)`, is left
to its default by `evaluate` and filled in by optimizers: such metrics tell the two apart by it.

The metrics here are values: they can be compared, printed, saved in a recipe and run elsewhere.
"""

from __future__ import annotations

import inspect
import math
import re
import string
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import KW_ONLY, dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

from dspex.errors import EvaluationError
from dspex.evaluation.threads import Offloading
from dspex.recipe import Recipe, SupportsRecipe, import_path
from dspex.signatures.encoding import to_jsonable

if TYPE_CHECKING:
    from dspex.effects import Trace
    from dspex.signatures.record import Record

__all__ = (
    "F1",
    "Contains",
    "ExactMatch",
    "Judgement",
    "Metric",
    "PassageMatch",
    "PreparedMetric",
    "Score",
    "contains",
    "exact_match",
    "f1",
    "metric_name",
    "normalize_answer",
    "passage_match",
)


@dataclass(frozen=True, slots=True)
class Score:
    """What an answer is worth, with the reason in words for optimizers that read it."""

    value: bool | float
    feedback: str | None = None


Judgement: TypeAlias = bool | float | Score
"""What a metric returns."""

Metric: TypeAlias = Callable[..., Judgement | Awaitable[Judgement]]
"""`(example, prediction)` or `(example, prediction, trace)`, sync or async."""


@runtime_checkable
class _Scalar(Protocol):
    """A number of an array library."""

    def item(self) -> object: ...


class PreparedMetric:
    """A metric whose shape has been looked at once: call it with a trace, always, and await it.

    A sync metric that turns out to be slow is called in threads, so that it holds nobody else up.

    Args:
        metric: any callable of two or three positional arguments.
        fill_trace: give it the trace even where it has a default for it.
    """

    __slots__ = ("_metric", "_with_trace", "name")

    def __init__(self, metric: Metric, *, fill_trace: bool = False) -> None:
        self._metric = Offloading(metric)
        self._with_trace = _takes_trace(metric, fill_trace=fill_trace)
        self.name = metric_name(metric)

    @property
    def wants_trace(self) -> bool:
        """Whether it reads the trace of the run."""
        return self._with_trace

    async def __call__(self, example: object, prediction: object, trace: Trace | None) -> Score:
        """Return what the answer is worth; raise EvaluationError if the metric says nonsense."""
        given = (example, prediction, trace) if self._with_trace else (example, prediction)
        metric = self._metric
        if metric.in_threads:
            judged = await metric.call_in_thread(*given)
        else:
            judged = metric.call_here(*given)

        if inspect.isawaitable(judged):
            judged = await judged

        return self._checked(judged)

    def _checked(self, judged: object) -> Score:
        feedback = None
        value = judged
        if isinstance(judged, Score):
            value, feedback = judged.value, judged.feedback

        # Protocols are slow to ask for, and hardly ever needed.
        if not isinstance(value, (bool, float, int)) and isinstance(value, _Scalar):
            value = value.item()

        if isinstance(value, (bool, float, int)) and math.isfinite(value):
            return Score(float(value), feedback)

        raise EvaluationError(
            f"metric {self.name} returned {judged!r} ({type(judged).__name__}); it has to return a "
            "bool, a finite number, or a Score of one"
        )


def _takes_trace(metric: Metric, *, fill_trace: bool) -> bool:
    if not callable(metric):
        raise EvaluationError(
            f"{metric!r} is not a metric: give a function of (example, prediction), sync or async"
        )

    try:
        parameters = inspect.signature(metric).parameters.values()
    except (TypeError, ValueError):  # some builtins tell nothing about their parameters
        return False

    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(required) > 3 or (len(positional) < 2 and not variadic):
        raise EvaluationError(
            f"metric {metric_name(metric)} takes {len(required)} arguments; it has to take "
            "(example, prediction) or (example, prediction, trace)"
        )

    return len(required) == 3 or (fill_trace and len(positional) >= 3)


def metric_name(metric: object) -> str:
    """Return a name that tells metrics apart: a value's recipe, or where a function is defined."""
    if isinstance(metric, SupportsRecipe):
        return str(metric)

    module = getattr(metric, "__module__", type(metric).__module__)
    name = getattr(metric, "__qualname__", type(metric).__qualname__)
    return f"{module}.{name}"


# Signs go, but not those that make the number: 1.5 is not 15 and -3 is not 3.
_SIGN: Final = re.compile(
    rf"(?<=\d)[.](?=\d)|(?<![\w)])-(?=\d)|([{re.escape(string.punctuation)}])"
)
_ARTICLE: Final = re.compile(r"\b(a|an|the)\b")


def normalize_answer(text: str) -> str:
    """Return `text` in lower case, without punctuation, articles and extra space.

    The normal form of SQuAD (P. Rajpurkar et al., "SQuAD: 100,000+ questions for machine
    comprehension of text", EMNLP 2016, section 6.1), after Unicode NFD, with one difference: a
    decimal point and a minus sign stay. Text of nothing but signs or articles stays as it is.
    """
    plain = unicodedata.normalize("NFD", text).lower()
    bare = _SIGN.sub(lambda sign: "" if sign[1] else sign[0], plain)
    return " ".join(_ARTICLE.sub(" ", bare).split()) or " ".join(plain.split())


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
        return max((_f1(str(given), answer) for answer in _texts(answers)), default=0.0)


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
    padded = f" {normalize_answer(text)} "
    return any(f" {normalize_answer(answer)} " in padded for answer in _texts(answers))


def _f1(given: str, answer: str) -> float:
    ours, theirs = normalize_answer(given).split(), normalize_answer(answer).split()
    common = (Counter(ours) & Counter(theirs)).total()
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0


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
