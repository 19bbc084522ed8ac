"""One program on one example, whatever happens: the place where errors become data."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from dspex import effects
from dspex.errors import (
    ConfigError,
    ErrorKind,
    EvaluationError,
    ProviderError,
    RuntimeNotFound,
)
from dspex.evaluation.metrics import PreparedMetric, Score
from dspex.evaluation.outcome import Failure, Outcome, Stage, Status
from dspex.signatures.prediction import Prediction
from dspex.usage import Usage, UsageMeter

if TYPE_CHECKING:
    from types import TracebackType

    from dspex.effects import Trace
    from dspex.signatures.example import Example
    from supervision.deadline import Deadline, Deadlines

__all__ = ("FATAL", "AsyncProgram", "ExampleRun", "describe", "is_unavailable", "run_example")

AsyncProgram: TypeAlias = Callable[..., Awaitable[Prediction]]
"""A Program, or anything else that is called with inputs by name and awaited."""

FATAL: Final = (RuntimeNotFound, ConfigError)
"""Errors that every example would meet: no example's outcome, they end the whole run."""

_GOOD: Final = Score(1.0)

_LASTING: Final = {
    ErrorKind.QUOTA_EXHAUSTED: 3,
    ErrorKind.BUDGET: 3,
    ErrorKind.CIRCUIT_OPEN: 2,
    ErrorKind.ENDPOINT: 1,
}
"""Of several outages at once, which says most about the next call."""


class ExampleRun(NamedTuple):
    """What happened: a score, or an error and whose it was; and what it took.

    `prediction` is there as soon as the program answered, also when the metric then failed.
    """

    status: Status
    usage: Usage
    correlation_id: str
    score: Score | None = None
    prediction: Prediction | None = None
    error: BaseException | None = None
    stage: Stage = Stage.PROGRAM
    latency_s: float = 0.0

    def outcome(self, index: int, key: str, *, retry: int = 0, epoch: int = 0) -> Outcome:
        """Return the run as plain data."""
        score, prediction = self.score, self.prediction
        return Outcome(
            index,
            key,
            self.status,
            score=None if score is None else float(score.value),
            prediction=None if prediction is None else _values(prediction),
            failure=None if self.error is None else describe(self.error, self.stage),
            latency_s=self.latency_s,
            usage=self.usage,
            feedback=None if score is None else score.feedback,
            correlation_id=self.correlation_id,
            retry=retry,
            epoch=epoch,
        )


def _values(prediction: Prediction) -> dict[str, Any]:
    return {name: prediction[name] for name in prediction}


