"""Notice when something blocks the event loop, and say what.

A thread asks the loop for a sign of life; if none comes in time it looks at what the loop's thread
is doing and reports the stack and the task. Opt-in: add it to a tree as a child,

    ChildSpec("watchdog", watchdog, kwargs={"threshold": 0.5})
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from supervision.child import CURRENT
from supervision.report import LOGGER_NAME
from supervision.telemetry import Bus, EventName

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

__all__ = (
    "STALL",
    "Stall",
    "watchdog",
)

STALL: Final[EventName] = ("supervisor", "loop", "stall")


@dataclass(frozen=True, slots=True)
class Stall:
    """The loop did not turn for `threshold` seconds or more while `task` ran at `stack`."""

    task: str
    stack: str
    threshold: float


@asynccontextmanager
async def watchdog(
    *, threshold: float = 0.5, interval: float = 0.25, bus: Bus | None = None
) -> AsyncGenerator[None, None]:
    """Report each time the loop is blocked for more than `threshold` seconds, once per stall.

    To `logging` while it lasts, and to the bus (that of the tree, by default) when it is over.
    Costs one callback in the loop every `interval` seconds.
    """
    child = CURRENT.get()
    if bus is None:
        bus = Bus() if child is None else child.tree.telemetry

    watcher = _Watcher(asyncio.get_running_loop(), threshold, interval, bus)
    watcher.start()
    try:
        yield
    finally:
        watcher.stop()


class _Watcher(threading.Thread):
    """The thread; a daemon, so that it never holds up the end of the program."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, threshold: float, interval: float, bus: Bus
    ) -> None:
        super().__init__(name="supervision-watchdog", daemon=True)
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._threshold = threshold
        self._interval = interval
        self._bus = bus
        self._stopped = threading.Event()
        self._beat = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._interval):
            self._beat.clear()
            if not self._ask(self._beat.set):
                return

            if not self._beat.wait(self._threshold):
                self._report()
                self._beat.wait()

    def stop(self) -> None:
        """End the thread, which may have to be told twice: it sleeps on one event or the other."""
        self._stopped.set()
        self._beat.set()
        self.join(self._interval + self._threshold)

    def _ask(self, callback: Callable[[], object]) -> bool:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            # The loop is closed.
            return False

        return True

    def _report(self) -> None:
        task = asyncio.current_task(self._loop)
        # The documented, if underscored, way to see what another thread is doing.
        frame = sys._current_frames().get(self._loop_thread)  # pyright: ignore[reportPrivateUsage] # documented
        if self._stopped.is_set() or frame is None:
            return

        stall = Stall(
            task="no task" if task is None else task.get_name(),
            stack="".join(traceback.format_stack(frame)),
            threshold=self._threshold,
        )
        logging.getLogger(LOGGER_NAME).error(
            "the event loop has been blocked for %g s by %s at\n%s",
            stall.threshold,
            stall.task,
            stall.stack,
            extra={"stall": stall},
        )
        self._ask(
            lambda: self._bus.execute(STALL, {"threshold": stall.threshold}, {"stall": stall})
        )
