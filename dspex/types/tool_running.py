"""Calling the functions behind tools: async ones here, all others in threads."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from anyio.lowlevel import RunVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ("MAX_THREADS", "CallPolicy", "Once", "call_function", "is_async")

T = TypeVar("T")

MAX_THREADS: Final = 64
"""How many sync tools of one event loop run at a time; the others wait in order."""

_places: Final[RunVar[asyncio.Semaphore]] = RunVar("dspex.tool_threads")


class CallPolicy(Protocol):
    """What protects a call: limits, retries, a breaker. `dspex.Policy` is one."""

    async def run(self, fn: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Return what `fn(*args, **kwargs)` gives, called once or several times."""
        ...


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether calling a function gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - of its class, not "is callable"
    )


async def call_function(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Return what a function gives: awaited here if it is async, else called in a thread.

    A thread cannot be stopped: when the caller gives up, it goes on to its end and holds its place
    among the threads until then.
    """
    if is_async(function):
        return await _contained(function(**arguments))

    given = await _in_thread(partial(function, **arguments))
    return await _contained(given) if inspect.isawaitable(given) else given


async def _contained(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except SystemExit as exc:
        raise RuntimeError(f"the tool raised {exc!r}") from exc  # it would end the event loop
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise

        # Nobody has cancelled us: something that the tool waited for was, and that is a failure.
        raise RuntimeError(f"the tool raised {exc!r}") from exc


async def _in_thread(function: Callable[[], Any]) -> Any:
    loop, places = asyncio.get_running_loop(), _threads()
    await places.acquire()
    over: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: Any, error: BaseException | None) -> None:
        places.release()
        if over.done():
            return

        if error is None:
            over.set_result(value)
        else:
            over.set_exception(error)

    def work() -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            value = context.run(function)
        except (StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit) as exc:
            # A future refuses to carry the first, and the others would end loop or program.
            error = RuntimeError(f"the tool raised {exc!r}")
        except BaseException as exc:
            error = exc

        with suppress(RuntimeError):  # the loop has closed, and nobody waits
            loop.call_soon_threadsafe(settle, value, error)

    try:
        # Daemons, so that a tool that hangs does not hold up the end of the program.
        threading.Thread(target=work, name="dspex-tool", daemon=True).start()
    except RuntimeError:
        places.release()
        raise

    return await over


def _threads() -> asyncio.Semaphore:
    try:
        return _places.get()
    except LookupError:
        places = asyncio.Semaphore(MAX_THREADS)
        _places.set(places)
        return places


class Once:
    """Lets a function be called once: a second try only raises what the first one did."""

    __slots__ = ("_error",)

    def __init__(self) -> None:
        self._error: BaseException | None = None

    async def call(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """Call it, or raise again what the first call raised."""
        if self._error is not None:
            raise self._error

        try:
            return await call_function(function, arguments)
        except BaseException as exc:
            self._error = exc
            raise
