"""The results of `async_stream`: what its consumer holds, and the options it was asked for.

What runs is the engine; it is apart from the stream, so that a consumer who drops the stream ends
what runs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, Literal, Self, TypeAlias, TypeVar

from supervision.job import Exit, Ok

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import TracebackType

    from supervision.engine import Engine

__all__ = (
    "OnTimeout",
    "Outcome",
    "Stream",
    "StreamOptions",
)

T = TypeVar("T")

OnTimeout: TypeAlias = Literal["exit", "kill_task"]
"""What an item that takes too long does: end the stream, or only itself."""

Outcome: TypeAlias = Ok[T] | Exit


class StreamOptions:
    """How a stream runs; checked when made."""

    __slots__ = (
        "linked",
        "max_concurrency",
        "on_timeout",
        "ordered",
        "shutdown",
        "timeout",
        "zip_input_on_exit",
    )

    def __init__(
        self,
        *,
        max_concurrency: int,
        timeout: float | None,
        on_timeout: OnTimeout,
        ordered: bool,
        zip_input_on_exit: bool,
        linked: bool,
        shutdown: float,
    ) -> None:
        if max_concurrency < 1:
            raise ValueError(f"max_concurrency is {max_concurrency!r}; use 1 or more")

        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout is {timeout!r}; use seconds, more than 0, or None")

        if on_timeout not in ("exit", "kill_task"):
            raise ValueError(f"on_timeout is {on_timeout!r}; use 'exit' or 'kill_task'")

        self.max_concurrency = max_concurrency
        self.timeout = None if timeout is None or timeout == math.inf else timeout
        self.on_timeout = on_timeout
        self.ordered = ordered
        self.zip_input_on_exit = zip_input_on_exit
        self.linked = linked
        self.shutdown = shutdown


class Stream(Generic[T]):
    """The results of `async_stream`, for `async for`.

    Leaving the loop early, by break or by an error, ends what is still running. Where that must
    have happened before the next line, use `async with stream:` or `await stream.aclose()`.
    """

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __del__(self) -> None:
        """End what is still running when the consumer drops the stream."""
        self._engine.end_soon()

    def __repr__(self) -> str:
        return f"<Stream {self._engine!r}>"

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Outcome[T]]:
        # Not a coroutine function, to spare a frame per result.
        return self._engine.next(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End what is still running and close the input; return when all of it is over."""
        await self._engine.end()
