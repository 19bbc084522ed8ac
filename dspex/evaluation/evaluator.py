"""`evaluate`: a program on a dataset, so many examples at a time, whatever happens to each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex import effects
from dspex.errors import EvaluationError
from dspex.evaluation.executor import Executor, open_runtime
from dspex.evaluation.options import EvaluationOptions, OnError
from dspex.evaluation.progress import ProgressOption, Ticker, view_for
from dspex.evaluation.run import Evaluation

if TYPE_CHECKING:
    from dspex.evaluation.example import AsyncProgram
    from dspex.evaluation.metrics import Metric
    from dspex.evaluation.report import Report
    from dspex.evaluation.sink import Sink
    from dspex.evaluation.source import Dataset

__all__ = ("evaluate",)


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
    max_outage_s: float = 120.0,
    sink: Sink | None = None,
    progress: ProgressOption = None,
    executor: Executor | None = None,
) -> Report:
    """Run `program` on every example of `dataset` and score the answers with `metric`.

    Each example is a task of its own: its crash, its hang, its SystemExit touch no other. An outage
    is no score: examples that were unavailable are run once more at the end, and what stays
    unavailable is left out of the score. A run that stops early keeps all that has finished and
    says so in its report.

    Args:
        program: a Program, or any async callable from inputs to a Prediction.
        dataset: any sync or async iterable of Examples, pulled as there is room.
        metric: `(example, prediction)` or `(example, prediction, trace)`, sync or async.
        max_concurrency: how many examples are in flight.
        timeout_s: what program and metric together may take for one example; None leaves it to
            the deadlines of the model calls.
        on_error: an example whose program or metric failed counts `failure_score` ("score") or
            nothing ("skip"), or ends the run with EvaluationError ("raise").
        failure_score: see `on_error`.
        max_errors: stop at so many examples without a score (an int), or at such a share of them
            (a float up to 1, judged from 20 examples on). Failed and unavailable count alike.
        max_outage_s: while a provider's breaker is open no examples are started; stop when it has
            been open for so long without a call getting through.
        sink: where outcomes go; closed at the end. One that fails stops the run.
        progress: None shows it on a terminal only, True anyway, False never; or a function.
        executor: who runs the examples; by default tasks of this event loop.

    Raises:
        DatasetError: the dataset is empty, or its first item cannot be used.
        EvaluationError: program, metric, sink or an option is none, or an example failed with
            `on_error="raise"`.
        RuntimeNotFound: the program has no client and no runtime is open.
    """
    options = EvaluationOptions(
        max_concurrency=max_concurrency,
        timeout_s=timeout_s,
        on_error=on_error,
        failure_score=failure_score,
        max_errors=max_errors,
        max_outage_s=max_outage_s,
    )
    _check_given(program, sink)
    run = Evaluation(program, dataset, metric, options, sink, executor)
    with (
        effects.scope("evaluate", owner=None, runtime=open_runtime()) as branch,
        Ticker(view_for(progress), run.progress),
    ):
        return await run.execute(branch)


def _check_given(program: object, sink: object) -> None:
    if isinstance(program, type):
        raise EvaluationError(
            f"the program is the class {program.__qualname__}: give an instance of it"
        )

    if not callable(program):
        raise EvaluationError(
            f"the program is {program!r}: give a Program, or an async function of its inputs"
        )

    if sink is not None and not (hasattr(sink, "put") and hasattr(sink, "close")):
        raise EvaluationError(
            f"the sink is {sink!r}: give one with `put` and `close`, such as JsonlSink(path)"
        )
