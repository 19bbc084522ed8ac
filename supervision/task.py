"""Work that runs once, supervised: single tasks, fire and forget, and streams of them."""

from __future__ import annotations

import asyncio
import contextvars
import math
import os
import random as random_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, TypeVarTuple, cast

from supervision.dynamic import DynamicBase
from supervision.engine import Engine
from supervision.errors import CallTimeout, ServerDied
from supervision.job import Exit, Job, Ok, contain
from supervision.reasons import Killed, Reason, Shutdown, cause_of
from supervision.ref import Ref
from supervision.root import Nested, Options
from supervision.spec import BrutalKill, ChildSpec, Flags, Restart
from supervision.stream import OnTimeout, Stream, StreamOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable

    from supervision.deadline import Deadlines
    from supervision.telemetry import Bus

__all__ = (
    "Task",
    "TaskRef",
    "TaskSupervisor",
)

Item = TypeVar("Item")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Task(Job, Generic[T]):
    """A task that somebody may wait for: only the task that started it may."""

    __slots__ = ("_future", "_ignored", "_linked", "_owner_task", "_supervisor", "_waiting")

    def __init__(self, supervisor: TaskSupervisor, *, linked: bool) -> None:
        super().__init__(supervisor)
        self._supervisor = supervisor
        self._future: asyncio.Future[Ok[T] | Exit] = supervisor.tree_context.loop.create_future()
        self._owner_task = asyncio.current_task()
        self._waiting = False
        self._ignored = False
        self._linked = linked
        if linked and self._owner_task is not None:
            self._owner_task.add_done_callback(self._owner_ended)

    def __repr__(self) -> str:
        outcome = self._future.result() if self._future.done() else "running"
        return f"<Task of {self.owner.name!r}: {outcome}>"

    async def await_(self, timeout: float = 5.0) -> T:
        """Return its value.

        Raises ServerDied if it ended without one, with its error as the cause, and CallTimeout
        after `timeout` seconds; it goes on then, and its value is lost.
        """
        outcome = await self.yield_(timeout)
        if outcome is None:
            self.ignore()
            raise CallTimeout(self, timeout)

        if isinstance(outcome, Ok):
            return outcome.value

        raise ServerDied(self, outcome.reason) from cause_of(outcome.reason)

    async def yield_(self, timeout: float = 5.0) -> Ok[T] | Exit | None:
        """Return how it ended; None if it still runs after `timeout` seconds."""
        self.check_owner()
        if self._future.done():
            return self._future.result()

        block = self.owner.tree_context.deadlines.timeout(timeout)
        self._waiting = True
        try:
            with block:
                # A bare future of ours: to be cancelled here must not cancel the task.
                await asyncio.shield(self._future)
        except TimeoutError:
            if not block.expired:
                raise
        finally:
            self._waiting = False

        return self._future.result() if self._future.done() else None

    async def shutdown(self, grace: float | BrutalKill = 5.0) -> Ok[T] | Exit | None:
        """End it. Returns its outcome if it ended by itself, None if it was stopped in time."""
        self.check_owner()
        if not self._future.done():
            self._linked = False
            if isinstance(grace, BrutalKill):
                self.stop(Killed(), 0)
            else:
                self.stop(Shutdown(), grace)

            await asyncio.shield(self._future)

        outcome = self._future.result()
        if isinstance(outcome, Exit) and self.stopped is not None:
            return Exit(Killed()) if self.insisted and not isinstance(grace, BrutalKill) else None

        return outcome

    def ignore(self) -> Ok[T] | Exit | None:
        """Stop caring about it and let it run; returns its outcome if there is one."""
        self.check_owner()
        self._unlink()
        self._ignored = True
        return self._future.result() if self._future.done() else None

    def finish(self, reason: Reason | None, value: object) -> None:
        """Keep the outcome; a crash takes the owner of a linked task with it."""
        outcome = Ok(cast("T", value)) if reason is None else Exit(reason)
        self._supervisor.forget(self)
        linked = self._linked
        self._unlink()
        if not self._future.done():
            self._future.set_result(outcome)

        if (
            linked
            and reason is not None
            and not reason.is_normal
            and not self._waiting
            and self._owner_task is not None
        ):
            self._owner_task.cancel(f"linked task ended: {reason}")

    def _owner_ended(self, _: asyncio.Task[Any]) -> None:
        self.stop(Shutdown(), self._supervisor.shutdown)

    def _unlink(self) -> None:
        self._linked = False
        if self._owner_task is not None:
            self._owner_task.remove_done_callback(self._owner_ended)

    @property
    def outcome(self) -> Ok[T] | Exit | None:
        """How it ended; None while it runs."""
        return self._future.result() if self._future.done() else None

    def on_outcome(self, callback: Callable[[asyncio.Future[Any]], object]) -> None:
        """Call `callback` in the event loop when it has ended, or soon if it has."""
        self._future.add_done_callback(callback)

    def off_outcome(self, callback: Callable[[asyncio.Future[Any]], object]) -> None:
        """Do not call `callback` any more."""
        self._future.remove_done_callback(callback)

    def check_owner(self) -> None:
        """Raise unless we are the task that started it."""
        if asyncio.current_task() is not self._owner_task:
            raise ValueError(f"{self!r} was started by another task, and only that may wait for it")


