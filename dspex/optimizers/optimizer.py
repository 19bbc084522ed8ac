"""What every optimizer is: settings as a value, and one call from a program to a better one."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from dspex import effects
from dspex.errors import OptimizerError
from dspex.evaluation.metrics import metric_name
from dspex.optimizers.trainset import check_examples, collect_examples
from dspex.programs.program import Program
from dspex.programs.provenance import Provenance
from dspex.recipe import Recipe, encode_argument, import_path
from dspex.telemetry.events import OPTIMIZE_START, OPTIMIZE_STOP
from dspex.usage import UsageMeter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.evaluation.source import Dataset
    from dspex.signatures.example import Example
    from supervision.telemetry import EventName

__all__ = ("Optimizer", "SearchResult", "Task", "emit")

P = TypeVar("P", bound=Program)


@dataclass(frozen=True, slots=True)
class Task(Generic[P]):
    """What an optimizer works on, checked."""

    student: P
    trainset: tuple[Example, ...]
    _: KW_ONLY
    valset: tuple[Example, ...] | None = None
    teacher: Program | None = None


@dataclass(frozen=True, slots=True)
class SearchResult(Generic[P]):
    """What a search found, and what is to be remembered of it; see `Provenance`."""

    program: P
    _: KW_ONLY
    stop_reason: str
    score: float | None = None
    candidates: tuple[Mapping[str, Any], ...] = ()
    scores: tuple[float | None, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Optimizer(ABC):
    """Makes a better program from a program and examples.

    A subclass is a frozen dataclass of settings and says in `_search` how it goes about it. It is
    ordinary deterministic code: time, randomness, concurrency and calls come from `effects` alone,
    so that the result depends on settings and answers and never on when an answer came. Safe to use
    for several programs at the same time.
    """

    takes: ClassVar[frozenset[str]] = frozenset()
    """Which of "teacher" and "valset" it uses; the other one is refused."""

    async def compile(
        self,
        student: P,
        *,
        trainset: Dataset,
        valset: Dataset | None = None,
        teacher: Program | None = None,
    ) -> P:
        """Return an improved copy of `student`; its `provenance` says how it came about.

        Raises:
            DatasetError: an example cannot be used; names its place and the field.
            OptimizerError: something impossible was asked for, or too much went wrong.
        """
        task = await self._prepare(student, trainset, valset, teacher)
        clock = asyncio.get_running_loop().time
        began = clock()
        meter = UsageMeter(effects.current().meter)
        about = {"optimizer": str(self), "program": type(student).__name__}
        with effects.scope(type(self).__name__, meter=meter, owner=None):
            emit(OPTIMIZE_START, {}, about)
            result = await self._search(task)
            figures = {"duration_s": clock() - began, "calls": meter.total.calls}
            emit(OPTIMIZE_STOP, figures, {**about, "stop_reason": result.stop_reason})

        provenance = Provenance(
            str(self),
            stop_reason=result.stop_reason,
            score=result.score,
            candidates=result.candidates,
            scores=result.scores,
            usage=meter.total,
            seed=getattr(self, "seed", None),
            details={**result.details, "recipe": self._recipe_or_none()},
        )
        return result.program.with_provenance(provenance)

    @abstractmethod
    async def _search(self, task: Task[P]) -> SearchResult[P]:
        """Do the work, in a scope of its own."""

    async def _prepare(
        self, student: P, trainset: Dataset, valset: Dataset | None, teacher: Program | None
    ) -> Task[P]:
        if not isinstance(cast("object", student), Program):
            raise OptimizerError(f"the student is {student!r}; it has to be a dspex Program")

        for name, given in (("teacher", teacher), ("valset", valset)):
            if given is not None and name not in self.takes:
                raise OptimizerError(f"{type(self).__name__} does not use a {name}: leave it out")

        if teacher is not None and not isinstance(cast("object", teacher), Program):
            raise OptimizerError(
                f"the teacher is {teacher!r}; it has to be a dspex Program, such as "
                "student.with_client('provider/model')"
            )

        examples = await collect_examples(trainset, "trainset")
        check_examples(examples, student, "trainset")
        held_out = None
        if valset is not None:
            held_out = await collect_examples(valset, "valset")
            check_examples(held_out, student, "valset")

        return Task(student, examples, valset=held_out, teacher=teacher)

    def recipe(self) -> Recipe:
        """Return how to build an equal optimizer in another process.

        Raises:
            TypeError: a setting cannot be rebuilt there, such as a metric that is a local function.
        """
        name = type(self).__name__
        settings = {
            item.name: encode_argument(getattr(self, item.name), f"{name}, {item.name}")
            for item in _fields(self)
        }
        return Recipe(import_path(type(self)), settings)

    def _recipe_or_none(self) -> dict[str, Any] | None:
        try:
            return self.recipe().to_dict()
        except TypeError:
            return None

    def __str__(self) -> str:
        settings = [
            f"{item.name}={_shown(getattr(self, item.name))}"
            for item in _fields(self)
            if getattr(self, item.name) != item.default
        ]
        return f"{type(self).__name__}({', '.join(settings)})"

    def _require(self, name: str, *, at_least: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
            raise OptimizerError(
                f"{type(self).__name__}: {name} is {value!r}; use a whole number from {at_least} on"
            )

    def _require_seconds(self, name: str) -> None:
        value = getattr(self, name)
        if value is not None and not (isinstance(value, (int, float)) and 0 < value < math.inf):
            raise OptimizerError(
                f"{type(self).__name__}: {name} is {value!r}; use seconds, more than 0, or None"
            )


def _fields(optimizer: Any) -> tuple[Any, ...]:
    return fields(optimizer)


def _shown(value: Any) -> str:
    return metric_name(value) if callable(value) else repr(value)


def emit(event: EventName, figures: Mapping[str, object], about: Mapping[str, object]) -> None:
    """Announce `event` on the runtime's bus, if there is one and somebody listens."""
    here = effects.current()
    bus = None if here.runtime is None else here.runtime.bus
    if bus is not None and bus.active and event in bus.listeners:
        bus.execute(event, figures, {**about, "correlation_id": here.correlation_id})
