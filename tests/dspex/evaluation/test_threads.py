"""What is slow leaves the event loop; what is quick stays."""

from __future__ import annotations

import asyncio
import threading

import pytest

from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import PreparedMetric, exact_match
from dspex.evaluation.threads import Offloading, in_thread
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from supervision.testing import FakeClock


def block() -> None:
    """Hold a thread up a little longer than a quick metric may."""
    threading.Event().wait(0.011)


def slow_by(*delays: float) -> Offloading:
    """Return a function whose calls take so long each, by its clock."""
    clock, left = FakeClock(), list(delays)

    def function() -> None:
        clock.advance(left.pop(0))

    return Offloading(function, clock)


def call(function: Offloading, times: int) -> bool:
    """Call it so often; tell whether it would be called in a thread next time."""
    for _ in range(times):
        function.call_here()

    return function.in_threads


class TestOffloading:
    def test_quick_calls_stay(self) -> None:
        """Nothing is moved without a reason."""
        assert not call(slow_by(*[0.005] * 1_000), 1_000)

    def test_two_slow_calls_may_be_chance(self) -> None:
        """The third one decides."""
        function = slow_by(0.02, 0.02, 0.02)
        assert not call(function, 2)
        assert call(function, 1)

    def test_now_and_then_a_slow_one(self) -> None:
        """One in a hundred, as where a collection of garbage falls into it, is no reason."""
        assert not call(slow_by(*([0.02] + [0.0] * 99) * 10), 1_000)

    def test_one_in_ten(self) -> None:
        """Slow ones among quick ones add up."""
        assert call(slow_by(*([0.02] + [0.0] * 9) * 10), 100)

    def test_failing_calls_are_measured_too(self) -> None:
        """A call that takes long to fail holds the loop up all the same."""
        clock = FakeClock()

        def function() -> None:
            clock.advance(1.0)
            raise ValueError("no")

        metric = Offloading(function, clock)
        for _ in range(3):
            with pytest.raises(ValueError, match="no"):
                metric.call_here()

        assert metric.in_threads

    async def test_in_a_thread(self) -> None:
        """Results and errors come back, SystemExit as well."""
        function = slow_by(1, 1, 1)
        call(function, 3)
        seen: list[str] = []

        def run(value: object) -> object:
            seen.append(threading.current_thread().name)
            if isinstance(value, BaseException):
                raise value

            return value

        metric = Offloading(run)
        metric._limiter = function._limiter
        assert await metric.call_in_thread(7) == 7
        with pytest.raises(SystemExit):
            await metric.call_in_thread(SystemExit(3))

        assert threading.main_thread().name not in seen


class TestMetrics:
    async def test_blocking_metric_leaves_the_loop_free(self) -> None:
        """After its first calls a metric that sleeps holds nobody up, and still judges right."""
        threads: set[str] = set()

        def metric(example: Example, prediction: Prediction) -> bool:
            threads.add(threading.current_thread().name)
            block()
            return bool(example["answer"] == prediction["answer"])

        async def program(question: str) -> Prediction:
            return Prediction(answer="yes")

        examples = [
            Example(question=str(n), answer="yes").with_inputs("question") for n in range(9)
        ]
        report = await evaluate(program, examples, metric, max_concurrency=1)
        assert (report.score, report.counts.scored) == (1.0, 9)
        assert len(threads) > 1

    async def test_blocking_metric_that_hangs_is_left_behind(self) -> None:
        """The deadline of the example holds for a thread as well."""
        go_on = threading.Event()

        def metric(example: Example, prediction: Prediction) -> bool:
            if example["question"] == "4":
                go_on.wait(10)

            block()
            return True

        async def program(question: str) -> Prediction:
            return Prediction(answer="yes")

        examples = [
            Example(question=str(n), answer="yes").with_inputs("question") for n in range(6)
        ]
        try:
            report = await evaluate(program, examples, metric, max_concurrency=1, timeout_s=0.2)
        finally:
            go_on.set()

        assert (report.counts.scored, report.counts.failed) == (5, 1)

    async def test_quick_metric_stays(self) -> None:
        """The metrics of the library never need a thread."""
        metric = PreparedMetric(exact_match("answer"))
        example = Example(question="?", answer="yes").with_inputs("question")
        for _ in range(100):
            await metric(example, Prediction(answer="yes"), None)

        assert not metric._metric.in_threads


async def test_in_thread() -> None:
    """The loop goes on meanwhile."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        counting = group.create_task(count())
        assert await in_thread(lambda: threading.current_thread().name) != "MainThread"
        counting.cancel()

    assert turns > 0
