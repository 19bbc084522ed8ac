"""A child that is a thread: for work that blocks, which the event loop must not.

A thread cannot be cancelled. It gets a token to look at, and has the child's `shutdown` time to do
so; then it is given up as a zombie. It is a daemon, so that it never holds up the end of the
program.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = (
    "StopToken",
    "in_thread",
    "resolve_from_thread",
)


class StopToken:
    """Tells a thread that it is to end."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def __bool__(self) -> bool:
        """Tell whether the thread is to end."""
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep for `timeout` seconds or until the thread is to end; return whether it is."""
        return self._event.wait(timeout)

    def set(self) -> None:
        """Ask the thread to end."""
        self._event.set()


def in_thread(function: Callable[..., object]) -> Callable[..., Awaitable[None]]:
    """Return the `start` of a ChildSpec that runs `function(stop, *args)` in a thread of its own.

    `stop` is a StopToken. The child is up when its thread runs, ends when the function does, and
    what that raises is its exit reason.
    """

    async def run(*args: object, ready: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        stop = StopToken()

        def body() -> None:
            try:
                function(stop, *args)
            except BaseException as exc:
                resolve_from_thread(loop, over, exc)
            else:
                resolve_from_thread(loop, over, None)

        threading.Thread(target=body, name=getattr(function, "__name__", None), daemon=True).start()
        ready()
        await _join(over, stop)

    return run


async def _join(over: asyncio.Future[None], stop: StopToken) -> None:
    """Wait for the thread, however often we are cancelled: it must be gone before we are."""
    cancelled: asyncio.CancelledError | None = None
    while not over.done():
        try:
            await asyncio.wait((over,))
        except asyncio.CancelledError as exc:
            cancelled = exc
            stop.set()

    over.result()
    if cancelled is not None:
        raise cancelled


def resolve_from_thread(
    loop: asyncio.AbstractEventLoop, over: asyncio.Future[Any], exc: BaseException | None
) -> None:
    """Let `over` be done, with `exc` if there is one, from a thread that has ended."""

    def resolve() -> None:
        if over.done():
            return

        if exc is None:
            over.set_result(None)
        else:
            over.set_exception(exc)

    try:
        loop.call_soon_threadsafe(resolve)
    except RuntimeError:
        # The loop is closed: this was a zombie, and nobody waits for it.
        return
