"""What `async_stream` does: one task per item, so many at a time.

The consumer drives it. Each time it asks for a result, free places are filled from the input, so
the input is read no faster than results are taken: a million items need the memory of
`max_concurrency` of them. (In order, a slow head lets finished results behind it pile up.) A
finished task appends itself to a queue; nothing ever waits on a collection of tasks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from supervision.errors import CallTimeout, ServerDied
from supervision.job import Exit, Job, JobOwner, Ok, contain
from supervision.reasons import Reason, Shutdown, TimedOut, cause_of

if TYPE_CHECKING:
    from supervision.stream import Outcome, StreamOptions

__all__ = (
    "Engine",
    "StreamOwner",
)

_SPAWN_BUDGET: Final = 256
"""How many tasks are started before the event loop gets its turn."""


class StreamOwner(JobOwner, Protocol):
    """The task supervisor as a stream sees it."""

    def admit(self) -> None:
        """Count one more task, or raise."""
        ...

    def release(self) -> None:
        """Count one task less."""
        ...

    def add_engine(self, engine: Engine) -> None:
        """Note a stream that may have tasks."""
        ...

    def drop_engine(self, engine: Engine) -> None:
        """Forget a stream that has none."""
        ...


class _Item(Job):
    """One input on its way."""

    __slots__ = ("_engine", "index", "input", "result")

    def __init__(self, engine: Engine, value: object, index: int) -> None:
        super().__init__(engine.owner)
        self._engine = engine
        self.input = value
        self.index = index
        self.result: Outcome[Any] | None = None

    def fire(self) -> None:
        """Take too long."""
        timeout = self._engine.options.timeout
        assert timeout is not None
        self.stop(TimedOut(timeout), 0)

    def finish(self, reason: Reason | None, value: object) -> None:
        """Make the result and hand it over."""
        engine = self._engine
        if reason is None:
            self.result = Ok(value, self.index)
        else:
            kept = self.input if engine.options.zip_input_on_exit else None
            self.result = Exit(reason, kept, self.index)

        engine.finished(self)


class _Pump(Job):
    """The task that reads an asynchronous input; entered and left by one task, as it must be."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.owner)
        self._engine = engine

    def finish(self, reason: Reason | None, value: object) -> None:
        """Note that the input is over, or failed."""
        self._engine.pump_ended(reason)


