"""What it takes to test supervised code without waiting: time, crashes, and news of restarts."""

from __future__ import annotations

import asyncio
import math
import selectors
from typing import TYPE_CHECKING, Any, Final, TypeVar

from supervision.reasons import classify

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.ref import Ref

__all__ = (
    "FakeClock",
    "VirtualClockLoop",
    "crash",
    "leaked_tasks",
    "settle",
    "wait_restarted",
    "wait_until",
)

T = TypeVar("T")

_LATEST: Final = 1e9
_DEADLOCK_AFTER: Final = 2.0
"""Real seconds without timers and without news from outside."""


class FakeClock:
    """A clock that stands still until it is told to move; reads `start` seconds at first."""

    __slots__ = ("_now",)

    def __init__(self, start: float = 0.0) -> None:
        self._now = float(start)

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self._now

    def __repr__(self) -> str:
        return f"FakeClock(now={self._now!r})"

    @property
    def now(self) -> float:
        """The time in seconds."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Let time pass; return the new time. ValueError unless 0 or more and finite."""
        if not 0 <= seconds < math.inf:
            raise ValueError(
                f"advance(seconds={seconds!r}): time moves forward by a finite number of seconds"
            )

        self._now += seconds
        return self._now


class _JumpingSelector(selectors.DefaultSelector):
    """Rather than sleep until the next timer, move the clock there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; if nothing is, let `timeout` seconds have passed."""
        if timeout is None:
            # Nothing but the outside world, such as a thread, can wake this loop.
            ready = super().select(_DEADLOCK_AFTER)
            if not ready:
                raise RuntimeError("deadlock: every task waits, and no timer is set to wake one")

            return ready

        ready = super().select(0)
        if not ready and timeout > 0:
            self.now += min(timeout, _LATEST)

        return ready


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time: half an hour of back-off runs in a moment.

    Its clock jumps to the next timer whenever there is nothing to do. For code that waits for
    timers and for other tasks; real sockets and threads seem infinitely slow to it.
    """

    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._virtual.now


def crash(ref: Ref[Any], exc: BaseException | None = None) -> int:
    """Make the running incarnation behind `ref` crash with `exc`; return its pid.

    It is cancelled wherever it waits, and what that is put down to is `exc`.
    """
    child = ref.slot.current()
    exc = RuntimeError("crashed on purpose") if exc is None else exc
    child.exit(classify(exc, stop_requested=False))
    return child.pid


async def wait_restarted(ref: Ref[T], pid: int, *, timeout: float = 5.0) -> T:
    """Return the info of the incarnation that came after `pid`, once it is up."""
    with ref.slot.tree.deadlines.timeout(timeout):
        while ref.slot.pid in (None, pid):
            await ref.slot.wait_change()

    return await ref.wait_ready(timeout)


def leaked_tasks(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Return the tasks that run now and are not among `before`, without the current one."""
    now = {task for task in asyncio.all_tasks() if not task.done()}
    return now - before - {task for task in (asyncio.current_task(),) if task is not None}


async def wait_until(condition: Callable[[], object], *, pause: float = 0.0) -> None:
    """Return when `condition()` holds; AssertionError if it does not after 10,000 looks.

    Between two looks the event loop turns once, or for `pause` seconds, for what threads do.
    """
    for _ in range(10_000):
        if condition():
            return

        await asyncio.sleep(pause)

    raise AssertionError(f"{condition!r} did not come true")


async def settle(turns: int = 10) -> None:
    """Let the event loop turn a few times, for what is under way to arrive."""
    for _ in range(turns):
        await asyncio.sleep(0)
