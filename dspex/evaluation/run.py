"""The run behind `evaluate`: examples out to the executor, outcomes in to sink and report."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, runtime_checkable

from dspex import effects
from dspex.effects import CallScope, Trace
from dspex.errors import DatasetError, ErrorKind, EvaluationError
from dspex.evaluation.columns import NOT_STORED, Columns
from dspex.evaluation.example import FATAL, AsyncProgram, describe, is_unavailable, run_example
from dspex.evaluation.executor import LocalExecutor
from dspex.evaluation.metrics import PreparedMetric
from dspex.evaluation.outage import Outage
from dspex.evaluation.outcome import Failure, Outcome, Stage, Status
from dspex.evaluation.progress import Progress
from dspex.evaluation.report import Counts, Report
from dspex.evaluation.sink import Sink, SpillSink, Store
from dspex.evaluation.source import Dataset, Job, Source, example_key
from dspex.evaluation.tally import Tally
from dspex.telemetry.events import EVALUATE_EXAMPLE, EVALUATE_START, EVALUATE_STOP
from supervision.deadline import Deadlines
from supervision.job import Exit
from supervision.reasons import Crash, TimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable

    from dspex.evaluation.executor import Executor, Result
    from dspex.evaluation.metrics import Metric
    from dspex.evaluation.options import EvaluationOptions
    from supervision.telemetry import Bus, EventName

__all__ = ("Evaluation",)

T = TypeVar("T")

_SPENT: Final = frozenset({ErrorKind.BUDGET, ErrorKind.QUOTA_EXHAUSTED})
"""Outages that last: every further call would meet them at once."""


@runtime_checkable
class _HasDigest(Protocol):
    def digest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Done:
    """What a task hands back: the outcome, and what `_take` needs beside it."""

    job: Job
    outcome: Outcome
    error: BaseException | None
    ended_s: float


class Evaluation:
    """One run of `evaluate`; used once."""

    def __init__(
        self,
        program: AsyncProgram,
        dataset: Dataset,
        metric: Metric,
        options: EvaluationOptions,
        sink: Sink | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._program = program
        self._source = Source(dataset)
        self._metric = PreparedMetric(metric)
        self._options = options
        self._store: Store = sink if isinstance(sink, Store) else SpillSink()
        self._sink = None if sink is self._store else sink
        self._executor: Executor = LocalExecutor() if executor is None else executor
        self._columns = Columns()
        self._tally = Tally()
        self._deadlines = Deadlines()
        self._outage = Outage(options.max_outage_s)
        self._path: tuple[str, ...] = ()
        self._id = effects.new_correlation_id()
        self._bus: Bus | None = None
        self._running = 0
        self._began = asyncio.get_running_loop().time()
        self._duration_s = 0.0
        self._stopped: str | None = None
        self._abandon = False

    async def execute(self, branch: CallScope) -> Report:
        """Run everything and return the report."""
        self._path = branch.path
        self._bus = None if branch.runtime is None else branch.runtime.bus
        about: dict[str, object] = {"program": _name(self._program), "metric": self._metric.name}
        self._emit(EVALUATE_START, {}, about)
        try:
            await self._run(self._source.jobs())
            if self._stopped is None and self._source.kept:
                await self._run(self._source.kept_jobs())
        finally:
            self._deadlines.close()
            await self._close_sinks()
            self._duration_s = asyncio.get_running_loop().time() - self._began

        self._check_dataset()
        report = await _in_thread(self._report)
        figures: dict[str, object] = {
            "duration_s": report.duration_s,
            "score": report.score,
            "total": report.counts.total,
        }
        self._emit(EVALUATE_STOP, figures, about)
        return report

    def progress(self) -> Progress:
        """Return how far the run is."""
        tally = self._tally
        return Progress(
            finished=tally.finished,
            in_flight=self._running,
            total=self._source.total,
            scored=tally.scored,
            failed=tally.failed,
            unavailable=tally.unavailable,
            score=tally.mean,
            half_width=tally.half_width,
            calls=tally.usage.calls,
            cost_usd=tally.usage.cost_usd,
            elapsed_s=asyncio.get_running_loop().time() - self._began,
        )

    # --- in the tasks of the examples

    async def _work(self, job: Job) -> _Done:
        self._running += 1
        place = f"{job.index}#{job.retry}" if job.retry else str(job.index)
        try:
            run = await run_example(
                self._program,
                job.example,
                self._metric,
                path=(*self._path, place),
                correlation_id=f"{self._id}-{place}",
                timeout_s=self._options.timeout_s,
                deadlines=self._deadlines,
                trace=Trace() if self._metric.wants_trace else None,
            )
        finally:
            self._running -= 1

        outcome = run.outcome(job.index, example_key(job.index, job.example), retry=job.retry)
        error = run.error if self._options.on_error == "raise" else None
        return _Done(job, outcome, error, asyncio.get_running_loop().time())

    # --- in the task that called

    async def _run(self, jobs: Iterable[Job] | AsyncIterable[Job]) -> None:
        async with self._executor.run(
            self._work,
            jobs,
            max_concurrency=self._options.max_concurrency,
            timeout_s=self._options.timeout_s,
        ) as results:
            async for result in results:
                await self._take(_done(result))
                if self._abandon:
                    return

    async def _take(self, done: _Done) -> None:
        outcome = done.outcome
        if outcome.retry:
            self._tally.retract(outcome.index, self._source.kept_group(outcome.index))

        worth = self._worth(outcome)
        place = await self._keep(outcome)
        self._columns.set(outcome, worth, place)
        self._tally.add(outcome, worth)
        self._announce(outcome)
        if outcome.failure is not None:
            self._look_at(done, outcome.failure)

        await self._sit_out_outage(done)

    async def _sit_out_outage(self, done: _Done) -> None:
        clock = asyncio.get_running_loop().time
        pause_s = self._outage.pause_s(done.outcome, done.ended_s, clock())
        if pause_s and not self._abandon:
            await asyncio.sleep(pause_s)

        if self._outage.too_long(clock()):
            self._stop(
                f"no call got through for {self._options.max_outage_s:g} s (max_outage_s): "
                f"{done.outcome.failure}"
            )

    def _worth(self, outcome: Outcome) -> float | None:
        failed = outcome.status is Status.FAILED
        return self._options.worth_of_failure if failed else outcome.score

    async def _keep(self, outcome: Outcome) -> int:
        place = NOT_STORED
        try:
            place = await self._store.put(outcome)
            if self._sink is not None:
                await self._sink.put(outcome)
        except Exception as exc:
            self._stop(f"outcomes cannot be kept: {type(exc).__name__}: {exc}")

        return place

    def _look_at(self, done: _Done, failure: Failure) -> None:
        if done.outcome.status is Status.FAILED:
            if self._options.on_error == "raise":
                raise EvaluationError(
                    f"example {done.job.index} failed in the {failure.stage}: {failure}; "
                    "on_error='raise' ends the run here"
                ) from done.error
        elif failure.data is not None and failure.data.kind in _SPENT:
            # What is in flight has been paid for, and may still come home.
            self._stop(f"no further call is possible: {failure.message}", abandon=False)
        else:
            self._source.keep(done.job, self._tally.group_name(failure.error))

        self._look_at_errors()

    def _look_at_errors(self) -> None:
        errors, finished = self._tally.without_score, self._tally.finished
        if self._options.too_many_errors(errors, finished):
            self._stop(
                f"{errors:,} of {finished:,} examples gave no score "
                f"(max_errors={self._options.max_errors!r})"
            )

    def _stop(self, reason: str, *, abandon: bool = True) -> None:
        """Stop for `reason`, the first one stays; `abandon` cancels what is in flight."""
        self._stopped = self._stopped or reason
        self._abandon = self._abandon or abandon
        self._source.close()

    def _announce(self, outcome: Outcome) -> None:
        bus = self._bus
        if bus is None or EVALUATE_EXAMPLE not in bus.listeners:
            return

        bus.execute(
            EVALUATE_EXAMPLE,
            {"latency_s": outcome.latency_s, "score": outcome.score},
            {
                "index": outcome.index,
                "status": outcome.status.value,
                "correlation_id": outcome.correlation_id,
            },
        )

    def _emit(self, event: EventName, figures: dict[str, object], about: dict[str, object]) -> None:
        if self._bus is not None and event in self._bus.listeners:
            correlation_id = effects.current().correlation_id
            self._bus.execute(event, figures, {**about, "correlation_id": correlation_id})

    async def _close_sinks(self) -> None:
        for sink in (self._store, self._sink):
            try:
                if sink is not None:
                    await sink.close()
            except Exception as exc:
                self._stop(f"outcomes could not be kept: {type(exc).__name__}: {exc}")

    def _check_dataset(self) -> None:
        error = self._source.error
        if self._tally.finished == 0 and error is not None:
            raise error

        if self._source.pulled == 0:
            raise DatasetError(
                "the dataset gave no example; a generator gives its examples only once"
            )

        if error is not None:
            self._stop(str(error))

    def _report(self) -> Report:
        # Here and not above: numpy and scipy take half a second to load.
        from dspex.evaluation.statistics import percentiles, present, summarize

        tally, columns, source = self._tally, self._columns, self._source
        summary = summarize(present(columns.scores))
        total = max(source.pulled, source.total or 0)
        return Report(
            _name(self._program),
            self._metric.name,
            score=summary.mean,
            stderr=summary.stderr,
            interval=summary.interval,
            counts=Counts(tally.scored, tally.failed, tally.unavailable, total),
            coverage=summary.count / total,
            errors=dict(tally.errors),
            usage=tally.usage,
            latency=percentiles(present(columns.latencies, "f4")),
            duration_s=self._duration_s,
            retried=tally.retried,
            failure_score=self._options.worth_of_failure,
            stopped_early=self._stopped,
            program_digest=self._digest(),
            columns=columns,
            store=self._store,
        )

    def _digest(self) -> str | None:
        try:
            return self._program.digest() if isinstance(self._program, _HasDigest) else None
        except TypeError:  # it holds something that has no name in other processes
            return None


def _done(result: Result[_Done]) -> _Done:
    """Return what a task handed back, or what is to be said of one that could not."""
    if not isinstance(result, Exit):
        return result.value

    job: Job = result.input
    reason = result.reason
    error = reason.exc if isinstance(reason, Crash) else None
    if isinstance(error, FATAL):
        raise error

    if error is not None:
        failure = describe(error, Stage.EXECUTOR)
        status = Status.UNAVAILABLE if is_unavailable(error) else Status.FAILED
    elif isinstance(reason, TimedOut):
        failure = Failure(
            "TimeoutError",
            f"did not end when it was cancelled at its deadline ({reason})",
            stage=Stage.EXECUTOR,
        )
        status = Status.FAILED
    else:
        failure = Failure("Stopped", f"ended from outside: {reason}", stage=Stage.EXECUTOR)
        status = Status.UNAVAILABLE

    key = example_key(job.index, job.example)
    outcome = Outcome(job.index, key, status, failure=failure, retry=job.retry)
    return _Done(job, outcome, error, asyncio.get_running_loop().time())


def _name(program: object) -> str:
    named = program if isinstance(program, (FunctionType, MethodType)) else type(program)
    return named.__qualname__


async def _in_thread(function: Callable[[], T]) -> T:
    # A thread of its own: the shared ones may all be held up by somebody's blocking tools.
    with ThreadPoolExecutor(1, thread_name_prefix="dspex-report") as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, function)
