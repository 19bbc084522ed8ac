"""The default interpreter: a Python of its own, in worker processes without files and network."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from anyio.lowlevel import RunVar

from dspex.errors import InterpreterError
from dspex.programs.agents import check_positive
from dspex.programs.code.monty_session import MontySession
from dspex.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from types import TracebackType

    from pydantic_monty import AsyncMonty, ResourceLimits

    from dspex.programs.code.interpreter import HostFunction

__all__ = ("MontyInterpreter",)

_MB: Final = 1_000_000
_PATIENCE_S: Final = 60.0
_OWN_PROCESSES: Final = 16

_own_places: Final[RunVar[asyncio.Semaphore]] = RunVar("dspex.monty_processes")

_NOTES: Final = (
    "Python 3 without third-party packages. There are no files, no network, no processes. Of the "
    "standard library there are re, json, math, datetime, collections, itertools, functools, "
    "random, statistics and the like. Generators (`yield`) are not supported: use lists and "
    "comprehensions. Variables stay from one piece of code to the next. Print what you want to see."
)


class MontyInterpreter:
    """Runs code in Monty, an interpreter with limits for time, memory, depth and output.

        program = ProgramOfThought("question -> answer", interpreter=MontyInterpreter(timeout_s=5))

        async with MontyInterpreter(max_processes=8) as shared:      # one pool for many calls
            await evaluate(CodeAct("question -> answer", [search], interpreter=shared), ...)

    Used as a context it keeps a pool of worker processes, for the event loop that entered it;
    otherwise each session has a process of its own (some 35 ms), up to sixteen at a time in one
    event loop. A value otherwise: equal by its numbers, saved with the program.

    Args:
        timeout_s: of one piece of code; waiting for host functions does not count.
        max_memory_mb: of one session.
        max_output_chars: of what one piece of code prints.
        max_recursion: how deep calls may nest.
        max_calls: of host functions, in one session.
        max_processes: of the shared pool; None is one per processor.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 10.0,
        max_memory_mb: int = 256,
        max_output_chars: int = 100_000,
        max_recursion: int = 500,
        max_calls: int = 10_000,
        max_processes: int | None = None,
    ) -> None:
        self._numbers = {
            "timeout_s": timeout_s,
            "max_memory_mb": max_memory_mb,
            "max_output_chars": max_output_chars,
            "max_recursion": max_recursion,
            "max_calls": max_calls,
            "max_processes": max_processes,
        }
        check_positive(**self._numbers)
        self._shared: AsyncMonty | None = None
        self._stack: AsyncExitStack | None = None

    def __repr__(self) -> str:
        return f"<MontyInterpreter {'with a pool' if self._shared is not None else 'no pool'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MontyInterpreter) and self._numbers == other._numbers

    def __hash__(self) -> int:
        return hash(tuple(self._numbers.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self._numbers,)

    @property
    def notes(self) -> str:
        """What a model must know to write code for it."""
        return _NOTES

    async def __aenter__(self) -> Self:
        if self._stack is not None:
            raise InterpreterError(f"{self!r} is entered already")

        processes = self._numbers["max_processes"] or os.cpu_count() or 1
        async with AsyncExitStack() as stack:
            self._shared = await stack.enter_async_context(self._pool(int(processes)))
            self._stack = stack.pop_all()

        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stack, self._stack, self._shared = self._stack, None, None
        if stack is not None:
            await stack.aclose()

    @asynccontextmanager
    async def session(
        self, functions: Mapping[str, HostFunction] | None = None
    ) -> AsyncGenerator[MontySession, None]:
        """Open a session whose code may call `functions`; see `Interpreter.session`."""
        async with AsyncExitStack() as stack:
            pool = self._shared
            if pool is None:
                pool = await self._own_pool(stack)

            session = MontySession(
                lambda: pool.checkout(
                    limits=self._limits(),
                    os_policy={"sleep": "zero", "random_start": {"seed": 0}},
                ),
                functions or {},
                max_output_chars=int(self._numbers["max_output_chars"] or 0),
            )
            yield await stack.enter_async_context(session)

    def recipe(self) -> Recipe:
        """Return how to build an equal interpreter in another process."""
        return Recipe(f"{MontyInterpreter.__module__}:MontyInterpreter", dict(self._numbers))

    async def _own_pool(self, stack: AsyncExitStack) -> AsyncMonty:
        places = _places()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await places.acquire()
        except TimeoutError as exc:
            raise InterpreterError(
                f"{_OWN_PROCESSES} sessions have been open for {_PATIENCE_S:g} s: share a pool "
                "with `async with MontyInterpreter(max_processes=...) as interpreter`"
            ) from exc

        stack.callback(places.release)
        return await stack.enter_async_context(self._pool(1))

    def _pool(self, processes: int) -> AsyncMonty:
        try:
            from pydantic_monty import AsyncMonty
        except ImportError as exc:
            raise InterpreterError(
                "no sandbox is installed, and code of a model is never run without one: "
                "pip install 'dspex[sandbox]'"
            ) from exc

        # Both limits: without them an endless loop would hold up the end of the session for good.
        return AsyncMonty(
            min_processes=1,
            max_processes=processes,
            checkout_timeout=_PATIENCE_S,
            request_timeout=float(self._numbers["timeout_s"] or 0) + 5.0,
        )

    def _limits(self) -> ResourceLimits:
        numbers = self._numbers
        return {
            "max_feed_duration_secs": float(numbers["timeout_s"] or 0),
            "max_memory": int(numbers["max_memory_mb"] or 0) * _MB,
            "max_recursion_depth": int(numbers["max_recursion"] or 0),
            "max_suspensions": int(numbers["max_calls"] or 0) * 2,
        }


def _rebuilt(numbers: dict[str, Any]) -> MontyInterpreter:
    return MontyInterpreter(**numbers)


def _places() -> asyncio.Semaphore:
    try:
        return _own_places.get()
    except LookupError:
        places = asyncio.Semaphore(_OWN_PROCESSES)
        _own_places.set(places)
        return places
