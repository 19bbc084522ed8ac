"""What a task of an evaluation hands back, also where it could not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from dspex.evaluation.example import FATAL, describe, is_unavailable
from dspex.evaluation.outcome import Failure, Outcome, Stage, Status
from dspex.evaluation.source import Job, example_key
from supervision.job import Exit
from supervision.reasons import Crash, TimedOut

if TYPE_CHECKING:
    from dspex.evaluation.executor import Result

__all__ = ("Done", "done_of")


class Done(NamedTuple):
    """The outcome of one job, its error if somebody wants that as it was, and when it ended."""

    job: Job
    outcome: Outcome
    error: BaseException | None
    ended_s: float


def done_of(result: Result[Done]) -> Done:
    """Return what a task handed back, or what is to be said of one that could not.

    Raises what every example would meet.
    """
    return _lost(result) if isinstance(result, Exit) else result.value


def _lost(result: Exit) -> Done:
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
    outcome = Outcome(job.index, key, status, failure=failure, retry=job.retry, epoch=job.epoch)
    return Done(job, outcome, error, asyncio.get_running_loop().time())