class TaskRef(Ref["TaskSupervisor"]):
    """A ref to a TaskSupervisor, which forwards what that one does."""

    __slots__ = ()

    async def start_child(
        self,
        function: Callable[[*Ts], Awaitable[object]],
        *args: *Ts,
        restart: Restart = Restart.TEMPORARY,
        shutdown: float | BrutalKill | None = None,
    ) -> Ref[Any] | None:
        """Run `function(*args)` and forget it; a crash is reported, and restarted if asked for."""
        return await self.info.start_child(function, *args, restart=restart, shutdown=shutdown)

    def async_nolink(self, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> Task[T]:
        """Run `function(*args)`; its crash reaches only whoever awaits the task."""
        return self.info.async_nolink(function, *args)

    def async_(self, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> Task[T]:
        """Run `function(*args)` for better or worse: its crash cancels us, our end stops it."""
        return self.info.async_(function, *args)

    def async_stream(
        self,
        function: Callable[[Item], Awaitable[T]],
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        max_concurrency: int | None = None,
        timeout: float | None = 5.0,
        on_timeout: OnTimeout = "exit",
        ordered: bool = True,
        zip_input_on_exit: bool = False,
        linked: bool = False,
        shutdown: float | None = None,
    ) -> Stream[T]:
        """Run `function(item)` for each item; see TaskSupervisor.async_stream."""
        return self.info.async_stream(
            function,
            items,
            max_concurrency=max_concurrency,
            timeout=timeout,
            on_timeout=on_timeout,
            ordered=ordered,
            zip_input_on_exit=zip_input_on_exit,
            linked=linked,
            shutdown=shutdown,
        )


class TaskSupervisor(DynamicBase):
    """Run work on behalf of others: their context is copied, their errors are their own.

    `max_children` limits all that runs here at a time; `shutdown` is the time in seconds each has
    to end when it is stopped.
    """

    ref_class: ClassVar[type[Ref[Any]]] = TaskRef

    def __init__(
        self,
        *,
        max_children: float = math.inf,
        shutdown: float = 5.0,
        intensity: int = 3,
        period: float = 5.0,
        name: str | None = None,
        telemetry: Bus | None = None,
        clock: Callable[[], float] | None = None,
        random: Callable[[], float] = random_module.random,
        deadlines: Deadlines | None = None,
    ) -> None:
        super().__init__(
            Options(
                name=name, telemetry=telemetry, clock=clock, random=random, deadlines=deadlines
            ),
            Flags(intensity=intensity, period=period),
            max_children=max_children,
        )
        self.shutdown = shutdown
        self._tasks: set[Task[Any]] = set()
        self._engines: set[Engine] = set()
        self._streamed = 0

    @classmethod
    def child(
        cls,
        *,
        max_children: float = math.inf,
        shutdown: float = 5.0,
        intensity: int = 3,
        period: float = 5.0,
        name: str | None = None,
    ) -> Nested:
        """Return the `start` of a ChildSpec for a task supervisor."""
        return Nested(
            lambda: cls(
                max_children=max_children,
                shutdown=shutdown,
                intensity=intensity,
                period=period,
                name=name,
            )
        )

    def __repr__(self) -> str:
        return f"<TaskSupervisor {self.name!r}, {self.child_count()} of {self.max_children:g}>"

    async def start_child(
        self,
        function: Callable[[*Ts], Awaitable[object]],
        *args: *Ts,
        restart: Restart = Restart.TEMPORARY,
        shutdown: float | BrutalKill | None = None,
    ) -> Ref[Any] | None:
        """Run `function(*args)` and forget it; a crash is reported, and restarted if asked for."""
        spec = ChildSpec(
            None,
            function,
            args=args,
            restart=restart,
            shutdown=self.shutdown if shutdown is None else shutdown,
        )
        return await self.start_slot(spec, contextvars.copy_context())

    def async_nolink(self, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> Task[T]:
        """Run `function(*args)`; its crash reaches only whoever awaits the task."""
        return self._start_task(function, args, linked=False)

    def async_(self, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> Task[T]:
        """Run `function(*args)` for better or worse: its crash cancels us, our end stops it."""
        return self._start_task(function, args, linked=True)

    def async_stream(
        self,
        function: Callable[[Item], Awaitable[T]],
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        max_concurrency: int | None = None,
        timeout: float | None = 5.0,
        on_timeout: OnTimeout = "exit",
        ordered: bool = True,
        zip_input_on_exit: bool = False,
        linked: bool = False,
        shutdown: float | None = None,
    ) -> Stream[T]:
        """Run `function(item)` for each item, `max_concurrency` (default: CPUs) at a time.

        Yields `Ok(value, index)` or `Exit(reason, input, index)` per item, in the order of the
        items unless `ordered` is False; `input` is filled in if `zip_input_on_exit`. Items are
        read as places become free and results are asked for. An item that takes longer than
        `timeout` seconds from its start is ended, and with it the whole stream (CallTimeout), or,
        with `on_timeout="kill_task"`, only itself. With `linked`, the first crash ends the stream
        as well (ServerDied). Leaving early ends what runs, which gets `shutdown` seconds.
        """
        options = StreamOptions(
            max_concurrency=(os.cpu_count() or 1) if max_concurrency is None else max_concurrency,
            timeout=timeout,
            on_timeout=on_timeout,
            ordered=ordered,
            zip_input_on_exit=zip_input_on_exit,
            linked=linked,
            shutdown=self.shutdown if shutdown is None else shutdown,
        )
        self.refuse_deadlock()
        return Stream(Engine(self, function, items, options))

    def child_count(self) -> int:
        """Return how many tasks run here."""
        return len(self._slots) + len(self._tasks) + self._streamed

    def outlives_cancel(self) -> bool:
        """Tell whether something is still ending; each does so in bounded time."""
        return self.child_count() > 0 or bool(self._engines)

    def admit(self) -> None:
        """Count one more streamed task, or raise MaxChildren or NoProc."""
        self.check_room()
        self._streamed += 1

    def release(self) -> None:
        """Count one streamed task less."""
        self._streamed -= 1
        self.note_empty()

    def add_engine(self, engine: Engine) -> None:
        """Note a stream that may have tasks."""
        self._engines.add(engine)

    def drop_engine(self, engine: Engine) -> None:
        """Forget a stream that has none."""
        self._engines.discard(engine)

    def forget(self, task: Task[Any]) -> None:
        """Forget a task that is over."""
        self._tasks.discard(task)
        self.note_empty()

    def stop_children(self) -> None:
        """Ask everything to end, all at once."""
        super().stop_children()
        for task in list(self._tasks):
            task.stop(Shutdown(), self.shutdown)

        for engine in list(self._engines):
            engine.stop(Shutdown())

    def kill_children(self) -> None:
        """End everything without grace."""
        super().kill_children()
        for task in list(self._tasks):
            task.kill()

        for engine in list(self._engines):
            engine.kill()

    def _start_task(
        self, function: Callable[..., Awaitable[T]], args: tuple[object, ...], *, linked: bool
    ) -> Task[T]:
        self.refuse_deadlock()
        self.check_room()
        task: Task[T] = Task(self, linked=linked)
        self._tasks.add(task)
        task.begin(contain(function, *args))
        return task
