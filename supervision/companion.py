"""A task that runs beside a block of code and ends with it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from supervision.report import LOGGER_NAME

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

__all__ = ("Companion",)

R = TypeVar("R")

_PATIENCE_S: Final = 1.0
_TIMES: Final = 5


class Companion(Generic[R]):
    """Run `work` beside a block: `async with Companion(work()) as task`.

    Leaving the block cancels the task and waits for its end. Unlike a TaskGroup it never cancels
    the block, so the block may stand in an async generator, whose reader is elsewhere while the
    task fails; what the task raised is for `task.result()` to tell. Work that keeps swallowing its
    cancellation is cancelled five times, a second apart, then left behind with an error in the log.
    """

    __slots__ = ("_task", "_work")

    def __init__(self, work: Coroutine[Any, Any, R]) -> None:
        self._work = work
        self._task: asyncio.Task[R] | None = None

    async def __aenter__(self) -> asyncio.Task[R]:
        self._task = task = asyncio.create_task(self._work)
        return task

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task = self._task
        assert task is not None, "__aexit__ follows __aenter__"
        cancelled: asyncio.CancelledError | None = None
        for _ in range(_TIMES):
            task.cancel()
            cancelled = await _wait(task) or cancelled
            if task.done():
                break
        else:
            logging.getLogger(LOGGER_NAME).error("%r does not end and is left behind", task)

        if task.done() and not task.cancelled():
            task.exception()  # looked at, so that the loop does not report it as lost

        if cancelled is not None:
            raise cancelled


async def _wait(task: asyncio.Task[Any]) -> asyncio.CancelledError | None:
    """Wait for the task's end, within our patience; return what cancelled us meanwhile."""
    clock, cancelled = asyncio.get_running_loop().time, None
    until = clock() + _PATIENCE_S
    while not task.done() and (left := until - clock()) > 0:
        try:
            await asyncio.wait({task}, timeout=left)
        except asyncio.CancelledError as exc:
            cancelled = exc

    return cancelled
