"""One example, whatever the program does: always a run, never an exception that escapes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dspex import effects
from dspex.effects import CallScope, Trace
from dspex.errors import (
    ConfigError,
    ErrorData,
    ErrorKind,
    EvaluationError,
    RuntimeNotFound,
    to_exception,
)
from dspex.evaluation.example import ExampleRun, describe, is_unavailable, run_example
from dspex.evaluation.metrics import PreparedMetric, exact_match
from dspex.evaluation.outcome import Stage, Status
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.usage import Usage, UsageMeter
from supervision.deadline import Deadlines

pytestmark = pytest.mark.virtual_time

EXAMPLE = Example(question="?", answer="yes").with_inputs("question")
YES = Prediction(answer="yes")
OUTAGE = to_exception(ErrorData(ErrorKind.RATE_LIMIT, "slow down"))
AT_FAULT = to_exception(ErrorData(ErrorKind.CONTEXT_WINDOW, "too long"))


@pytest.fixture
async def deadlines() -> AsyncIterator[Deadlines]:
    """Give deadlines that are closed after the test, and check that none is left open."""
    found = Deadlines()
    yield found
    assert len(found) == 0
    found.close()


METRIC = exact_match("answer")


async def run(program: Any, metric: Any = METRIC, **options: Any) -> ExampleRun:
    """Run the example of these tests."""
    prepared = None if metric is None else PreparedMetric(metric)
    return await run_example(program, EXAMPLE, prepared, **options)


async def right(question: str) -> Prediction:
    """Answer correctly."""
    return YES


async def waits_for_a_model(question: str) -> Prediction:
    """Wait for a provider as a client does."""
    meter = effects.current().meter
    assert meter is not None
    meter.enter_call()
    try:
        await asyncio.sleep(3600)
    finally:
        meter.leave_call()

    return YES


async def computes(question: str) -> Prediction:
    """Take very long, by itself."""
    await asyncio.sleep(3600)
    return YES


def raising(error: BaseException) -> Any:
    """Return a program, and a metric, that raises."""

    async def program(*args: object, **inputs: object) -> Any:
        raise error

    return program


class TestScored:
    async def test_right_answer(self) -> None:
        """The score, the answer and the time it took."""

        async def program(question: str) -> Prediction:
            assert question == "?"
            await asyncio.sleep(2)
            return YES

        result = await run(program)
        assert (result.status, result.error, result.prediction) == (Status.SCORED, None, YES)
        assert result.score is not None
        assert result.score.value == 1.0
        assert result.latency_s == pytest.approx(2)

    async def test_without_metric(self) -> None:
        """Where nobody judges, an answer is good."""
        result = await run(right, None)
        assert result.score is not None
        assert result.score.value == 1.0

    async def test_outcome_is_plain(self) -> None:
        """The run as data keeps place, score, answer and the id that finds it in the logs."""
        outcome = (await run(right)).outcome(4, "00000000000000ab", retry=1)
        assert (outcome.index, outcome.key, outcome.retry) == (4, "00000000000000ab", 1)
        assert (outcome.score, outcome.prediction) == (1.0, {"answer": "yes"})
        assert len(outcome.correlation_id) == 16


class TestScope:
    async def test_each_run_has_a_scope_of_its_own(self) -> None:
        """Place, meter, correlation id, sample and deadline are those of the example."""
        seen: list[CallScope] = []

        async def program(question: str) -> Prediction:
            here = effects.current()
            seen.append(here)
            assert here.meter is not None
            here.meter.add(Usage(calls=2))
            return YES

        outer = UsageMeter()
        with effects.scope("outer", meter=outer, owner=object(), correlation_id="c"):
            result = await run(program, path=("evaluate", "7"), sample=3)

        (here,) = seen
        assert (here.path, here.sample, here.owner) == (("evaluate", "7"), 3, None)
        assert here.correlation_id == result.correlation_id != "c"
        assert result.usage.calls == 2
        assert outer.total.calls == 2

    async def test_deadline_reaches_the_calls(self, deadlines: Deadlines) -> None:
        """Model calls below see until when they may take."""

        async def program(question: str) -> Prediction:
            left = effects.current().deadline
            assert left == asyncio.get_running_loop().time() + 5
            return YES

        assert (await run(program, timeout_s=5, deadlines=deadlines)).status is Status.SCORED

    async def test_trace_reaches_the_metric(self) -> None:
        """The metric sees the trace that the program filled."""
        trace = Trace()

        def metric(example: object, prediction: object, trace: Trace) -> bool:
            return trace is given

        given = trace
        assert (await run(right, metric, trace=trace)).status is Status.SCORED


class TestFailed:
    @pytest.mark.parametrize(
        "error",
        [
            ValueError("no"),
            SystemExit(3),
            KeyboardInterrupt(),
            RecursionError(),
            AT_FAULT,
            asyncio.CancelledError(),
            ExceptionGroup("two", [ValueError("a"), KeyError("b")]),
            ExceptionGroup("mixed", [OUTAGE, ValueError("a")]),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_program_raises(self, error: BaseException) -> None:
        """Whatever the program raises is its own failure."""
        result = await run(raising(error))
        assert (result.status, result.stage) == (Status.FAILED, Stage.PROGRAM)
        assert result.error is error
        assert (result.score, result.prediction) == (None, None)

    async def test_metric_raises(self) -> None:
        """A metric's failure is told from the program's, and the answer is kept."""
        result = await run(right, raising(KeyError("gold")))
        assert (result.status, result.stage) == (Status.FAILED, Stage.METRIC)
        assert result.prediction == YES

    async def test_metric_says_nonsense(self) -> None:
        """A metric that returns None is named with what it returned."""

        def metric(example: object, prediction: object) -> Any:
            return None

        result = await run(right, metric)
        assert (result.status, result.stage) == (Status.FAILED, Stage.METRIC)
        assert "metric returned None" in str(result.error).replace("test_example.", "").replace(
            "TestFailed.test_metric_says_nonsense.<locals>.", ""
        )

    @pytest.mark.parametrize("garbage", [None, "text", {"answer": "yes"}, 7])
    async def test_program_returns_garbage(self, garbage: Any) -> None:
        """A program that returns no Prediction has failed, and the message shows what it gave."""

        async def program(question: str) -> Any:
            return garbage

        result = await run(program)
        assert (result.status, result.stage) == (Status.FAILED, Stage.PROGRAM)
        assert isinstance(result.error, EvaluationError)
        assert repr(garbage) in str(result.error)

    async def test_example_without_inputs(self) -> None:
        """An example that does not say what its inputs are fails by itself."""
        result = await run_example(right, Example(question="?"), None)
        assert result.status is Status.FAILED
        assert "with_inputs" in str(result.error)

    @pytest.mark.parametrize(
        "error", [RuntimeNotFound("open one"), ConfigError("no", source="x", key="y")]
    )
    async def test_fatal_errors_are_raised(self, error: Exception) -> None:
        """What every example would meet is not one example's failure."""
        with pytest.raises(type(error)):
            await run(raising(error))


