"""`evaluate` as its users see it: isolation above all."""

from __future__ import annotations

import asyncio
import contextlib
import math
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from dspex import effects
from dspex.errors import ConfigError, DatasetError, EvaluationError, RuntimeNotFound
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import Score, exact_match
from dspex.evaluation.outcome import Stage, Status
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel
from supervision.task import TaskSupervisor
from supervision.telemetry import Bus
from tests.support.project import ROOT

pytestmark = pytest.mark.virtual_time


def dataset(count: int = 10) -> list[Example]:
    """Return examples whose right answer is always "yes"."""
    return [
        Example(question=str(number), answer="yes").with_inputs("question")
        for number in range(count)
    ]


METRIC = exact_match("answer")


async def right(question: str) -> Prediction:
    """Answer correctly."""
    return Prediction(answer="yes")


def spoiled_at(number: int, spoil: Callable[[], Any]) -> Any:
    """Return a program that is right, but for one example that it spoils."""

    async def program(question: str) -> Any:
        await asyncio.sleep(1)
        if int(question) == number:
            return await spoil()

        return Prediction(answer="yes")

    return program


async def crash() -> None:
    """Raise."""
    raise ZeroDivisionError("spoiled")


async def leave() -> None:
    """Try to end the process."""
    sys.exit(3)


async def interrupt() -> None:
    """Behave as if Ctrl-C was pressed."""
    raise KeyboardInterrupt


async def stop_the_loop() -> None:
    """Raise what generators raise."""
    raise GeneratorExit


async def cancel_itself() -> None:
    """Leak a cancellation."""
    raise asyncio.CancelledError


async def hang() -> None:
    """Never end."""
    await asyncio.Event().wait()


async def hang_in_a_child() -> None:
    """Never end, in tasks of its own."""
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.Event().wait())


async def garbage() -> object:
    """Return nothing of use."""
    return {"answer": object()}


class TestIsolation:
    @pytest.mark.parametrize(
        "spoil",
        [
            crash,
            leave,
            interrupt,
            stop_the_loop,
            cancel_itself,
            hang,
            hang_in_a_child,
            garbage,
        ],
    )
    @pytest.mark.parametrize("max_concurrency", [1, 100])
    async def test_one_bad_example_hurts_no_other(
        self, spoil: Callable[[], Any], max_concurrency: int
    ) -> None:
        """A crash, an exit, a hang, garbage: one failed outcome among nine scored ones."""
        report = await evaluate(
            spoiled_at(3, spoil),
            dataset(),
            METRIC,
            max_concurrency=max_concurrency,
            timeout_s=60,
        )
        assert [outcome.status for outcome in report.outcomes] == [
            Status.FAILED if index == 3 else Status.SCORED for index in range(10)
        ]
        assert report.score == pytest.approx(0.9)
        assert report.stopped_early is None

    async def test_example_that_swallows_cancellation(self) -> None:
        """A program that will not end is left behind, and all others are scored."""
        released = asyncio.Event()

        async def deaf() -> None:
            while not released.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await released.wait()

        report = await evaluate(spoiled_at(3, deaf), dataset(), METRIC, timeout_s=10)
        assert (report.counts.scored, report.counts.failed) == (9, 1)
        (failed,) = report.failures()
        assert failed.failure is not None
        assert failed.failure.stage is Stage.EXECUTOR
        assert "did not end when it was cancelled" in failed.failure.message
        released.set()
        await asyncio.sleep(1)

    async def test_each_example_has_its_own_deadline(self) -> None:
        """Late starters have as much time as the first."""

        async def program(question: str) -> Prediction:
            await asyncio.sleep(8)
            return Prediction(answer="yes")

        report = await evaluate(program, dataset(), METRIC, max_concurrency=2, timeout_s=10)
        assert report.counts.scored == 10
        assert report.duration_s == pytest.approx(40)

    async def test_metric_that_crashes_once(self) -> None:
        """A metric's failure is told from a program's."""

        def metric(example: Example, prediction: Prediction) -> bool:
            return example["question"] != "3" or bool(1 / 0)

        report = await evaluate(right, dataset(), metric)
        (failed,) = report.failures()
        assert failed.failure is not None
        assert (failed.failure.stage, failed.failure.error) == (Stage.METRIC, "ZeroDivisionError")
        assert failed.prediction == {"answer": "yes"}

    async def test_metric_that_hangs(self) -> None:
        """The deadline is for program and metric together."""

        async def metric(example: Example, prediction: Prediction) -> bool:
            if example["question"] == "3":
                await hang()

            return True

        report = await evaluate(right, dataset(), metric, timeout_s=5)
        (failed,) = report.failures()
        assert (failed.index, failed.failure and failed.failure.stage) == (3, Stage.METRIC)

    async def test_broken_bus_handler(self) -> None:
        """Whoever watches cannot break what is watched."""

        def handler(*_: object) -> None:
            raise ValueError("broken")

        async with TaskSupervisor() as tasks:
            runtime = FakeRuntime(tasks)
            runtime.bus.attach("x", ("dspex", "evaluate", "example", "stop"), handler)
            with effects.scope(runtime=runtime):
                report = await evaluate(right, dataset(), METRIC)

        assert report.score == 1.0


