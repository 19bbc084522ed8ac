"""A child that is an operating system process: for work that blocks or may crash the interpreter.

The one kind of child that can really be killed: it is asked to end (SIGTERM) when it is stopped,
and killed when its `shutdown` time is over.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from typing import TYPE_CHECKING

from supervision.child import CURRENT
from supervision.thread import resolve_from_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.process import BaseProcess

__all__ = (
    "ProcessExited",
    "in_process",
)


class ProcessExited(Exception):
    """A process child ended with a code other than 0; negative is the signal that killed it."""

    def __init__(self, name: str, exitcode: int) -> None:
        super().__init__(f"process {name!r} ended with exit code {exitcode}")
        self.exitcode = exitcode


def in_process(function: Callable[..., object]) -> Callable[..., Awaitable[None]]:
    """Return the `start` of a ChildSpec that runs `function(*args)` in a process of its own.

    The child is up when its process runs, with the process id as info, and ends when the function
    does; an exit code other than 0 is a crash (`ProcessExited`). The process is a new interpreter,
    so `function` and `args` must be picklable; starting it takes the event loop some milliseconds.
    It is a daemon: it does not outlive the program.
    """

    async def run(*args: object, ready: Callable[[object], None]) -> None:
        process = multiprocessing.get_context("spawn").Process(
            target=function, args=args, name=getattr(function, "__name__", None), daemon=True
        )
        process.start()
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def reap() -> None:
            process.join()
            resolve_from_thread(loop, over, None)

        threading.Thread(target=reap, name=f"reap {process.name}", daemon=True).start()
        ready(process.pid)
        await _join(process, over)

    return run


async def _join(process: BaseProcess, over: asyncio.Future[None]) -> None:
    """Wait for the process: the first cancellation asks it to end, any further one kills it."""
    cancelled: asyncio.CancelledError | None = None
    child = CURRENT.get()
    while not over.done():
        try:
            await asyncio.wait((over,))
        except asyncio.CancelledError as exc:
            if cancelled is not None or (child is not None and child.killed):
                process.kill()
            else:
                process.terminate()

            cancelled = exc

    if cancelled is not None:
        raise cancelled

    if process.exitcode:
        raise ProcessExited(process.name, process.exitcode)
