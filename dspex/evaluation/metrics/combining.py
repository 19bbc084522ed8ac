"""Metrics made of metrics."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from dspex.errors import EvaluationError
from dspex.evaluation.metrics.prepared import Metric, PreparedMetric, Score, metric_name
from dspex.recipe import Recipe, encode_argument, import_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from dspex.effects import Trace
    from dspex.signatures.record import Record

__all__ = (
    "AllOf",
    "AnyOf",
    "Minimum",
    "Weighted",
    "all_of",
    "any_of",
    "minimum",
    "weighted",
)

_Judged: TypeAlias = "tuple[str, Score]"


@dataclass(frozen=True, slots=True)
class _Combined(ABC):
    """Asks its metrics one after another, as they are written, and makes one score of theirs.

    Its feedback is theirs, each with its metric's name. What a metric raises, it raises.
    """

    metrics: tuple[Metric, ...]
    _: KW_ONLY
    fill_trace: bool = field(default=False, repr=False)
    _prepared: tuple[PreparedMetric, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.metrics:
            raise EvaluationError(f"{type(self).__name__} needs metrics: it was given none")

        object.__setattr__(self, "metrics", tuple(self.metrics))
        prepared = (PreparedMetric(metric, fill_trace=self.fill_trace) for metric in self.metrics)
        object.__setattr__(self, "_prepared", tuple(prepared))

    async def __call__(
        self, example: Record, prediction: Record, trace: Trace | None = None
    ) -> Score:
        """Return one score of those of all metrics."""
        judged = [found async for found in self._judgements(example, prediction, trace)]
        said = [f"{name}: {score.feedback}" for name, score in judged if score.feedback]
        return Score(
            self._combine([float(score.value) for _, score in judged]), "\n".join(said) or None
        )

    @property
    def wants_trace(self) -> bool:
        """Whether one of the metrics reads the trace of the run."""
        return any(metric.wants_trace for metric in self._prepared)

    def filled(self) -> Self:
        """Return a copy that gives the trace also to metrics that have a default for it."""
        return replace(self, fill_trace=True)

    def recipe(self) -> Recipe:
        """Return how to build this metric again.

        Raises:
            TypeError: one of its metrics cannot be named in another process.
        """
        given = [item.name for item in fields(self) if item.init and item.name != "fill_trace"]
        arguments = {name: encode_argument(getattr(self, name), name) for name in given}
        return Recipe(import_path(type(self)), arguments)

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(metric_name, self.metrics))})"

    async def _judgements(
        self, example: Record, prediction: Record, trace: Trace | None
    ) -> AsyncIterator[_Judged]:
        for metric in self._prepared:
            score = await metric(example, prediction, trace)
            yield metric.name, score
            if self._settled(float(score.value)):
                return

    def _settled(self, value: float) -> bool:
        """Tell whether the others need not be asked any more."""
        return False

    @abstractmethod
    def _combine(self, values: list[float]) -> float: ...


@dataclass(frozen=True, slots=True)
class Weighted(_Combined):
    """The weighted mean of its metrics' scores."""

    weights: tuple[float, ...] = ()

    __str__ = _Combined.__str__

    def __post_init__(self) -> None:
        # A dataclass with slots is made anew, so that a bare super() would not find it.
        _Combined.__post_init__(self)
        weights = tuple(self.weights) or (1.0,) * len(self.metrics)
        if len(weights) != len(self.metrics) or not _are_weights(weights):
            raise EvaluationError(
                f"the weights are {weights!r} for {len(self.metrics)} metrics; give each metric a "
                "finite number from 0 on, not all of them 0"
            )

        object.__setattr__(self, "weights", weights)

    def _combine(self, values: list[float]) -> float:
        total = math.fsum(self.weights)
        return math.fsum(w * value for w, value in zip(self.weights, values, strict=True)) / total


@dataclass(frozen=True, slots=True)
class AllOf(_Combined):
    """1 if every metric gives `threshold` or more, else 0. The first that does not ends it."""

    threshold: float = 1.0

    __str__ = _Combined.__str__

    def _settled(self, value: float) -> bool:
        return value < self.threshold

    def _combine(self, values: list[float]) -> float:
        return float(all(value >= self.threshold for value in values))


@dataclass(frozen=True, slots=True)
class AnyOf(_Combined):
    """1 if a metric gives `threshold` or more, else 0. The first that does ends it."""

    threshold: float = 1.0

    __str__ = _Combined.__str__

    def _settled(self, value: float) -> bool:
        return value >= self.threshold

    def _combine(self, values: list[float]) -> float:
        return float(any(value >= self.threshold for value in values))


@dataclass(frozen=True, slots=True)
class Minimum(_Combined):
    """The least of its metrics' scores."""

    __str__ = _Combined.__str__

    def _combine(self, values: list[float]) -> float:
        return min(values)


def weighted(weights: Mapping[Metric, float]) -> Weighted:
    """Return the weighted mean of metrics: `weighted({exact_match("a"): 2, f1("b"): 1})`."""
    return Weighted(tuple(weights), weights=tuple(weights.values()))


def all_of(*metrics: Metric, threshold: float = 1.0) -> AllOf:
    """Return the metric "all of these are satisfied"; put the cheap ones first."""
    return AllOf(metrics, threshold=threshold)


def any_of(*metrics: Metric, threshold: float = 1.0) -> AnyOf:
    """Return the metric "one of these is satisfied"; put the cheap ones first."""
    return AnyOf(metrics, threshold=threshold)


def minimum(*metrics: Metric) -> Minimum:
    """Return the least of the scores of these metrics."""
    return Minimum(metrics)


def _are_weights(weights: tuple[Any, ...]) -> bool:
    fit = all(isinstance(w, (int, float)) and 0 <= w < math.inf for w in weights)
    return fit and any(weights)
