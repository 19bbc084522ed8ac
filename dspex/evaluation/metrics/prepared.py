"""What a metric is, and how any callable becomes one."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias, cast, runtime_checkable

from dspex.errors import EvaluationError
from dspex.evaluation.threads import Offloading
from dspex.recipe import SupportsRecipe

if TYPE_CHECKING:
    from dspex.effects import Trace

__all__ = ("Combination", "Judgement", "Metric", "PreparedMetric", "Score", "metric_name")


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
class Combination(Protocol):
    """A metric made of metrics, which passes the trace on to those that want it."""

    @property
    def wants_trace(self) -> bool:
        """Whether one of them reads the trace of the run."""
        ...

    def filled(self) -> Self:
        """Return a copy that gives the trace also to those that have a default for it."""
        ...


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
        self._with_trace = _takes_trace(metric, fill_trace=fill_trace)
        if fill_trace and isinstance(metric, Combination):
            metric = cast("Metric", metric.filled())

        self._metric = Offloading(metric)
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

    if isinstance(metric, Combination):
        return fill_trace or metric.wants_trace

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
