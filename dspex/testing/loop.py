"""An event loop whose time jumps to the next timer instead of waiting for it.

The loop's clock stands still while code runs. When nothing is ready, the loop asks what could still
happen outside:

- nothing, no socket is registered and no thread works: the clock jumps to the next timer;
- a socket is registered: it waits for real, at most `grace_s`, and the clock moves with the wait;
  after that much silence it jumps;
- a thread of `run_in_executor`, `asyncio.to_thread` or `anyio.to_thread` works for somebody who
  awaits it, or somebody holds `real_time()`: time passes as it does outside until that ends.

So a thirty-minute back-off takes no time, and a one-second timeout around a read that is answered
in five milliseconds does not fire. What the loop cannot see are child processes and threads that
nobody announced: tests about those run on the real clock, or hold `real_time()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import time
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Executor
    from typing import TypeVarTuple

    Args = TypeVarTuple("Args")

__all__ = ("VirtualTimeLoop",)

T = TypeVar("T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Run asyncio code on a clock that starts at zero and never waits for a timer.

    The class is its own loop factory: `asyncio.Runner(loop_factory=VirtualTimeLoop)`.

    Args:
        grace_s: how long, in real seconds, registered sockets must stay silent before time jumps.
            Every jump pays it while a socket is open, a listening one included.
    """

    def __init__(self, *, grace_s: float = 0.1) -> None:
        self._outside = _OutsideWorld(grace_s)
        super().__init__(self._outside)
        self._outside.settle()

    def time(self) -> float:
        """Read the virtual clock, in seconds."""
        return self._outside.now

    @contextlib.contextmanager
    def real_time(self) -> Generator[None]:
        """Let time pass as it does outside, for work that the loop cannot see."""
        self._outside.holds += 1
        try:
            yield
        finally:
            self._outside.holds -= 1

    def run_forever(self) -> None:
        """Run until stopped, with anyio's worker threads in view."""
        with _watching_anyio_threads(self):
            super().run_forever()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args
    ) -> asyncio.Future[T]:
        """Run `func` in a thread; time does not overtake it while its future is awaited."""
        future = super().run_in_executor(executor, func, *args)
        self._outside.holds += 1
        future.add_done_callback(self._let_go)
        return future

    def _let_go(self, _: asyncio.Future[Any]) -> None:
        self._outside.holds -= 1

    async def shutdown_default_executor(self, *timeout: float | None) -> None:
        """Join the executor's threads; the joining thread is one that the loop cannot see."""
        with self.real_time():
            await super().shutdown_default_executor(*timeout)

    def __repr__(self) -> str:
        return f"<VirtualTimeLoop time={self.time()!r} grace_s={self._outside.grace_s!r}>"


class _OutsideWorld(selectors.DefaultSelector):
    """Wait for what happens outside the loop, and decide how far the clock moves meanwhile."""

    def __init__(self, grace_s: float) -> None:
        super().__init__()
        self.now = 0.0
        self.holds = 0
        self.grace_s = grace_s
        self._own = 0

    def settle(self) -> None:
        """Take what is registered now for the loop's own; nobody outside writes to it."""
        self._own = len(self.get_map())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, after real waiting or after a jump."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready

        began = time.monotonic()
        patience = self._patience(timeout)
        if patience is None or patience > 0:
            ready = super().select(patience)

        waited = time.monotonic() - began
        if timeout is None:
            self.now += waited
        else:
            self.now += min(waited, timeout) if ready else timeout

        return ready

    def _patience(self, timeout: float | None) -> float | None:
        """Say how long to wait for real; None is for ever."""
        if self.holds or timeout is None:
            return timeout

        return min(timeout, self.grace_s) if len(self.get_map()) > self._own else 0.0


@contextlib.contextmanager
def _watching_anyio_threads(loop: VirtualTimeLoop) -> Generator[None]:
    """Hold real time while an anyio worker thread works.

    anyio hands work to its threads without a call on the loop that could be overridden, so the
    entry to it is wrapped for as long as the loop runs. Callers that imported the function by name
    before are not seen.
    """
    in_thread = anyio.to_thread.run_sync

    async def run_sync(*args: Any, **options: Any) -> Any:
        if asyncio.get_running_loop() is not loop:
            return await in_thread(*args, **options)

        with loop.real_time():
            return await in_thread(*args, **options)

    with mock.patch.object(anyio.to_thread, "run_sync", run_sync):
        yield
