"""`evaluate`: a program on a dataset, so many examples at a time, whatever happens to each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dspex.clients.limits.budget import Budget, LocalBudget
from dspex.clients.limits.spending import budget as budgeted
from dspex.effects import current, current_draining
from dspex.errors import EvaluationError
from dspex.evaluation.executor import Executor, open_runtime
from dspex.evaluation.options import EvaluationOptions, OnError
from dspex.evaluation.places import sink_for
from dspex.evaluation.progress import Progress, ProgressOption, Ticker, view_for
from dspex.evaluation.run import Run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from os import PathLike
    from types import TracebackType

    from dspex.effects import CallScope
    from dspex.evaluation.clusters import ClusterKey
    from dspex.evaluation.example import AsyncProgram
    from dspex.evaluation.metrics import Metric
    from dspex.evaluation.outcome import Outcome
    from dspex.evaluation.reducers import Reduce
    from dspex.evaluation.report import Report
    from dspex.evaluation.sink import Sink
    from dspex.evaluation.source import Dataset

__all__ = ("Evaluation", "evaluate")


async def evaluate(
    program: AsyncProgram,
    dataset: Dataset,
    metric: Metric,
    *,
    max_concurrency: int = 100,
    timeout_s: float | None = None,
    on_error: OnError = "score",
    failure_score: float = 0.0,
    max_errors: int | float | None = None,
    max_outage_s: float = 600.0,
    epochs: int = 1,
    reduce: Reduce = "mean",
    budget: Budget | LocalBudget | None = None,
    run_id: str | None = None,
    sink: Sink | str | PathLike[str] | None = None,
    progress: ProgressOption = None,
    shuffle: bool = False,
    seed: int = 0,
    cluster: ClusterKey | None = None,
    executor: Executor | None = None,
) -> Report:
    """Run `program` on every example of `dataset` and score the answers with `metric`.

    Each example is a task of its own: its crash, its hang, its SystemExit touch no other. An outage
    is no score: examples that were unavailable are run again at the end, up to three times, and
    what stays unavailable is left out of the score. A run that stops early keeps all that has
    finished and says so in its report.

    Args:
        program: a Program, or any async callable from inputs to a Prediction.
        dataset: any sync or async iterable of Examples, pulled as there is room.
        metric: `(example, prediction)` or `(example, prediction, trace)`, sync or async. A sync one
            that takes over 10 ms again and again is called in threads, several at a time.
        max_concurrency: how many examples are in flight.
        timeout_s: what program and metric together may take for one example; None leaves it to
            the deadlines of the model calls.
        on_error: an example whose program or metric failed counts `failure_score` ("score") or
            nothing ("skip"), or ends the run with EvaluationError ("raise").
        failure_score: see `on_error`.
        max_errors: stop at so many examples without a score (an int), or at such a share of them
            (a float up to 1, judged from 20 examples on). Failed and unavailable count alike.
        max_outage_s: while a provider's breaker is open no examples are started but for a few
            that ask whether it is back; stop when it has been open for so long without a call
            getting through. Also bounds the time in which unavailable examples are run again at
            the end.
        epochs: how often each example is run. Each epoch has a sample number, so that neither the
            cache nor a replay gives one epoch the answer of another.
        reduce: what an example counts, from the scores of its epochs: "mean", "median", "mode",
            `pass_at(k)` or `at_least(k)`. One whose missing epochs could turn it does not count.
        budget: what the model calls may use in all; never overshot. Examples that meet the empty
            purse are unavailable, and none is started after them. A run that is resumed has what is
            given then, whatever its earlier sessions used.
        run_id: the name of a run that can be resumed: run again under the same name with the same
            program, metric and dataset, it calls only what is missing. Needs a `sink` that is a
            folder for such runs, or a RunFile.
        sink: where outcomes go the moment they exist; closed at the end. One that fails stops the
            run.
        progress: None shows it on a terminal, and as plain lines in CI; True anyway, False never;
            or a function.
        shuffle: run the examples in an order drawn by `seed`, so that what an early stop leaves is
            no mere beginning of the dataset. Needs a dataset with an index and a length.
        seed: of the order that `shuffle` draws, and of a bootstrap interval.
        cluster: what examples have in common that are not independent, such as the document they
            ask about: the field that names it, or a function of the example. Standard errors and
            intervals, also those of comparisons, then take each cluster for one observation.
        executor: who runs the examples; by default tasks of this event loop.

    Raises:
        DatasetError: the dataset is empty, or its first item cannot be used.
        EvaluationError: program, metric, sink or an option is none; an example failed with
            `on_error="raise"`; or the run of this name was another one, or another process's.
        RuntimeNotFound: the program has no client and no runtime is open.
    """
    async with Evaluation(
        program,
        dataset,
        metric,
        max_concurrency=max_concurrency,
        timeout_s=timeout_s,
        on_error=on_error,
        failure_score=failure_score,
        max_errors=max_errors,
        max_outage_s=max_outage_s,
        epochs=epochs,
        reduce=reduce,
        budget=budget,
        run_id=run_id,
        sink=sink,
        progress=progress,
        shuffle=shuffle,
        seed=seed,
        cluster=cluster,
        executor=executor,
    ) as run:
        async for _ in run:
            pass

        return await run.report()


class Evaluation:
    """An evaluation whose outcomes are taken one by one, as they come.

        async with Evaluation(program, dataset, metric) as run:
            async for outcome in run:
                print(outcome.index, outcome.score)

            report = await run.report()

    The arguments are those of `evaluate`. Whoever takes outcomes sets the pace: examples are
    started when an outcome is asked for, and at most `max_concurrency` of them are in flight or
    wait to be taken. With several epochs an outcome comes for each of them. Leaving the block early
    ends what is in flight and brings what the sink holds to safety. Used once, by one task.
    """

    def __init__(
        self,
        program: AsyncProgram,
        dataset: Dataset,
        metric: Metric,
        *,
        max_concurrency: int = 100,
        timeout_s: float | None = None,
        on_error: OnError = "score",
        failure_score: float = 0.0,
        max_errors: int | float | None = None,
        max_outage_s: float = 600.0,
        epochs: int = 1,
        reduce: Reduce = "mean",
        budget: Budget | LocalBudget | None = None,
        run_id: str | None = None,
        sink: Sink | str | PathLike[str] | None = None,
        progress: ProgressOption = None,
        shuffle: bool = False,
        seed: int = 0,
        cluster: ClusterKey | None = None,
        executor: Executor | None = None,
    ) -> None:
        options = EvaluationOptions(
            max_concurrency=max_concurrency,
            timeout_s=timeout_s,
            on_error=on_error,
            failure_score=failure_score,
            max_errors=max_errors,
            max_outage_s=max_outage_s,
            epochs=epochs,
            reduce=reduce,
            shuffle=shuffle,
            seed=seed,
            cluster=cluster,
        )
        _check_given(program, budget)
        found, name = sink_for(sink, run_id)
        self._run = Run(
            program, dataset, metric, options, sink=found, run_id=name, executor=executor
        )
        self._budget = budget
        self._draining = current_draining()
        self._ticker: Ticker | None = None
        self._progress = progress
        self._outcomes: AsyncGenerator[Outcome, None] | None = None

    async def __aenter__(self) -> Self:
        if self._outcomes is not None:
            raise EvaluationError("this evaluation has been run: make a new one")

        self._outcomes = self._run.outcomes()
        try:
            await self._run.open(self._branch())
            ticker = Ticker(view_for(self._progress), self._run.progress)
        except BaseException:
            await self._run.close()
            raise

        ticker.__enter__()
        self._ticker = ticker
        if self._draining is not None:
            self._draining.join(self, self.drain)

        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.aclose()
        finally:
            # Not before: whoever asked it home cancels the task then, and the report is part of it.
            if self._draining is not None:
                self._draining.leave(self)

    def __aiter__(self) -> AsyncGenerator[Outcome, None]:
        if self._outcomes is None:
            raise EvaluationError("open the evaluation first: `async with Evaluation(...) as run:`")

        return self._outcomes

    async def aclose(self) -> None:
        """End what is in flight and bring what the sink holds to safety. Safe to call again."""
        try:
            if self._outcomes is not None:
                await self._outcomes.aclose()
        finally:
            try:
                await self._run.close()
            finally:
                ticker, self._ticker = self._ticker, None
                if ticker is not None:
                    ticker.__exit__()

    async def report(self) -> Report:
        """Return the report on all outcomes taken so far; ends the evaluation if it still runs.

        Raises:
            DatasetError: the dataset gave nothing that could be run.
        """
        await self.aclose()
        return await self._run.report()

    def drain(self) -> None:
        """Start no more examples; those in flight come home, and the outcomes end with them."""
        self._run.stop("interrupted: told to come home", abandon=False)

    def progress(self) -> Progress:
        """Return how far it is."""
        return self._run.progress()

    def _branch(self) -> CallScope:
        if self._budget is None:
            return _child()

        with budgeted(self._budget):
            return _child()


def _child() -> CallScope:
    return current().child("evaluate", owner=None, runtime=open_runtime())


def _check_given(program: object, budget: object) -> None:
    if isinstance(program, type):
        raise EvaluationError(
            f"the program is the class {program.__qualname__}: give an instance of it"
        )

    if not callable(program):
        raise EvaluationError(
            f"the program is {program!r}: give a Program, or an async function of its inputs"
        )

    if budget is not None and not isinstance(budget, (Budget, LocalBudget)):
        raise EvaluationError(f"the budget is {budget!r}: give a Budget(usd=..., calls=...)")
