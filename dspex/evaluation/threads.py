"""Work that would hold up the event loop, in threads."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from anyio import CapacityLimiter, to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Offloading", "in_thread")

T = TypeVar("T")

_SLOW_S: Final = 0.01
_WORTH: Final = 50
"""How many quick calls make up for a slow one."""

_TOO_SLOW: Final = 3 * _WORTH
_THREADS: Final = 8


async def in_thread(function: Callable[[], T]) -> T:
    """Run `function` in a thread of its own and return what it returns.

    The shared threads may all be held up by somebody's blocking tools.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="dspex-evaluate") as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, function)


class Offloading:
    """Calls a function where it does least harm: in the event loop while it is quick.

    Once more than one call in fifty has taken over 10 ms, and at least three did, all further calls
    run in threads, up to eight at a time. A cancelled call is left to its thread.

    Args:
        function: must be callable from any thread if it is slow.
        clock: in seconds; measures the calls.
    """

    __slots__ = ("_clock", "_function", "_limiter", "_slowness")

    def __init__(
        self, function: Callable[..., T], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._function: Callable[..., Any] = function
        self._clock = clock
        self._slowness = 0
        self._limiter: CapacityLimiter | None = None

    @property
    def in_threads(self) -> bool:
        """Whether it was found to be slow."""
        return self._limiter is not None

    def call_here(self, *args: object) -> Any:
        """Call it in the event loop, and note how long that takes."""
        began = self._clock()
        try:
            return self._function(*args)
        finally:
            self._note(self._clock() - began)

    async def call_in_thread(self, *args: object) -> Any:
        """Call it in a thread, in a copy of the current context."""
        return await to_thread.run_sync(
            self._function, *args, abandon_on_cancel=True, limiter=self._limiter
        )

    def _note(self, took_s: float) -> None:
        if took_s < _SLOW_S:
            if self._slowness:
                self._slowness -= 1

            return

        self._slowness += _WORTH
        if self._slowness >= _TOO_SLOW:
            self._limiter = CapacityLimiter(_THREADS)
