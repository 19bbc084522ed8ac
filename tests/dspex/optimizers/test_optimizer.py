"""What all optimizers share: checks, provenance, recipes, events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import pytest

from dspex import effects
from dspex.errors import DatasetError, OptimizerError
from dspex.evaluation.metrics import exact_match
from dspex.optimizers.bootstrap import BootstrapFewShot
from dspex.optimizers.labeled import LabeledFewShot
from dspex.optimizers.optimizer import Optimizer, SearchResult, Task
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.recipe import build
from dspex.signatures.example import Example
from dspex.usage import Usage
from supervision.telemetry import Bus

pytestmark = pytest.mark.virtual_time

P = TypeVar("P", bound=Program)
STUDENT = Predict("question -> answer")
TRAINSET = [Example(question=str(n), answer="a").with_inputs("question") for n in range(3)]


@dataclass(frozen=True, slots=True)
class Patient(Optimizer):
    """Waits, uses a call, and gives the student back."""

    takes: ClassVar[frozenset[str]] = frozenset({"teacher", "valset"})

    seed: int = 5

    async def _search(self, task: Task[P]) -> SearchResult[P]:
        await effects.sleep(2)
        meter = effects.current().meter
        assert meter is not None
        meter.add(Usage(calls=3))
        return SearchResult(
            task.student,
            stop_reason="patience ended",
            score=0.5,
            candidates=({"path": list(effects.current().path)},),
            scores=(0.5,),
            details={"valset": None if task.valset is None else len(task.valset)},
        )


def local_metric(example: Any, prediction: Any) -> bool:
    """Say yes."""
    return True


class TestCompile:
    async def test_provenance(self) -> None:
        """The program remembers who made it, at what price and why it stopped."""
        better = await Patient().compile(STUDENT, trainset=TRAINSET, valset=TRAINSET)
        assert STUDENT.provenance is None
        provenance = better.provenance
        assert provenance is not None
        assert provenance.stop_reason == "patience ended"
        assert (provenance.score, provenance.scores, provenance.seed) == (0.5, (0.5,), 5)
        assert provenance.calls == 3
        assert provenance.candidates == ({"path": ["Patient"]},)
        assert provenance.details["valset"] == 3
        assert build_again(provenance.details["recipe"]) == Patient()

    async def test_usage_reaches_the_surrounding_meter(self) -> None:
        """A search inside another is part of its bill."""
        from dspex.usage import UsageMeter

        meter = UsageMeter()
        with effects.scope(meter=meter):
            await Patient().compile(STUDENT, trainset=TRAINSET)

        assert meter.total.calls == 3

    async def test_student_is_no_program(self) -> None:
        """Anything else than a program is refused."""
        with pytest.raises(OptimizerError, match="the student is 'program'"):
            await Patient().compile("program", trainset=TRAINSET)  # type: ignore[type-var]  # on purpose

    @pytest.mark.parametrize("name", ["teacher", "valset"])
    async def test_what_it_does_not_use_is_refused(self, name: str) -> None:
        """Nothing is ignored in silence."""
        given: Any = STUDENT if name == "teacher" else TRAINSET
        with pytest.raises(OptimizerError, match=f"LabeledFewShot does not use a {name}"):
            await LabeledFewShot().compile(STUDENT, trainset=TRAINSET, **{name: given})

    async def test_bad_valset_is_named(self) -> None:
        """The message says which of the two sets is wrong."""
        with pytest.raises(DatasetError, match=r"valset\[0\] has no input"):
            await Patient().compile(
                STUDENT, trainset=TRAINSET, valset=[Example(text="?").with_inputs("text")]
            )


def build_again(data: Any) -> Any:
    """Build what a recipe's data describes."""
    from dspex.recipe import Recipe

    return build(Recipe.from_dict(data))


class TestValue:
    @pytest.mark.parametrize(
        "optimizer",
        [
            LabeledFewShot(k=3, seed=9),
            BootstrapFewShot(metric=exact_match("answer"), max_bootstrapped_demos=8),
            BootstrapFewShot(metric=local_metric, quality_threshold=0.5),
        ],
    )
    def test_recipe_builds_an_equal_optimizer(self, optimizer: Optimizer) -> None:
        """An optimizer can be submitted to another process as plain data."""
        assert build(optimizer.recipe()) == optimizer

    def test_local_metric_has_no_recipe(self) -> None:
        """What another process could not import is refused by name."""
        optimizer = BootstrapFewShot(metric=lambda example, prediction: True)
        with pytest.raises(TypeError, match=r"BootstrapFewShot, metric.*<lambda>"):
            optimizer.recipe()

    def test_text_names_what_was_set(self) -> None:
        """Settings at their default do not clutter reports."""
        assert str(LabeledFewShot()) == "LabeledFewShot()"
        assert str(BootstrapFewShot(metric=exact_match("a"), max_rounds=2)) == (
            "BootstrapFewShot(metric=ExactMatch('a'), max_rounds=2)"
        )

    @pytest.mark.parametrize(
        "settings",
        [
            {"max_bootstrapped_demos": -1},
            {"max_labeled_demos": 1.5},
            {"max_rounds": 0},
            {"max_errors": 0},
            {"max_concurrency": True},
            {"timeout_s": 0},
            {"quality_threshold": 0.5, "metric": None},
        ],
    )
    def test_impossible_settings(self, settings: dict[str, Any]) -> None:
        """A setting that cannot work is refused by name, with its value."""
        name, value = next(iter(settings.items()))
        with pytest.raises(OptimizerError, match=f"BootstrapFewShot: {name} is {value!r}"):
            BootstrapFewShot(**{"metric": local_metric, **settings})


class FakeRuntime:
    """As much of a runtime as optimizers look at."""

    name = "fake"

    def __init__(self) -> None:
        self.bus = Bus()

    @property
    def tasks(self) -> Any:
        """Have none."""
        raise LookupError("tasks")

    def client(self, name: str | None = None) -> Any:
        """Have none."""
        raise LookupError(name)


class TestEvents:
    async def test_start_and_stop(self) -> None:
        """Whoever listens hears of the search."""
        runtime = FakeRuntime()
        seen: list[dict[str, Any]] = []

        def handler(event: Any, figures: Any, about: Any, _: object) -> None:
            seen.append({"event": event[-1], **figures, **about})

        runtime.bus.attach_many(
            "x", [("dspex", "optimize", "start"), ("dspex", "optimize", "stop")], handler
        )
        with effects.scope(runtime=runtime):
            await Patient().compile(STUDENT, trainset=TRAINSET)

        start, stop = seen
        assert (start["event"], start["optimizer"], start["program"]) == (
            "start",
            "Patient()",
            "Predict",
        )
        assert (stop["event"], stop["duration_s"], stop["calls"]) == ("stop", 2, 3)

    async def test_time_is_the_loop_s(self) -> None:
        """Nothing waits for real."""
        began = asyncio.get_running_loop().time()
        await Patient().compile(STUDENT, trainset=TRAINSET)
        assert asyncio.get_running_loop().time() - began == 2
