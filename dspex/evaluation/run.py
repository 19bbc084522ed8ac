"""The course of an evaluation: examples out to the executor, outcomes in, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from dspex import effects
from dspex.effects import CallScope, Trace
from dspex.errors import DatasetError, ErrorKind, EvaluationError
from dspex.evaluation.announcer import Announcer
from dspex.evaluation.clusters import Clusters
from dspex.evaluation.done import Done, done_of
from dspex.evaluation.example import AsyncProgram, run_example
from dspex.evaluation.executor import Executor, LocalExecutor, Result
from dspex.evaluation.fingerprint import Fingerprint, models_of, own_digest, spoken_name
from dspex.evaluation.metrics import PreparedMetric
from dspex.evaluation.outage import Outage
from dspex.evaluation.outcome import Failure, Outcome, Status
from dspex.evaluation.results import Results
from dspex.evaluation.run_file import Resumable
from dspex.evaluation.run_head import RunHead
from dspex.evaluation.source import Dataset, Job, Source, example_key
from dspex.evaluation.threads import in_thread
from supervision.deadline import Deadlines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from dspex.evaluation.metrics import Metric
    from dspex.evaluation.options import EvaluationOptions
    from dspex.evaluation.progress import Progress
    from dspex.evaluation.report import Report
    from dspex.evaluation.sink import Sink

__all__ = ("Run",)

_SPENT: Final = frozenset({ErrorKind.BUDGET, ErrorKind.QUOTA_EXHAUSTED})
"""Outages that last: every further call would meet them at once."""

_ROUND_PAUSES_S: Final = (0.0, 2.0, 10.0)
"""What was unavailable is run again so often, after such pauses."""


class Run:
    """One run of `evaluate`; used once: `open`, `outcomes`, `close`, `report`."""

    def __init__(
        self,
        program: AsyncProgram,
        dataset: Dataset,
        metric: Metric,
        options: EvaluationOptions,
        *,
        sink: Sink | None = None,
        run_id: str | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._program = program
        clusters = None if options.cluster is None else Clusters(options.cluster)
        self._source = Source(
            dataset,
            epochs=options.epochs,
            shuffle_seed=options.seed if options.shuffle else None,
            clusters=clusters,
        )
        self._judge = metric
        self._metric = PreparedMetric(metric)
        self._options = options
        self._results = Results(options, sink, clusters)
        self._run_id = run_id
        self._executor: Executor = LocalExecutor() if executor is None else executor
        self._deadlines = Deadlines()
        self._outage = Outage(options.max_outage_s)
        self._branch = CallScope()
        self._id = effects.new_correlation_id()
        self._announcer = Announcer(None, {})
        self._running = 0
        self._began_s = self._ended_s = 0.0
        self._stopped: str | None = None
        self._abandon = False
        self._closed = False
        self._repeating_until_s = 0.0
        self._woken = asyncio.Event()

    async def open(self, branch: CallScope) -> None:
        """Begin, at the place `branch`; take over what an earlier session has finished."""
        self._branch = branch
        about = {
            "program": spoken_name(self._program),
            "metric": self._metric.name,
            "correlation_id": branch.correlation_id,
            "evaluation": self._id,
        }
        self._announcer = Announcer(branch.runtime, about)
        store = self._results.store
        if isinstance(store, Resumable):
            models = models_of(self._program, branch.runtime)
            head = await in_thread(lambda: self._head(models))
            await store.begin(head, self._results.recall)
            self._take_up()

        self._began_s = self._ended_s = asyncio.get_running_loop().time()
        self._announcer.begin()

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        """Yield each outcome when it is counted and with the sink; none is begun unasked."""
        jobs = self._source.jobs()
        for round_number in range(len(_ROUND_PAUSES_S) + 1):
            async with self._executor.run(
                self._work,
                self._admitted(jobs),
                max_concurrency=self._options.max_concurrency,
                timeout_s=self._options.timeout_s,
            ) as results:
                async for result in results:
                    yield await self._take(done_of(result))
                    if self._abandon:
                        break

                while self._abandon and (ready := await _ready(results)) is not None:
                    yield await self._take(done_of(ready))

            if not await self._may_repeat(round_number):
                return

            jobs = self._source.kept_jobs()

    async def close(self) -> None:
        """Bring what the sinks hold to safety. Safe to call again."""
        if self._closed:
            return

        self._closed = True
        self._deadlines.close()
        failure = await self._results.close()
        if failure is not None:
            self.stop(f"outcomes could not be kept: {type(failure).__name__}: {failure}")

        self._ended_s = asyncio.get_running_loop().time()

    async def report(self) -> Report:
        """Return the report of a run that is closed.

        Raises:
            DatasetError: the dataset gave nothing that could be run.
            EvaluationError: it was shorter than in an earlier session.
        """
        self._check_dataset()
        report = await in_thread(self._report)
        self._announcer.end(report)
        return report

    def stop(self, reason: str, *, abandon: bool = True) -> None:
        """Stop for `reason`, the first one stays; `abandon` cancels what is in flight."""
        self._stopped = self._stopped or reason
        self._abandon = self._abandon or abandon
        self._source.close()
        self._woken.set()

    def progress(self) -> Progress:
        """Return how far the run is."""
        elapsed_s = asyncio.get_running_loop().time() - self._began_s
        return self._results.progress(self._running, self._source.total, elapsed_s)

    # --- in the task that reads the dataset

    async def _admitted(
        self, jobs: Iterator[Job] | AsyncGenerator[Job, None]
    ) -> AsyncGenerator[Job, None]:
        """Give the jobs, each when the providers are up, until the run is stopped."""
        source = jobs if isinstance(jobs, AsyncGenerator) else _one_by_one(jobs)
        async with aclosing(source):
            async for job in source:
                if self._outage.is_on:
                    await self._sit_out_outage()

                if self._stopped is not None:
                    return

                yield job

    async def _sit_out_outage(self) -> None:
        clock, outage = asyncio.get_running_loop().time, self._outage
        while self._stopped is None:
            if outage.too_long(clock()):
                # What is in flight may have had its calls before, and is worth having.
                limit = f"{self._options.max_outage_s:g} s (max_outage_s)"
                self.stop(f"no call got through for {limit}: {outage.reason}", abandon=False)
                return

            wait_s = outage.wait_s(clock())
            if not wait_s:
                return

            await self._pause(wait_s)

    # --- in the tasks of the examples

    async def _work(self, job: Job) -> Done:
        # Whoever asks for outcomes may stand elsewhere by now: the run stays where it was begun.
        effects.enter(self._branch)
        self._running += 1
        *outer, last = self._place(job)
        place = f"{last}#{job.retry}" if job.retry else last
        try:
            run = await run_example(
                self._program,
                job.example,
                self._metric,
                path=(*self._branch.path, *outer, place),
                sample=self._branch.sample * self._options.epochs + job.epoch,
                correlation_id=f"{self._id}-{'.'.join((*outer, place))}",
                timeout_s=self._options.timeout_s,
                deadlines=self._deadlines,
                trace=Trace() if self._metric.wants_trace else None,
            )
        finally:
            self._running -= 1

        key = example_key(job.index, job.example)
        outcome = run.outcome(job.index, key, retry=job.retry, epoch=job.epoch)
        error = run.error if self._options.on_error == "raise" else None
        return Done(job, outcome, error, asyncio.get_running_loop().time())

    def _place(self, job: Job) -> tuple[str, ...]:
        index = str(job.index)
        return (index,) if self._options.epochs == 1 else (index, f"epoch {job.epoch}")

    # --- in the task that asks for outcomes

    async def _take(self, done: Done) -> Outcome:
        outcome = done.outcome
        failure = await self._results.add(outcome)
        if failure is not None:
            self.stop(f"outcomes cannot be kept: {type(failure).__name__}: {failure}")

        self._announcer.tell(outcome)
        if outcome.failure is not None:
            self._look_at(done, outcome.failure)

        self._outage.hear(outcome, done.ended_s)
        return outcome

    async def _pause(self, pause_s: float) -> None:
        """Wait, but not after the run is told to stop."""
        try:
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        except TimeoutError:
            return

    def _look_at(self, done: Done, failure: Failure) -> None:
        if done.outcome.status is Status.FAILED:
            if self._options.on_error == "raise":
                raise EvaluationError(
                    f"example {done.job.index} failed in the {failure.stage}: {failure}; "
                    "on_error='raise' ends the run here"
                ) from done.error
        elif failure.data is not None and failure.data.kind in _SPENT:
            # What is in flight has been paid for, and may still come home.
            self.stop(f"no further call is possible: {failure.message}", abandon=False)
        else:
            self._source.keep(done.job)

        self._look_at_errors()

    def _look_at_errors(self) -> None:
        errors, finished = self._results.errors, self._results.finished
        if self._options.too_many_errors(errors, finished):
            self.stop(
                f"{errors:,} of {finished:,} examples gave no score "
                f"(max_errors={self._options.max_errors!r})"
            )

    async def _may_repeat(self, round_number: int) -> bool:
        """Tell, after a pause, whether what was unavailable is to be run once more."""
        clock = asyncio.get_running_loop().time
        if round_number == 0:
            self._repeating_until_s = clock() + self._options.max_outage_s
        elif clock() >= self._repeating_until_s:
            return False

        if self._stopped or not self._source.kept or round_number == len(_ROUND_PAUSES_S):
            return False

        pause_s = min(_ROUND_PAUSES_S[round_number], self._repeating_until_s - clock())
        if pause_s > 0:
            await self._pause(pause_s)

        return self._stopped is None

    # --- before and after

    def _take_up(self) -> None:
        self._results.end_recall()
        if not self._results.inherited:
            return

        self._source.resume(self._results.missing)
        if self._source.total is not None:
            self._results.check_length(self._source.total)

    def _head(self, models: tuple[str, ...]) -> RunHead:
        assert self._run_id is not None, "a resumable store has a named run"
        return RunHead(
            self._run_id,
            program=Fingerprint.of(self._program, spoken_name(self._program)),
            metric=Fingerprint.of(self._judge, self._metric.name),
            models=models,
            options=self._options.to_dict(),
        )

    def _check_dataset(self) -> None:
        source = self._source
        if source.error is not None:
            if self._results.tally.finished == 0:
                raise source.error

            self.stop(str(source.error))
        elif source.pulled == 0 and self._stopped is None:
            raise DatasetError(
                "the dataset gave no example; a generator gives its examples only once"
            )

        if source.has_ended:
            self._results.check_length(source.pulled)

    def _report(self) -> Report:
        source = self._source
        return self._results.report(
            spoken_name(self._program),
            self._metric.name,
            program_digest=own_digest(self._program),
            run_id=self._run_id,
            total=max(source.pulled, source.total or 0, self._results.known),
            duration_s=self._ended_s - self._began_s,
            stopped=self._stopped,
        )


async def _one_by_one(jobs: Iterator[Job]) -> AsyncGenerator[Job, None]:
    for job in jobs:
        yield job


async def _ready(results: AsyncIterator[Result[Done]]) -> Result[Done] | None:
    """Return a result that is there already; None, and no more will come, if there is none."""
    try:
        async with asyncio.timeout(0):
            return await anext(results, None)
    except TimeoutError:
        return None