class TestMemory:
    async def test_failed_run_leaves_no_cycle(self) -> None:
        """What a failed program held is free at once, without the garbage collector."""
        held: list[weakref.ref[object]] = []

        async def program(question: str) -> Prediction:
            big = Held()
            held.append(weakref.ref(big))
            await asyncio.sleep(1)
            raise ValueError(big)

        gc.disable()
        try:
            result = await run(program)
            assert result.status is Status.FAILED
            del result
            assert held[0]() is None
        finally:
            gc.enable()


class Held:
    """Something large."""


class TestUnavailable:
    @pytest.mark.parametrize(
        "error", [OUTAGE, ExceptionGroup("all", [OUTAGE, ExceptionGroup("in", [OUTAGE])])]
    )
    async def test_outage(self, error: Exception) -> None:
        """An outage is not the program's fault, also when it comes in groups."""
        assert (await run(raising(error))).status is Status.UNAVAILABLE

    async def test_outage_of_a_judge(self) -> None:
        """A metric that calls a model can be unavailable too."""
        result = await run(right, raising(OUTAGE))
        assert (result.status, result.stage) == (Status.UNAVAILABLE, Stage.METRIC)


class TestDeadline:
    async def test_while_computing(self, deadlines: Deadlines) -> None:
        """Time spent by the program itself is its failure."""
        result = await run(computes, timeout_s=5, deadlines=deadlines)
        assert result.status is Status.FAILED
        assert result.latency_s == pytest.approx(5)
        assert "not done after 5 s; it was computing" in str(result.error)

    async def test_while_waiting_for_a_model(self, deadlines: Deadlines) -> None:
        """Time spent by the provider is an outage."""
        result = await run(waits_for_a_model, timeout_s=5, deadlines=deadlines)
        assert result.status is Status.UNAVAILABLE
        assert "waiting for a model" in str(result.error)

    async def test_of_the_metric(self, deadlines: Deadlines) -> None:
        """Program and metric share the time; the stage says who had it."""

        async def metric(example: object, prediction: object) -> bool:
            await asyncio.sleep(3600)
            return True

        result = await run(right, metric, timeout_s=5, deadlines=deadlines)
        assert (result.status, result.stage) == (Status.FAILED, Stage.METRIC)
        assert result.prediction == YES

    async def test_program_that_ends_well_after_its_cancellation(
        self, deadlines: Deadlines
    ) -> None:
        """An answer that comes because cancellation was swallowed is too late."""

        async def program(question: str) -> Prediction:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

            return YES

        result = await run(program, timeout_s=5, deadlines=deadlines)
        assert result.status is Status.FAILED
        assert isinstance(result.error, TimeoutError)
        assert result.score is None

    async def test_program_that_raises_another_error_when_cancelled(
        self, deadlines: Deadlines
    ) -> None:
        """The deadline is the reason, not what a clean-up raised after it."""

        async def program(question: str) -> Prediction:
            try:
                await asyncio.sleep(3600)
            finally:
                raise ValueError("clean-up failed")

        result = await run(program, timeout_s=5, deadlines=deadlines)
        assert isinstance(result.error, TimeoutError)

    async def test_task_is_as_before(self, deadlines: Deadlines) -> None:
        """After a deadline the task can go on, and be cancelled anew."""
        await run(computes, timeout_s=5, deadlines=deadlines)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(1)

    async def test_in_time(self, deadlines: Deadlines) -> None:
        """A deadline that is not reached leaves no trace."""
        assert (await run(right, timeout_s=5, deadlines=deadlines)).status is Status.SCORED