class FakeRuntime:
    """As much of a runtime as programs and evaluation look at."""

    name = "fake"
    cache = None

    def __init__(self, tasks: TaskSupervisor) -> None:
        self.tasks = tasks
        self.bus = Bus()
        self.model = ScriptedModel(lambda request: {"answer": "yes"}, latency_s=1)

    def client(self, name: str | None = None) -> ScriptedModel:
        """Return the only model."""
        return self.model


class TestPrograms:
    async def test_predict(self) -> None:
        """A real program against a scripted model: answers, usage, latency."""
        model = ScriptedModel(lambda request: {"answer": "yes"}, latency_s=2)
        report = await evaluate(
            Predict("question -> answer").with_client(model), dataset(20), METRIC
        )
        assert (report.score, report.program) == (1.0, "Predict")
        assert report.usage.calls == 20
        assert report.duration_s == pytest.approx(2)
        assert report.latency is not None
        assert report.latency.p50 == pytest.approx(2)
        assert report.program_digest is not None

    async def test_one_by_one_when_asked(self) -> None:
        """The bound on concurrency is kept to the call."""
        model = ScriptedModel(lambda request: {"reasoning": "r", "answer": "yes"}, latency_s=1)
        program = ChainOfThought("question -> answer").with_client(model)
        report = await evaluate(program, dataset(5), METRIC, max_concurrency=1)
        assert report.duration_s == pytest.approx(5)
        assert model.max_in_flight == 1

    async def test_runtime_that_is_open(self) -> None:
        """The runtime found gives program and examples what they need."""
        async with TaskSupervisor() as tasks:
            runtime = FakeRuntime(tasks)
            effects.announce_runtime(runtime)
            try:
                report = await evaluate(Predict("question -> answer"), dataset(), METRIC)
            finally:
                effects.retract_runtime(runtime)

        assert (report.score, runtime.model.max_in_flight) == (1.0, 10)

    async def test_no_runtime_is_an_error_of_the_run(self) -> None:
        """A program without a client and without a runtime is not ten failed examples."""
        with pytest.raises(RuntimeNotFound):
            await evaluate(Predict("question -> answer"), dataset(), METRIC)

    async def test_wrong_settings_are_an_error_of_the_run(self) -> None:
        """What every example would meet is raised."""

        async def program(question: str) -> Prediction:
            raise ConfigError("no key", source="code", key="api_key")

        with pytest.raises(ConfigError, match="no key"):
            await evaluate(program, dataset(), METRIC)

    async def test_composed_program_is_metered_per_example(self) -> None:
        """Each outcome has the bill of its own calls."""

        class Twice(Program):
            def __init__(self) -> None:
                self.first = Predict("question -> draft")
                self.second = Predict("question, draft -> answer")

            async def forward(self, question: str) -> Prediction:
                draft = (await self.first(question=question))["draft"]
                return await self.second(question=question, draft=draft)

        model = ScriptedModel(lambda request: {"draft": "d", "answer": "yes"}, latency_s=1)
        report = await evaluate(Twice().with_client(model), dataset(8), METRIC)
        assert report.score == 1.0
        assert [outcome.usage.calls for outcome in report.outcomes] == [2] * 8
        assert report.usage.calls == 16


class TestScope:
    async def test_examples_are_named_by_index(self) -> None:
        """Whatever order they run in, each example has its place; two runs do not collide."""
        seen: list[tuple[str, ...]] = []

        async def program(question: str) -> Prediction:
            seen.append(effects.current().path)
            return Prediction(answer="yes")

        with effects.scope("trial"):
            await evaluate(program, dataset(3), METRIC)
            await evaluate(program, dataset(1), METRIC)

        assert sorted(seen) == [
            ("trial", "evaluate", "0"),
            ("trial", "evaluate", "1"),
            ("trial", "evaluate", "2"),
            ("trial", "evaluate#1", "0"),
        ]

    async def test_scope_is_left(self) -> None:
        """Afterwards the caller is where it was."""
        before = effects.current().path
        await evaluate(right, dataset(1), METRIC)
        assert effects.current().path == before


