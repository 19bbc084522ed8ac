"""The course of a run: what stops it, what is run again, where outcomes go, what is announced."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dspex import effects
from dspex.errors import ErrorData, ErrorKind, EvaluationError, ProviderError, to_exception
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match
from dspex.evaluation.outcome import Outcome, Status
from dspex.evaluation.sink import JsonlSink, MemorySink, SpillSink, read_outcomes
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.usage import Usage
from supervision.job import Exit, Ok
from supervision.reasons import Crash, Killed, Reason, Shutdown
from supervision.task import TaskSupervisor
from supervision.telemetry import Bus

pytestmark = pytest.mark.virtual_time

METRIC = exact_match("answer")
YES = Prediction(answer="yes")


def dataset(count: int = 10) -> list[Example]:
    """Return examples whose right answer is always "yes"."""
    return [
        Example(question=str(number), answer="yes").with_inputs("question")
        for number in range(count)
    ]


def outage(kind: ErrorKind = ErrorKind.RATE_LIMIT) -> ProviderError:
    """Return a failed call."""
    return to_exception(ErrorData(kind, "try later"))


class Program:
    """Answers after a second; raises `error` for the questions in `bad`, so many times each."""

    def __init__(self, bad: dict[int, int] | None = None, error: Exception | None = None) -> None:
        self.left = Counter(bad or {})
        self.error = error or ValueError("bad")
        self.calls: Counter[int] = Counter()
        self.cancelled = 0

    async def __call__(self, question: str) -> Prediction:
        """Answer."""
        number = int(question)
        self.calls[number] += 1
        meter = effects.current().meter
        assert meter is not None
        meter.add(Usage(calls=1))
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

        if self.left[number] > 0:
            self.left[number] -= 1
            raise self.error

        return YES


class TestOnError:
    async def test_score(self) -> None:
        """Failures count what they are said to be worth."""
        report = await evaluate(Program({0: 1}), dataset(4), METRIC, failure_score=-1.0)
        assert (report.score, report.coverage) == (0.5, 1.0)
        assert report.counts.failed == 1

    async def test_skip(self) -> None:
        """Skipped failures are out of the score, and the coverage tells."""
        report = await evaluate(Program({0: 1}), dataset(4), METRIC, on_error="skip")
        assert (report.score, report.coverage, report.failure_score) == (1.0, 0.75, None)
        assert "75.0% of the examples" in str(report)

    async def test_raise(self) -> None:
        """The first failure ends the run, with the program's own error as the cause."""
        program = Program({3: 1})
        sink = MemorySink()
        with pytest.raises(
            EvaluationError, match=r"example 3 failed in the program: ValueError"
        ) as got:
            await evaluate(
                program, dataset(), METRIC, on_error="raise", max_concurrency=2, sink=sink
            )

        assert got.value.__cause__ is program.error
        assert 3 in [outcome.index for outcome in sink]
        assert program.calls.total() < 10

    async def test_raise_is_not_for_outages(self) -> None:
        """An outage is run again and does not end the run."""
        report = await evaluate(Program({3: 1}, outage()), dataset(), METRIC, on_error="raise")
        assert report.counts.scored == 10