async def run_example(
    program: AsyncProgram,
    example: Example,
    metric: PreparedMetric | None,
    *,
    path: tuple[str, ...] | None = None,
    timeout_s: float | None = None,
    deadlines: Deadlines | None = None,
    trace: Trace | None = None,
    **changes: Any,
) -> ExampleRun:
    """Run `program` on `example` in a scope of its own, and judge the answer with `metric`.

    Whatever the two raise, SystemExit and KeyboardInterrupt included, is the result's `error`; only
    `FATAL` errors and a cancellation from outside are raised. Without a metric an answer scores 1.

    `path` is the scope's place (None keeps it) and `changes` are further fields of the scope. Both
    together have `timeout_s`, kept by `deadlines`: if a model call was waiting for its provider
    when it ended, the example is unavailable, else it has failed.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    meter = UsageMeter(effects.current().meter)
    correlation_id = changes.get("correlation_id") or effects.new_correlation_id()
    changes.update(meter=meter, trace=trace, correlation_id=correlation_id, owner=None)
    if path is not None:
        changes.update(path=path, ordinals=effects.Ordinals())

    if timeout_s is not None:
        changes["deadline"] = began + timeout_s

    stage = Stage.PROGRAM
    prediction: Prediction | None = None
    score: Score | None = None
    error: BaseException | None = None
    with effects.scope(**changes), _Limit(timeout_s, deadlines, meter) as limit:
        # One coroutine, not several: ten thousand of them may be waiting here.
        try:
            prediction = _checked(await program(**example.inputs()))
            stage = Stage.METRIC
            score = _GOOD if metric is None else await metric(example, prediction, trace)
        except FATAL:
            raise
        except asyncio.CancelledError as exc:
            if not limit.struck and limit.cancelled_from_outside():
                raise

            error = exc
        except (Exception, SystemExit, KeyboardInterrupt, BaseExceptionGroup) as exc:
            error = exc

    try:
        return ExampleRun(
            limit.status if limit.struck else _status(error),
            meter.total,
            correlation_id,
            score=None if limit.struck else score,
            prediction=prediction,
            error=limit.error() if limit.struck else error,
            stage=stage,
            latency_s=clock() - began,
        )
    finally:
        # The error's traceback holds this frame: together they would wait for the collector.
        del error


def _checked(answer: object) -> Prediction:
    if isinstance(answer, Prediction):
        return answer

    raise EvaluationError(
        f"the program returned {answer!r} ({type(answer).__name__}); it has to return a Prediction"
    )


def _status(error: BaseException | None) -> Status:
    if error is None:
        return Status.SCORED

    return Status.UNAVAILABLE if is_unavailable(error) else Status.FAILED


class _Limit:
    """The time one example has. When it is over, it looks whether a provider was being waited for.

    It has to look before the cancellation, which ends the wait.
    """

    __slots__ = (
        "_cancelling",
        "_deadline",
        "_deadlines",
        "_meter",
        "_task",
        "_timeout_s",
        "struck",
        "waiting",
    )

    def __init__(
        self, timeout_s: float | None, deadlines: Deadlines | None, meter: UsageMeter
    ) -> None:
        self.struck = False
        self.waiting = False
        self._timeout_s = timeout_s
        self._deadlines = deadlines
        self._meter = meter
        self._deadline: Deadline | None = None

    def __enter__(self) -> _Limit:
        task = asyncio.current_task()
        assert task is not None, "examples run in tasks"
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        if self._timeout_s is not None:
            assert self._deadlines is not None
            self._deadline = self._deadlines.after(self._timeout_s, self._strike)

        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

        if self.struck:
            self._task.uncancel()

    def cancelled_from_outside(self) -> bool:
        """Tell a cancellation of the task from a CancelledError that the program raised itself."""
        return self._task.cancelling() > self._cancelling

    @property
    def status(self) -> Status:
        """Whose time it was that ran out."""
        return Status.UNAVAILABLE if self.waiting else Status.FAILED

    def error(self) -> TimeoutError:
        """Return the error to be told."""
        spent = "waiting for a model" if self.waiting else "computing"
        return TimeoutError(f"not done after {self._timeout_s:g} s; it was {spent}")

    def _strike(self) -> None:
        self.struck = True
        self.waiting = self._meter.in_call > 0
        self._task.cancel()


def is_unavailable(error: BaseException) -> bool:
    """Tell whether an outage alone is to blame; in a group of errors, for each of them."""
    if parts := _parts(error):
        return all(is_unavailable(part) for part in parts)

    return isinstance(error, ProviderError) and error.unavailable


def describe(error: BaseException, stage: Stage) -> Failure:
    """Return an error as plain data; a group of one is that one."""
    while len(parts := _parts(error)) == 1:
        error = parts[0]

    name, message = type(error).__name__, str(error)
    if parts:
        message = "; ".join(f"{type(part).__name__}: {part}" for part in parts)

    failed_call = _failed_call(error)
    if failed_call is not None:
        return Failure(name, message, stage=stage, data=failed_call.data)

    return Failure(name, message, stage=stage, where=_where(error))


def _failed_call(error: BaseException) -> ProviderError | None:
    """Return the call that an error is about; of a group of outages the one that lasts longest."""
    if isinstance(error, ProviderError):
        return error

    parts = _parts(error)
    if not parts or not is_unavailable(error):
        return None

    calls = [call for part in parts if (call := _failed_call(part)) is not None]
    return max(calls, key=lambda call: _LASTING.get(call.data.kind, 0))


def _parts(error: BaseException) -> tuple[BaseException, ...]:
    if not isinstance(error, BaseExceptionGroup):
        return ()

    return cast("BaseExceptionGroup[BaseException]", error).exceptions


def _where(error: BaseException) -> str | None:
    frame = error.__traceback__
    if frame is None:
        return None

    while frame.tb_next is not None:
        frame = frame.tb_next

    code = frame.tb_frame.f_code
    return f"{code.co_filename}:{frame.tb_lineno} in {code.co_name}"