class TestCancellation:
    @pytest.mark.parametrize("timeout_s", [None, 7200])
    async def test_from_outside_is_passed_on(
        self, timeout_s: float | None, deadlines: Deadlines
    ) -> None:
        """Whoever cancels the run gets it cancelled."""
        task = asyncio.create_task(run(computes, timeout_s=timeout_s, deadlines=deadlines))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class TestDescribe:
    def test_group_of_one_is_that_one(self) -> None:
        """What a task group wraps is shown unwrapped."""
        group = ExceptionGroup("unhandled", [ExceptionGroup("inner", [ValueError("no")])])
        failure = describe(group, Stage.PROGRAM)
        assert (failure.error, failure.message) == ("ValueError", "no")

    def test_group_of_several_names_each(self) -> None:
        """Several errors are all told."""
        failure = describe(ExceptionGroup("two", [ValueError("a"), KeyError("b")]), Stage.PROGRAM)
        assert failure.error == "ExceptionGroup"
        assert failure.message == "ValueError: a; KeyError: 'b'"

    def test_provider_error_keeps_its_data(self) -> None:
        """The facts of a failed call survive."""
        assert describe(OUTAGE, Stage.METRIC).data == ErrorData(ErrorKind.RATE_LIMIT, "slow down")

    @pytest.mark.parametrize(
        ("kinds", "told"),
        [
            ([ErrorKind.RATE_LIMIT, ErrorKind.CIRCUIT_OPEN], ErrorKind.CIRCUIT_OPEN),
            ([ErrorKind.CIRCUIT_OPEN, ErrorKind.BUDGET], ErrorKind.BUDGET),
            ([ErrorKind.ENDPOINT, ErrorKind.SERVER], ErrorKind.ENDPOINT),
        ],
    )
    def test_group_of_outages_keeps_the_one_that_lasts(
        self, kinds: list[ErrorKind], told: ErrorKind
    ) -> None:
        """A program of several calls at once is held still like one of a single call."""
        errors = [to_exception(ErrorData(kind, "no")) for kind in kinds]
        failure = describe(ExceptionGroup("calls", errors), Stage.PROGRAM)
        assert failure.data is not None
        assert failure.data.kind is told

    def test_group_of_which_one_is_no_outage(self) -> None:
        """It is a failure, and no call is to blame."""
        failure = describe(ExceptionGroup("mixed", [OUTAGE, ValueError("a")]), Stage.PROGRAM)
        assert failure.data is None

    async def test_line_that_raised(self) -> None:
        """The place in the user's code is part of the failure."""
        result = await run(raising(ValueError("no")))
        assert result.error is not None
        where = describe(result.error, Stage.PROGRAM).where
        assert where is not None
        assert "test_example.py:" in where
        assert where.endswith("in program")

    def test_what_is_unavailable(self) -> None:
        """Only outages are, and groups of nothing else."""
        assert is_unavailable(OUTAGE)
        assert not is_unavailable(AT_FAULT)
        assert not is_unavailable(TimeoutError())
