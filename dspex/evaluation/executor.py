"""Who runs the examples: the tasks of this event loop, or whatever speaks the same protocol."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

from dspex import effects
from dspex.errors import RuntimeNotFound
from supervision.job import Exit, Ok
from supervision.task import TaskSupervisor

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
    )

    from dspex.effects import RuntimeHandle

__all__ = ("Executor", "LocalExecutor", "Result", "open_runtime")

J = TypeVar("J")
R = TypeVar("R")

Result: TypeAlias = Ok[R] | Exit
"""What became of one job: its value, or the reason why there is none, with the job as `input`."""

_GRACE_S: Final = 1.0
"""How much longer than its deadline an example may take to end before it is given up."""


class Executor(Protocol):
    """Runs jobs, so many at a time."""

    def run(
        self,
        work: Callable[[J], Awaitable[R]],
        jobs: Iterable[J] | AsyncIterable[J],
        *,
        max_concurrency: int,
        timeout_s: float | None,
    ) -> AbstractAsyncContextManager[AsyncIterator[Result[R]]]:
        """Open the stream of results of `await work(job)`, in the order in which they come.

        Jobs are pulled when there is room for them. Whatever a job does, SystemExit included, is
        its own result. Leaving the context ends what still runs.

        Args:
            work: keeps the deadline itself and ends in time, unless the program in it will not.
            jobs: a lazy source.
            max_concurrency: how many run at a time.
            timeout_s: after this and some grace a job is ended from outside; None: never.
        """
        ...


class LocalExecutor:
    """Runs each job as a supervised task in this event loop.

    Args:
        tasks: the supervisor of those tasks; by default the runtime's where one is open, else one
            that lives as long as the run.
    """

    __slots__ = ("_tasks",)

    def __init__(self, tasks: TaskSupervisor | None = None) -> None:
        self._tasks = tasks

    @asynccontextmanager
    async def run(
        self,
        work: Callable[[J], Awaitable[R]],
        jobs: Iterable[J] | AsyncIterable[J],
        *,
        max_concurrency: int,
        timeout_s: float | None,
    ) -> AsyncGenerator[AsyncIterator[Result[R]], None]:
        """Open the stream of results."""
        async with (
            self._supervisor() as tasks,
            tasks.async_stream(
                work,
                jobs,
                max_concurrency=max_concurrency,
                timeout=None if timeout_s is None else timeout_s + _GRACE_S,
                on_timeout="kill_task",
                ordered=False,
                zip_input_on_exit=True,
            ) as results,
        ):
            yield results

    def _supervisor(self) -> AbstractAsyncContextManager[TaskSupervisor]:
        if self._tasks is not None:
            return nullcontext(self._tasks)

        runtime = open_runtime()
        if runtime is not None:
            return nullcontext(runtime.tasks)

        return TaskSupervisor(name="evaluate")


def open_runtime() -> RuntimeHandle | None:
    """Return the runtime that programs called here would find; None if there is none."""
    try:
        return effects.find_runtime()
    except RuntimeNotFound:
        return None
