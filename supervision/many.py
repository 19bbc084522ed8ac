"""Wait for several tasks at once, with one time limit for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from supervision.errors import CallTimeout, ServerDied
from supervision.job import Exit, Ok
from supervision.reasons import cause_of
from supervision.spec import BRUTAL_KILL

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Sequence

    from supervision.task import Task

__all__ = (
    "OnManyTimeout",
    "await_many",
    "yield_many",
)

T = TypeVar("T")

OnManyTimeout: TypeAlias = Literal["nothing", "ignore", "kill_task"]
"""What becomes of the tasks that still run when the time is over."""


async def await_many(tasks: Iterable[Task[T]], timeout: float | None = 5.0) -> list[T]:
    """Return the values of all tasks, in their order.

    Raises ServerDied as soon as one of them ends without a value, and CallTimeout if not all are
    done after `timeout` seconds; the others go on in both cases.
    """
    pending = list(tasks)
    done = await _wait(pending, timeout, len(pending), stop_at_exit=True)
    for task in pending:
        outcome = task.outcome
        if isinstance(outcome, Exit):
            raise ServerDied(task, outcome.reason) from cause_of(outcome.reason)

    if not done and timeout is not None:
        raise CallTimeout(f"{len(pending)} tasks", timeout)

    return [task.outcome.value for task in pending if isinstance(task.outcome, Ok)]


async def yield_many(
    tasks: Iterable[Task[T]],
    timeout: float | None = 5.0,
    *,
    limit: int | None = None,
    on_timeout: OnManyTimeout = "nothing",
) -> list[tuple[Task[T], Ok[T] | Exit | None]]:
    """Return each task with how it ended, None if it still runs, in their order.

    Waits until all, or `limit` of them, are done, for at most `timeout` seconds; then those that
    still run are left alone, ignored, or killed, as `on_timeout` says.
    """
    pending = list(tasks)
    wanted = len(pending) if limit is None else min(limit, len(pending))
    await _wait(pending, timeout, wanted, stop_at_exit=False)
    outcomes = [(task, task.outcome) for task in pending]
    for task, outcome in outcomes:
        if outcome is None and on_timeout == "ignore":
            task.ignore()
        elif outcome is None and on_timeout == "kill_task":
            await task.shutdown(BRUTAL_KILL)

    return outcomes


async def _wait(
    tasks: Sequence[Task[Any]], timeout: float | None, wanted: int, *, stop_at_exit: bool
) -> bool:
    """Return True once enough of the tasks are done, False if that took too long."""
    if not tasks:
        return True

    for task in tasks:
        task.check_owner()

    tree = tasks[0].owner.tree_context
    enough: asyncio.Future[None] = tree.loop.create_future()
    left = wanted

    def note(future: asyncio.Future[Any]) -> None:
        nonlocal left
        left -= 1
        if not enough.done() and (
            left <= 0 or (stop_at_exit and isinstance(future.result(), Exit))
        ):
            enough.set_result(None)

    # One callback per task and one future for all: nothing here is quadratic.
    for task in tasks:
        task.on_outcome(note)

    block = tree.deadlines.timeout(timeout)
    try:
        with block:
            await enough
    except TimeoutError:
        if not block.expired:
            raise

        return False
    finally:
        for task in tasks:
            task.off_outcome(note)

    return True