class TestRetry:
    @pytest.mark.parametrize("wrap", [list, iter], ids=["list", "iterator"])
    async def test_unavailable_examples_are_run_again_at_the_end(self, wrap: Any) -> None:
        """An outage that passes costs time and no example; the bill has both tries."""
        program = Program({2: 1, 5: 1}, outage())
        report = await evaluate(program, wrap(dataset()), METRIC)
        assert report.counts.scored == 10
        assert (report.retried, report.errors, report.usage.calls) == (2, {}, 12)
        assert [outcome.retry for outcome in report.outcomes if outcome.index in (2, 3)] == [1, 0]

    async def test_three_times(self) -> None:
        """What stays unavailable is left out of the score, and that is said."""
        program = Program({2: 9}, outage())
        report = await evaluate(program, dataset(), METRIC)
        assert program.calls[2] == 4
        assert report.retried == 3
        assert report.duration_s == pytest.approx(1 + 3 + 2 + 10)
        assert (report.counts.unavailable, report.score, report.coverage) == (1, 1.0, 0.9)
        assert report.errors["RateLimited"].count == 1
        assert report.errors["RateLimited"].unavailable == 1
        assert "over 90.0% of the examples" in str(report)

    async def test_second_run_may_fail_otherwise(self) -> None:
        """The last outcome counts."""

        class Changing(Program):
            async def __call__(self, question: str) -> Prediction:
                if self.calls[int(question)] == 1 and question == "2":
                    raise KeyError("another")

                return await super().__call__(question)

        report = await evaluate(Changing({2: 1}, outage()), dataset(), METRIC)
        assert (report.counts.failed, report.counts.unavailable) == (1, 0)
        assert set(report.errors) == {"KeyError"}

    async def test_has_a_place_of_its_own(self) -> None:
        """A second run of an example is told apart in its scope."""
        seen: list[str] = []

        class Watching(Program):
            async def __call__(self, question: str) -> Prediction:
                seen.append(effects.current().path[-1])
                return await super().__call__(question)

        await evaluate(Watching({0: 1}, outage()), dataset(2), METRIC)
        assert seen == ["0", "1", "0#1"]

    async def test_an_outage_of_some_rounds(self) -> None:
        """The later rounds wait a little, and run only what is still missing."""
        program = Program({1: 3, 2: 1}, outage())
        report = await evaluate(program, dataset(4), METRIC)
        assert (program.calls[1], program.calls[2], report.counts.scored) == (4, 2, 4)

    @pytest.mark.parametrize(("max_outage_s", "calls"), [(0, 2), (1.5, 3), (600, 4)])
    async def test_within_the_time_for_an_outage(self, max_outage_s: float, calls: int) -> None:
        """Waiting for a provider at the end has the bound of any other waiting."""
        program = Program({2: 9}, outage())
        await evaluate(program, dataset(), METRIC, max_outage_s=max_outage_s)
        assert program.calls[2] == calls

    async def test_deadline_spent_waiting_is_run_again(self) -> None:
        """Time that a provider took is not held against the program."""
        slow = {1}

        async def program(question: str) -> Prediction:
            meter = effects.current().meter
            assert meter is not None
            meter.enter_call()
            try:
                await asyncio.sleep(100 if int(question) in slow else 1)
            finally:
                meter.leave_call()
                slow.discard(int(question))

            return YES

        report = await evaluate(program, dataset(3), METRIC, timeout_s=10)
        assert (report.counts.scored, report.retried) == (3, 1)


class TestSpentBudget:
    @pytest.mark.parametrize("kind", [ErrorKind.BUDGET, ErrorKind.QUOTA_EXHAUSTED])
    async def test_no_new_examples_and_no_retry(self, kind: ErrorKind) -> None:
        """A purse that is empty ends the run, and what was in flight may still come home."""
        program = Program({4: 1}, outage(kind))
        report = await evaluate(program, dataset(100), METRIC, max_concurrency=10)
        assert program.calls.total() <= 20
        assert program.calls[4] == 1
        assert program.cancelled == 0
        assert report.counts.unavailable == 1
        assert report.counts.scored == program.calls.total() - 1
        assert report.counts.not_run == 100 - program.calls.total()
        assert report.stopped_early is not None
        assert "no further call is possible" in report.stopped_early