class Engine:
    """What a stream does, apart from the object the consumer may drop."""

    def __init__(
        self,
        owner: StreamOwner,
        function: Callable[[Any], Awaitable[object]],
        items: Iterable[Any] | AsyncIterable[Any],
        options: StreamOptions,
    ) -> None:
        self.owner = owner
        self.options = options
        self._function = function
        self._source: Iterator[Any] | None = None
        self._async_source: AsyncIterator[Any] | None = None
        if isinstance(items, AsyncIterable):
            self._async_source = aiter(items)
        else:
            self._source = iter(items)

        self._line: deque[_Item] = deque()
        self._running: set[_Item] = set()
        self._pump: _Pump | None = None
        self._failure: BaseException | None = None
        self._exhausted = False
        self._closed = False
        self._asking = False
        self._asked = False
        self._index = 0
        self._waiter: asyncio.Future[None] | None = None
        self._enders: list[asyncio.Future[None]] = []
        self._room: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"{state}, {len(self._running)} running, {self._index} begun"

    async def next(self, stream: object) -> Outcome[Any]:
        """Return the next result; `stream` must live meanwhile, since its end is ours."""
        if self._asking:
            raise RuntimeError("another task is waiting for the next result of this stream")

        if self._closed:
            raise StopAsyncIteration

        self._asking = True
        try:
            result = await self._next()
        except BaseException:
            await self.end()
            raise
        finally:
            self._asking = False

        if result is None:
            await self.end()
            raise StopAsyncIteration

        return result

    async def end(self) -> None:
        """End what is still running; return when it is over."""
        self.end_soon()
        while self._running or self._pump is not None:
            # One each: more than one task may be ending the stream.
            idle: asyncio.Future[None] = self.owner.tree_context.loop.create_future()
            self._enders.append(idle)
            await idle

    def end_soon(self) -> None:
        """End what is still running and close the input."""
        if self._closed:
            return

        self._closed = True
        if self.owner.tree_context.loop.is_closed():
            # Dropped after the program is over: the tasks went with the loop.
            return

        self._line.clear()
        self.stop(Shutdown())
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

        # Another task may be waiting for a result, which will not come.
        _wake(self._waiter)
        self._forget_if_idle()

    def stop(self, reason: Reason) -> None:
        """Ask all that runs to end."""
        for job in self._jobs():
            job.stop(reason, self.options.shutdown)

    def kill(self) -> None:
        """End all that runs without grace."""
        for job in self._jobs():
            job.kill()

    def finished(self, item: _Item) -> None:
        """Take a finished item back; its place is free."""
        self._running.discard(item)
        self.owner.release()
        if self._closed:
            self._forget_if_idle()
            return

        if not self.options.ordered:
            self._line.append(item)

        _wake(self._waiter)
        _wake(self._room)

    def pump_ended(self, reason: Reason | None) -> None:
        """Note that no more input comes."""
        self._pump = None
        self._exhausted = True
        if reason is not None and not self._closed:
            self._failure = cause_of(reason) or ServerDied(self.owner.name, reason)

        self._forget_if_idle()
        _wake(self._waiter)

    def _jobs(self) -> list[Job]:
        pump: list[Job] = [] if self._pump is None else [self._pump]
        return [*self._running, *pump]

    async def _next(self) -> Outcome[Any] | None:
        while not self._closed:
            if self._failure is not None:
                raise self._failure

            line = self._line
            if line and line[0].result is not None:
                item = line.popleft()
                self._fill()
                return self._deliver(item)

            more = self._fill()
            if self._exhausted and not self._running and not line:
                return None

            if more:
                await asyncio.sleep(0)
            elif self._failure is None:
                self._waiter = self.owner.tree_context.loop.create_future()
                await self._waiter

        return None

    def _deliver(self, item: _Item) -> Outcome[Any]:
        result = item.result
        assert result is not None, "only finished items are delivered"
        # Its place among the deadlines may outlive it, and must not keep these alive.
        item.result = item.input = None
        if isinstance(result, Exit):
            self._check_exit(result)

        return result

    def _check_exit(self, result: Exit) -> None:
        timeout = self.options.timeout
        if isinstance(result.reason, TimedOut) and timeout is not None:
            if self.options.on_timeout == "exit":
                raise CallTimeout(f"item {result.index} of the stream", timeout)
        elif self.options.linked:
            error = ServerDied(f"item {result.index} of the stream", result.reason)
            raise error from cause_of(result.reason)

    def _has_room(self) -> bool:
        """Tell whether one more task may be started.

        A finished one keeps its place until it is taken, so that a slow consumer holds the input
        back; unless, in order, it has to wait for one before it: that must not hold up the rest.
        """
        line = self._line
        running = len(self._running)
        if not self.options.ordered:
            used = running + len(line)
        elif line and line[0].result is not None:
            used = len(line)
        else:
            used = running

        return used < self.options.max_concurrency

    def _fill(self) -> bool:
        """Start tasks in the free places; return whether some are left to fill."""
        if self._async_source is not None:
            self._start_pump(self._async_source)
            return False

        try:
            return self._fill_from(self._source)
        except Exception as exc:
            self._failure = exc
            return False

    def _fill_from(self, source: Iterator[Any] | None) -> bool:
        budget = _SPAWN_BUDGET
        while source is not None and self._has_room():
            if not budget:
                return True

            budget -= 1
            try:
                value = next(source)
            except StopIteration:
                self._exhausted = True
                self._source = source = None
            else:
                self._spawn(value)

        return False

    def _spawn(self, value: object) -> None:
        self.owner.admit()
        if not self._running:
            self.owner.add_engine(self)

        item = _Item(self, value, self._index)
        self._index += 1
        self._running.add(item)
        if self.options.ordered:
            self._line.append(item)

        item.begin(contain(self._function, value))
        timeout = self.options.timeout
        if timeout is not None:
            self.owner.tree_context.deadlines.start(item, timeout)

    def _start_pump(self, source: AsyncIterator[Any]) -> None:
        if self._exhausted:
            return

        if self._pump is None:
            self._pump = _Pump(self)
            self.owner.add_engine(self)
            self._pump.begin(contain(self._read, source))
        else:
            self._asked = True
            _wake(self._room)

    async def _read(self, source: AsyncIterator[Any]) -> None:
        budget = _SPAWN_BUDGET
        try:
            while True:
                if not self._is_wanted():
                    await self._wait_room()

                try:
                    value = await anext(source)
                except StopAsyncIteration:
                    return

                if self._closed:
                    # The input did not let itself be cancelled.
                    return

                self._spawn(value)
                budget -= 1
                if not budget:
                    budget = _SPAWN_BUDGET
                    await asyncio.sleep(0)
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                await cast("Callable[[], Awaitable[None]]", close)()

    async def _wait_room(self) -> None:
        # Without somebody asking for results nothing is read, or it would pile up. Who has asked
        # and been served at once, before this task had its turn, has asked for every free place.
        while not self._is_wanted():
            self._room = self.owner.tree_context.loop.create_future()
            await self._room

    def _is_wanted(self) -> bool:
        if self._has_room():
            return self._asking or self._asked

        self._asked = False
        return False

    def _forget_if_idle(self) -> None:
        if not self._running and self._pump is None:
            self.owner.drop_engine(self)
            while self._enders:
                _wake(self._enders.pop())


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
