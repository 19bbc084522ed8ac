"""Run an async main as a program: signals stop it in good order, then at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import FrameType

__all__ = ("run",)

T = TypeVar("T")

_Drain: TypeAlias = "Callable[[Callable[[], None]], bool]"

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


_INSIST_AFTER: Final = 0.05


class _Interrupts:
    """Turn signals into cancellations of the main task."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], drain: _Drain | None
    ) -> None:
        self._loop = loop
        self._task = task
        self._drain = drain
        self._stopping = False
        self._previous: dict[signal.Signals, Any] = {}
        self._insist: asyncio.TimerHandle | None = None
        self.first: int | None = None
        self.drained = False

    def install(self) -> None:
        """Handle the signals, where that is possible: in the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)

    def restore(self) -> None:
        """Put the handlers back that were there before."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

        self._previous.clear()
        if self._insist is not None:
            self._insist.cancel()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # As asyncio.Runner does it, and unlike add_signal_handler, this works on every platform.
        self._loop.call_soon_threadsafe(self._interrupt, number)

    def _interrupt(self, number: int) -> None:
        if self.first is None:
            self.first = number
            if self._drain is not None and self._drain(self._stop):
                self.drained = True
                return

        if not self._stopping:
            self._stop()
            return

        self.restore()
        self._task.cancel()
        # This cancellation may have been spent on the cleanup of the body; whoever is
        # stopping a tree takes this one as the end of patience.
        self._insist = self._loop.call_later(_INSIST_AFTER, self._task.cancel)

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._task.cancel()


def run(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    drain: _Drain | None = None,
) -> T:
    """Run `main()` in a new event loop and return what it returns.

    The first SIGINT or SIGTERM cancels it, which stops every supervisor it is in in good order;
    the second ends their patience; a third has its usual effect. After a signal the process
    exits with 128 + its number, unless `main` returned all the same. SystemExit from anywhere in
    the tree comes out of here with its code. Handlers are as before when it returns.

    With `drain`, one more stage comes first: it is called at the first signal, and if it returns
    True, `main` goes on until what `drain` was given is called, or until the next signal. Then the
    exit code is that of the signal whatever `main` does.
    """
    with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(_interruptible(main, drain))


async def _interruptible(main: Callable[[], Coroutine[Any, Any, T]], drain: _Drain | None) -> T:
    task = asyncio.current_task()
    assert task is not None, "the runner runs this in a task"
    interrupts = _Interrupts(asyncio.get_running_loop(), task, drain)
    interrupts.install()
    try:
        result = await main()
    except asyncio.CancelledError:
        if interrupts.first is None:
            raise

        raise SystemExit(128 + interrupts.first) from None
    finally:
        interrupts.restore()

    if interrupts.drained and interrupts.first is not None:
        raise SystemExit(128 + interrupts.first)

    return result