class TestMaxErrors:
    async def test_count(self) -> None:
        """Reaching the count stops the run and keeps what has finished."""
        program = Program(dict.fromkeys(range(3, 100), 1))
        report = await evaluate(program, dataset(100), METRIC, max_errors=4, max_concurrency=5)
        assert report.counts.failed >= 4
        assert program.calls.total() <= 20
        assert report.counts.scored == 3
        assert "gave no score (max_errors=4)" in str(report.stopped_early)
        assert report.counts.total == 100

    async def test_share(self) -> None:
        """A share is judged when enough examples have ended."""
        program = Program(dict.fromkeys(range(1, 100, 2), 1))
        report = await evaluate(program, dataset(100), METRIC, max_errors=0.5, max_concurrency=1)
        ended = report.counts.total - report.counts.not_run
        assert ended == 20
        assert "max_errors=0.5" in str(report.stopped_early)

    async def test_outages_count_too(self) -> None:
        """A provider that is down does not burn the whole dataset."""
        program = Program(dict.fromkeys(range(1_000), 9), outage(ErrorKind.SERVER))
        report = await evaluate(program, dataset(1_000), METRIC, max_errors=10, max_concurrency=5)
        assert program.calls.total() <= 20
        assert report.counts.unavailable == 10

    async def test_below_the_limit(self) -> None:
        """A few errors stop nothing."""
        report = await evaluate(Program({0: 1, 1: 1}), dataset(), METRIC, max_errors=3)
        assert report.stopped_early is None

    async def test_what_has_finished_is_kept(self) -> None:
        """Also what ended in the same moment as the one that ended the run."""
        ended = 0

        async def program(question: str) -> Prediction:
            nonlocal ended
            await asyncio.sleep(1)
            if question == "0":
                raise ValueError("bad")

            ended += 1
            return YES

        report = await evaluate(program, dataset(50), METRIC, max_errors=1)
        assert report.counts.scored == ended == 49
        assert report.counts.failed == 1

    async def test_rest_is_cancelled(self) -> None:
        """What is in flight when the run stops is ended, not left running."""

        class Uneven(Program):
            async def __call__(self, question: str) -> Prediction:
                if question != "0":
                    self.calls[int(question)] += 1
                    try:
                        await asyncio.sleep(1_000)
                    except asyncio.CancelledError:
                        self.cancelled += 1
                        raise

                return await super().__call__(question)

        program = Uneven({0: 1})
        report = await evaluate(program, dataset(5), METRIC, max_errors=1)
        assert program.cancelled == 4
        assert report.counts.not_run == 4


class Collector:
    """A sink that is no store; may be slow, and may fail."""

    def __init__(self, *, fail_at: int | None = None, delay_s: float = 0) -> None:
        self.outcomes: list[Outcome] = []
        self.fail_at = fail_at
        self.delay_s = delay_s
        self.closed = 0

    async def put(self, outcome: Outcome) -> None:
        """Take an outcome."""
        if len(self.outcomes) == self.fail_at:
            raise OSError("no space left")

        await asyncio.sleep(self.delay_s)
        self.outcomes.append(outcome)

    async def close(self) -> None:
        """Note it."""
        self.closed += 1


