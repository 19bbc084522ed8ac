"""Deadlines by the thousand at the price of an append.

Calls with the same timeout expire in the order in which they began, so one queue and one timer per
distinct timeout replace a timer handle per call: starting and ending a deadline costs a fraction
of a microsecond, and memory follows the deadlines that are still open. Timeouts that never repeat
work too, at the price of a timer each.

    with deadlines.timeout(30.0):
        await call()                     # TimeoutError when it takes longer
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = (
    "Deadline",
    "Deadlines",
    "Entry",
    "Timeout",
)

_COMPACT_AT: Final = 64
"""Below this many cancelled entries a sweep is not worth its cost."""


class Entry:
    """Something with a time limit. It is pending from `Deadlines.start` until it fires or ends.

    Derive from it where an object per call exists anyway, to spare a second one.
    """

    __slots__ = ("pending", "queue", "when")

    queue: _Queue
    when: float

    def __init__(self) -> None:
        self.pending = False

    def fire(self) -> None:
        """Do what is due."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Never fire. Safe to call more than once."""
        if not self.pending:
            return

        self.pending = False
        queue = self.queue
        queue.dead += 1
        if queue.dead > _COMPACT_AT and queue.dead * 2 > len(queue.entries):
            queue.sweep()


class Deadline(Entry):
    """A pending call back; `cancel` it or let it come."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        super().__init__()
        self._callback: Callable[[], object] | None = callback

    def __repr__(self) -> str:
        return f"<Deadline {'pending' if self.pending else 'over'} at {self.when:.3f}>"

    def fire(self) -> None:
        """Call back."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    def cancel(self) -> None:
        """Never call back. Safe to call more than once."""
        # Its place in the queue outlives it, and must not keep alive what it would have called.
        self._callback = None
        super().cancel()


class _Queue:
    """The deadlines of one timeout value, first to expire first."""

    __slots__ = ("_deadlines", "dead", "entries", "timeout", "timer")

    def __init__(self, deadlines: Deadlines, timeout: float) -> None:
        self.timeout = timeout
        self.entries: deque[Entry] = deque()
        self.dead = 0
        self._deadlines = deadlines
        self.timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self.entries) - self.dead

    def arm(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        self.timer = loop.call_at(when, self._expire, loop)

    def sweep(self) -> None:
        """Drop what is cancelled."""
        self.entries = deque([entry for entry in self.entries if entry.pending])
        self.dead = 0

    def close(self) -> None:
        self.entries.clear()
        self.dead = 0
        if self.timer is not None:
            self.timer.cancel()

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        # The spent timer stays in place meanwhile, so that a deadline added by a callback does
        # not arm one for itself, which would be too late for those already waiting.
        try:
            self._run_due(loop)
        finally:
            self.timer = None
            self._rearm(loop)

    def _run_due(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        # A callback may cancel so many that the queue is rebuilt: read it anew each time.
        while self.entries and (self.entries[0].when <= now or not self.entries[0].pending):
            entry = self.entries.popleft()
            if entry.pending:
                entry.pending = False
                _fire(loop, entry)
            else:
                self.dead -= 1

    def _rearm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.entries:
            self.arm(loop, self.entries[0].when)
        else:
            self._deadlines.drop(self)


class Deadlines:
    """The deadlines of one event loop; not thread-safe.

    Bound to the loop that first uses it. `close` forgets all of them.
    """

    __slots__ = ("_queues", "loop")

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._queues: dict[float, _Queue] = {}

    def __repr__(self) -> str:
        return f"<Deadlines {len(self)} pending in {len(self._queues)} queues>"

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def after(self, timeout: float, callback: Callable[[], object]) -> Deadline:
        """Call `callback` in `timeout` seconds unless the deadline is cancelled before.

        It runs in the event loop, as late as the loop is busy; what it raises goes to the loop's
        exception handler.
        """
        deadline = Deadline(callback)
        self.start(deadline, timeout)
        return deadline

    def start(self, entry: Entry, timeout: float) -> None:
        """Let `entry` fire in `timeout` seconds unless it is cancelled before."""
        loop = self.loop
        if loop is None:
            loop = self.loop = asyncio.get_running_loop()

        queue = self._queues.get(timeout)
        if queue is None:
            _check(timeout)
            queue = self._queues[timeout] = _Queue(self, timeout)

        entry.queue = queue
        entry.when = when = loop.time() + timeout
        entry.pending = True
        queue.entries.append(entry)
        if queue.timer is None:
            queue.arm(loop, when)

    def timeout(self, timeout: float | None) -> Timeout:
        """Return a block that raises TimeoutError when it takes longer than `timeout` seconds.

        None and infinity mean no limit.
        """
        return Timeout(self, None if timeout == math.inf else timeout)

    def close(self) -> None:
        """Forget every deadline; none calls back."""
        for queue in self._queues.values():
            queue.close()

        self._queues.clear()

    def drop(self, queue: _Queue) -> None:
        """Let go of a queue that has nothing left to wait for."""
        if self._queues.get(queue.timeout) is queue:
            del self._queues[queue.timeout]


class Timeout(Entry):
    """A block with a time limit, for `with` and for `async with`; neither suspends.

    Like `asyncio.timeout`: on expiry the task is cancelled, and at the end of the block that
    cancellation, and no other, becomes TimeoutError. `renew` starts the time anew, which suits a
    stream that must not pause for too long. Enter it once.
    """

    __slots__ = ("_cancelling", "_deadlines", "_renewed", "_task", "expired", "seconds")

    def __init__(self, deadlines: Deadlines, seconds: float | None) -> None:
        self.pending = False
        self.expired = False
        self.seconds = seconds
        self._deadlines = deadlines
        self._renewed: Deadline | None = None
        self._task: asyncio.Task[object] | None = None

    def __enter__(self) -> Self:
        # Before CPython 3.12 `current_task` is quicker when it is told the loop.
        task = asyncio.current_task(self._deadlines.loop)
        if task is None:
            raise RuntimeError("a timeout limits the current task, and there is none here")

        self._task = task
        self._cancelling = task.cancelling()
        if self.seconds is not None:
            self._deadlines.start(self, self.seconds)

        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.pending:
            self.cancel()
        elif self._renewed is not None:
            self._renewed.cancel()

        task, self._task = self._task, None
        if (
            # Counting as asyncio.timeout does: only if no other cancellation is pending is the
            # CancelledError ours to turn into TimeoutError.
            self.expired
            and task is not None
            and task.uncancel() <= self._cancelling
            and isinstance(exc, asyncio.CancelledError)
        ):
            raise TimeoutError(f"took longer than {self.seconds:g} s") from exc

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, traceback)

    def renew(self) -> None:
        """Give the block its full time again, from now; no effect once expired."""
        if self.seconds is None or self.expired:
            return

        # The old entry stays in the queue until its turn comes, so this object cannot be in it
        # a second time.
        if self.pending:
            self.cancel()
        elif self._renewed is not None:
            self._renewed.cancel()

        self._renewed = self._deadlines.after(self.seconds, self.fire)

    def fire(self) -> None:
        """Cancel the task."""
        self.expired = True
        if self._task is not None:
            self._task.cancel()


def _check(timeout: float) -> None:
    if not 0 <= timeout < math.inf:
        raise ValueError(f"timeout is {timeout!r}; use seconds, 0 or more and finite")


def _fire(loop: asyncio.AbstractEventLoop, entry: Entry) -> None:
    try:
        entry.fire()
    except Exception as exc:
        loop.call_exception_handler(
            {"message": "a deadline raised", "exception": exc, "deadline": entry}
        )