class TestMetrics:
    async def test_score_with_feedback(self) -> None:
        """Numbers become the mean, words stay with the outcome."""

        async def metric(example: Example, prediction: Prediction) -> Score:
            return Score(int(example["question"]) / 10, f"was {example['question']}")

        report = await evaluate(right, dataset(), metric)
        assert report.score == pytest.approx(0.45)
        assert [outcome.feedback for outcome in report.outcomes][:2] == ["was 0", "was 1"]

    async def test_third_argument_without_default_gets_the_trace(self) -> None:
        """A metric that needs the trace sees the calls of this example and no other."""
        lengths: list[int] = []

        def metric(example: Example, prediction: Prediction, trace: effects.Trace) -> bool:
            lengths.append(len(trace.entries))
            return trace.entries[0].inputs == example.inputs()

        model = ScriptedModel(lambda request: {"answer": "yes"}, latency_s=1)
        program = Predict("question -> answer").with_client(model)
        report = await evaluate(program, dataset(), metric)
        assert (report.score, lengths) == (1.0, [1] * 10)

    async def test_trace_with_default_stays_empty(self) -> None:
        """The idiom `trace=None` means "not optimizing"."""

        def metric(example: Example, prediction: Prediction, trace: object = None) -> bool:
            return trace is None

        assert (await evaluate(right, dataset(), metric)).score == 1.0

    async def test_no_metric(self) -> None:
        """What is no metric is refused before anything is called."""
        with pytest.raises(EvaluationError, match="'accuracy' is not a metric"):
            await evaluate(right, dataset(), "accuracy")  # type: ignore[arg-type]  # on purpose


class TestDatasets:
    @pytest.mark.parametrize("empty", [[], iter([])], ids=["list", "iterator"])
    async def test_empty(self, empty: Any) -> None:
        """Nothing to score is an error, not a score of nothing."""
        with pytest.raises(DatasetError, match="gave no example"):
            await evaluate(right, empty, METRIC)

    async def test_first_item_is_no_example(self) -> None:
        """A dataset of the wrong kind is refused at once."""
        with pytest.raises(DatasetError, match="item 0 of the dataset"):
            await evaluate(right, [{"question": "?"}], METRIC)  # type: ignore[list-item]  # on purpose

    async def test_no_dataset(self) -> None:
        """What cannot be iterated is refused."""
        with pytest.raises(DatasetError, match="not a dataset"):
            await evaluate(right, None, METRIC)  # type: ignore[arg-type]  # on purpose

    async def test_async_and_lazy(self) -> None:
        """An async source is read as there is room, and its total is known at the end."""
        pulled = 0

        async def source() -> AsyncIterator[Example]:
            nonlocal pulled
            for example in dataset(30):
                await asyncio.sleep(0.1)
                pulled += 1
                yield example

        async def program(question: str) -> Prediction:
            assert pulled <= int(question) + 6
            await asyncio.sleep(3)
            return Prediction(answer="yes")

        report = await evaluate(program, source(), METRIC, max_concurrency=5)
        assert (report.score, report.counts.total) == (1.0, 30)

    async def test_failing_half_way_keeps_what_is_done(self) -> None:
        """A dataset that breaks costs what was not read, and the report says so."""

        def source() -> Iterator[Example]:
            yield from dataset(7)
            raise OSError("disk gone")

        report = await evaluate(right, source(), METRIC)
        assert (report.counts.scored, report.score) == (7, 1.0)
        assert report.stopped_early is not None
        assert "failed at item 7: OSError: disk gone" in report.stopped_early

    async def test_foreign_item_half_way(self) -> None:
        """The same for an item that is no example."""
        report = await evaluate(right, [*dataset(2), "x"], METRIC)  # type: ignore[list-item]  # on purpose
        assert report.counts.scored == 2
        assert "item 2 of the dataset is 'x'" in str(report.stopped_early)


class TestOptions:
    async def test_checked_before_the_run(self) -> None:
        """A wrong option is found before the dataset is touched."""

        def never() -> Iterator[Example]:
            raise AssertionError("pulled")
            yield

        with pytest.raises(EvaluationError, match="max_concurrency is 0"):
            await evaluate(right, never(), METRIC, max_concurrency=0)

    async def test_nothing_counts(self) -> None:
        """A run in which all failed and failures are skipped has no score."""
        report = await evaluate(spoiled_at(0, crash), dataset(1), METRIC, on_error="skip")
        assert math.isnan(report.score)
        assert report.interval is None
        assert report.coverage == 0


class TestImport:
    def test_loads_nothing_heavy(self) -> None:
        """Numbers are loaded when the first report is computed."""
        code = (
            "import sys, dspex.evaluation; "
            "sys.stdout.write(','.join(m for m in ('numpy', 'scipy') if m in sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, "")


class TestWrongArguments:
    @pytest.mark.parametrize("program", [Predict, "question -> answer", None, [right]])
    async def test_what_is_no_program(self, program: Any) -> None:
        """It is refused before any example is run: a score of 0 would blame the model."""
        with pytest.raises(EvaluationError, match="the program is"):
            await evaluate(program, dataset(), METRIC)

    async def test_what_is_no_sink(self) -> None:
        """A path alone is a folder of runs without a name; the message says what to give."""
        with pytest.raises(EvaluationError, match=r"the folder 'x\.jsonl'.*run_id=.*JsonlSink"):
            await evaluate(right, dataset(), METRIC, sink="x.jsonl")

    async def test_examples_without_inputs(self) -> None:
        """A dataset that nobody said the inputs of raises instead of scoring 0."""
        with pytest.raises(DatasetError, match="with_inputs"):
            await evaluate(right, [Example(question="1", answer="yes")], METRIC)