class TestSinks:
    async def test_outcomes_in_dataset_order_without_a_sink(self) -> None:
        """However they came, outcomes are read in the order of the dataset."""

        async def program(question: str) -> Prediction:
            await asyncio.sleep(100 - int(question))
            return YES

        report = await evaluate(program, dataset(50), METRIC)
        assert [outcome.index for outcome in report.outcomes] == list(range(50))
        assert len(report.outcomes) == 50

    async def test_sink_of_another_kind(self) -> None:
        """A sink that cannot be read gets each outcome once, and the report still has them all."""
        sink = Collector()
        report = await evaluate(Program(), dataset(), METRIC, sink=sink)
        assert sorted(outcome.index for outcome in sink.outcomes) == list(range(10))
        assert sink.closed == 1
        assert len(list(report.outcomes)) == 10

    async def test_file(self, tmp_path: Path) -> None:
        """A file gets every outcome, and the report reads from it."""
        path = tmp_path / "o.jsonl"
        report = await evaluate(Program({1: 1}), dataset(), METRIC, sink=JsonlSink(path))
        written = sorted(read_outcomes(path), key=lambda outcome: outcome.index)
        assert written == list(report.outcomes)
        assert written[1].status is Status.FAILED

    async def test_failing_sink_stops_the_run(self) -> None:
        """Nothing more is paid for when outcomes cannot be kept; what is scored stays scored."""
        program = Program()
        report = await evaluate(
            program, dataset(100), METRIC, sink=Collector(fail_at=5), max_concurrency=2
        )
        assert program.calls.total() < 15
        assert report.counts.scored == 6
        assert report.stopped_early == "outcomes cannot be kept: OSError: no space left"

    async def test_failing_store(self) -> None:
        """Scores are kept also where their outcomes could not be; asking for those says so."""

        class Full(MemorySink):
            async def put(self, outcome: Outcome) -> int:
                if len(self) == 5:
                    raise OSError("no space left")

                return await super().put(outcome)

        report = await evaluate(Program(), dataset(10), METRIC, sink=Full(), max_concurrency=1)
        assert (report.counts.scored, report.score) == (6, 1.0)
        assert [outcome.index for outcome in report.outcomes] == [0, 1, 2, 3, 4]
        assert len(report.outcomes) == 5
        with pytest.raises(LookupError, match="example 5 could not be kept"):
            report.outcomes.at(5)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
    async def test_full_disk_at_the_end(self) -> None:
        """A disk that is full when the file is closed is told in the report."""
        report = await evaluate(Program(), dataset(), METRIC, sink=JsonlSink("/dev/full"))
        assert report.score == 1.0
        assert "No space left" in str(report.stopped_early)

    async def test_slow_sink_slows_the_run(self) -> None:
        """Outcomes do not pile up in front of a sink that takes its time."""
        program, ahead = Program(), []

        class Watching(Collector):
            async def put(self, outcome: Outcome) -> None:
                await super().put(outcome)
                ahead.append(program.calls.total() - len(self.outcomes))

        sink = Watching(delay_s=10)
        await evaluate(program, dataset(40), METRIC, sink=sink, max_concurrency=3)
        assert len(sink.outcomes) == 40
        assert max(ahead) <= 3

    async def test_cancelled_run_closes_its_sinks(self, tmp_path: Path) -> None:
        """What had finished when the run was cancelled is in the file."""
        path = tmp_path / "o.jsonl"
        program = Program()
        task = asyncio.create_task(
            evaluate(program, dataset(), METRIC, sink=JsonlSink(path), max_concurrency=2)
        )
        await asyncio.sleep(3.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert len(list(read_outcomes(path))) == 6
        assert program.cancelled == 2


class Elsewhere:
    """An executor as another machine might be: one by one, and some jobs are lost."""

    def __init__(self, lost: Mapping[int, Reason]) -> None:
        self.lost = dict(lost)
        self.pulled = 0

    @asynccontextmanager
    async def run(
        self, work: Any, jobs: Any, *, max_concurrency: int, timeout_s: float | None
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """Run the jobs."""

        async def results() -> AsyncGenerator[Any, None]:
            async for job in jobs:
                self.pulled += 1
                reason = self.lost.pop(job.index, None)
                yield Ok(await work(job)) if reason is None else Exit(reason, job)

        async with aclosing(results()) as stream:
            yield stream


class TestExecutors:
    async def test_lost_job_is_an_outage_and_run_again(self) -> None:
        """What a node took with it when it went is no failure of the program."""
        executor = Elsewhere({2: Killed()})
        report = await evaluate(Program(), dataset(4), METRIC, executor=executor)
        assert (report.counts.scored, report.retried, executor.pulled) == (4, 1, 5)

    async def test_lost_for_good(self) -> None:
        """The report names what ended the job."""

        class Gone(Elsewhere):
            def __init__(self) -> None:
                super().__init__({})

            @asynccontextmanager
            async def run(self, *args: Any, **options: Any) -> AsyncIterator[AsyncIterator[Any]]:
                self.lost = {2: Shutdown()}
                async with super().run(*args, **options) as results:
                    yield results

        report = await evaluate(Program(), dataset(4), METRIC, executor=Gone())
        assert report.counts.unavailable == 1
        assert "ended from outside: shutdown" in str(report.errors["Stopped"].samples[0])

    @pytest.mark.parametrize(
        ("error", "status"),
        [(MemoryError("node"), Status.FAILED), (outage(), Status.UNAVAILABLE)],
    )
    async def test_crash_outside_the_program(self, error: Exception, status: Status) -> None:
        """An error that reaches the executor is judged like any other."""
        executor = Elsewhere({0: Crash(error)})
        sink = MemorySink()
        await evaluate(Program(), dataset(2), METRIC, executor=executor, sink=sink)
        assert next(iter(sink)).status is status


class TestNames:
    @pytest.mark.parametrize(
        ("digest", "expected"), [(lambda: "abc", "abc"), (TypeError("local type"), None)]
    )
    async def test_digest_of_the_program(self, digest: Any, expected: str | None) -> None:
        """The report names the program's version, and does without where there is none."""

        class Named(Program):
            def digest(self) -> str:
                if isinstance(digest, Exception):
                    raise digest

                return str(digest())

        report = await evaluate(Named(), dataset(1), METRIC)
        assert (report.program, report.program_digest) == (Named.__qualname__, expected)


class FakeRuntime:
    """As much of a runtime as evaluation looks at."""

    name = "fake"
    cache = None

    def __init__(self, tasks: TaskSupervisor) -> None:
        self.tasks = tasks
        self.bus = Bus()
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def listen(self, *events: tuple[str, ...]) -> None:
        """Note these events."""

        def handler(event: Any, figures: Any, about: Any, _: object) -> None:
            self.seen.append((event[-1], {**figures, **about}))

        self.bus.attach_many("test", events, handler)

    def client(self, name: str | None = None) -> Any:
        """Have none."""
        raise LookupError(name)


@pytest.fixture
async def runtime() -> AsyncIterator[FakeRuntime]:
    """Give a runtime with tasks and a bus, in scope for as long as the test's own block."""
    async with TaskSupervisor() as tasks:
        yield FakeRuntime(tasks)


class TestEvents:
    async def test_run_and_examples_are_announced(self, runtime: FakeRuntime) -> None:
        """Whoever listens hears of start, each example, and stop."""
        runtime.listen(
            ("dspex", "evaluate", "start"),
            ("dspex", "evaluate", "example", "stop"),
            ("dspex", "evaluate", "stop"),
        )
        with effects.scope(runtime=runtime):
            report = await evaluate(Program({1: 1}), dataset(2), METRIC)

        (_, start), *examples, (_, stop) = runtime.seen
        assert (start["program"], start["metric"]) == ("Program", "ExactMatch('answer')")
        assert (stop["score"], stop["total"], stop["duration_s"]) == (0.5, 2, report.duration_s)
        assert [(row["index"], row["status"]) for _, row in examples] == [
            (0, "scored"),
            (1, "failed"),
        ]
        run, *_ = str(examples[0][1]["correlation_id"]).split("-")
        assert [f"{run}-0", f"{run}-1"] == [row["correlation_id"] for _, row in examples]

    async def test_nobody_listens(self, runtime: FakeRuntime) -> None:
        """Without listeners nothing is announced."""
        with effects.scope(runtime=runtime):
            await evaluate(Program(), dataset(2), METRIC)

        assert runtime.seen == []


class TestMemory:
    @pytest.mark.slow
    async def test_does_not_grow_with_the_dataset(self) -> None:
        """Nine thousand examples take hardly more memory than three thousand."""

        def many(count: int) -> Iterator[Example]:
            for number in range(count):
                yield Example(question=str(number), answer="yes").with_inputs("question")

        async def program(question: str) -> Prediction:
            return YES

        async def peak(count: int) -> int:
            tracemalloc.start()
            await evaluate(program, many(count), METRIC, sink=SpillSink(memory_bytes=0))
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return found

        await peak(1_000)
        few, many_more = await peak(3_000), await peak(9_000)
        assert many_more - few < 6_000 * 100
