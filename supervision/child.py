"""One incarnation of a child: the task it lives in, from its start to its end.

A child is exactly one task, which enters its resources, says that it is ready, serves, and leaves
them, so that whatever must be closed by the task that opened it is. Whatever it raises becomes an
exit reason inside that task: nothing escapes into the event loop, not even SystemExit.

Stopping it is a ladder of timers rather than somebody who waits: one cancellation at once; after
the deadline further ones, `RECANCELS` times, `RECANCEL_INTERVAL` apart, for a task that swallows
them; then it is given up as a zombie, so that nobody waits for it any longer.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import Context, ContextVar
from types import CodeType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, TypeAlias, TypeVar, cast

from supervision.errors import NoProc
from supervision.reasons import (
    SHUTDOWN,
    Crash,
    Escalate,
    Ignore,
    Killed,
    Normal,
    Reason,
    TimedOut,
    classify,
)
from supervision.spec import BrutalKill, ChildSpec, ChildType

if TYPE_CHECKING:
    from supervision.deadline import Deadline
    from supervision.monitor import Monitor
    from supervision.report import Offender, Subject
    from supervision.tree import Tree

__all__ = (
    "CURRENT",
    "RECANCELS",
    "RECANCEL_INTERVAL",
    "Child",
    "Ignored",
    "Owner",
    "Ready",
    "Service",
    "StartOutcome",
    "failure_of",
)

RECANCELS: Final = 5
RECANCEL_INTERVAL: Final = 0.05

CURRENT: Final[ContextVar[Child | None]] = ContextVar("supervision_current", default=None)
"""The child in whose task, or in whose name, the code runs."""

Ignored: TypeAlias = Literal["ignored"]
R = TypeVar("R")

StartOutcome: TypeAlias = Literal["up"] | Ignored | Reason
"""How a start went: a reason means that the child is gone again."""


class Owner(Protocol):
    """Whoever starts a child and is told of its end."""

    @property
    def name(self) -> str:
        """How reports call the owner."""
        ...

    @property
    def process(self) -> Child | None:
        """The child that the owner itself is."""
        ...

    def child_ready(self, child: Child) -> None:
        """Note that `child` is up."""
        ...

    def child_ended(self, child: Child, reason: Reason) -> None:
        """Note that `child` is gone: it failed to start, was stopped, or ended by itself."""
        ...

    def child_abandoned(self, child: Child) -> None:
        """Note that `child` refuses to end and is given up; `child_ended` follows."""
        ...


class Service:
    """Something that lives as a child and needs more than `ready` from its task."""

    child_type: ClassVar[ChildType] = "worker"

    # A plain class: an abstract one would slow down `isinstance` on the path of every call.
    async def serve(self, child: Child) -> None:
        """Come up, call `child.ready(...)`, serve until cancelled, clean up."""
        raise NotImplementedError

    def abandoned(self) -> None:
        """Note that the supervisor has given up waiting for the end."""

    def outlives_cancel(self) -> bool:
        """Tell whether the end is only waiting for children whose own end is bounded."""
        return False


class Ready:
    """What a coroutine child calls when it is up, with the value that `ref.info` is to have."""

    __slots__ = ("_child",)

    def __init__(self, child: Child) -> None:
        self._child: Child | None = child

    def __call__(self, info: object = None) -> None:
        """Say that the child is up; raise RuntimeError the second time."""
        child, self._child = self._child, None
        if child is None:
            raise RuntimeError("ready() was called before, or the child is over; call it once")

        child.ready(info)

    def expire(self) -> None:
        """Let go of the child."""
        self._child = None


class Child:
    """One incarnation of a child."""

    __slots__ = (
        "_abandoned",
        "_deadline",
        "_ended",
        "_exit_reason",
        "_monitors",
        "_recancels",
        "_spawned",
        "_start_timed_out",
        "_started",
        "context",
        "generation",
        "info",
        "killed",
        "outcome",
        "over",
        "owner",
        "pid",
        "service",
        "slot",
        "started_at",
        "stop_requested",
        "task",
        "tree",
        "up",
    )

    def __init__(self, tree: Tree, owner: Owner, slot: Subject, generation: int = 1) -> None:
        self.tree = tree
        self.owner = owner
        self.slot = slot
        self.generation = generation
        self.pid = tree.next_serial()
        self.info: object = None
        self.context = tree.context
        self.service: Service | None = None
        self.task: asyncio.Task[Reason | Ignored] | None = None
        self.up = False
        self.stop_requested = False
        self.killed = False
        self.over = False
        self.outcome: Reason | Ignored | None = None
        self.started_at = 0.0
        self._started: asyncio.Future[StartOutcome] | None = None
        self._ended: asyncio.Future[Reason | Ignored] | None = None
        self._deadline: Deadline | None = None
        self._recancels = 0
        self._start_timed_out: float | None = None
        self._exit_reason: Reason | None = None
        self._abandoned = False
        self._monitors: list[Monitor] | None = None
        self._spawned: set[asyncio.Task[Any]] | None = None

    def __repr__(self) -> str:
        state = "up" if self.up else "starting"
        return f"<Child {self.pid} of {self.owner.name!r} {state if self.alive else 'over'}>"

    @property
    def alive(self) -> bool:
        """Whether it is neither over nor given up."""
        return not self.over

    def forget(self) -> None:
        """Let go of how it ended: the exception holds frames, and those may hold the child."""
        self.outcome = None

    def launch(
        self,
        spec: ChildSpec,
        *,
        args: tuple[object, ...] | None = None,
        context: Context | None = None,
    ) -> None:
        """Create the task; `args` stand in for those of the spec, `context` for the tree's.

        A coroutine function that does not ask for `ready` is up at once.
        """
        start = spec.start
        wants_ready, at_once = _form_of(start)
        self.context = (self.tree.context if context is None else context).copy()
        self.started_at = self.tree.clock()
        life = self._live(start, spec.args if args is None else args, spec.kwargs, wants_ready)
        self._create_task(life, spec.id)
        if self.up:
            return

        if at_once:
            self.ready(None)
        elif spec.start_timeout != math.inf:
            self._limit_start(spec.start_timeout)

    def ready(self, info: object) -> None:
        """Note that it is up; `info` is what refs to it give out."""
        if self.up or not self.alive:
            raise RuntimeError(f"{self!r} cannot become ready twice or after its end")

        if self.stop_requested:
            # Too late: the start has been given up, and fails when the child is gone.
            return

        self.info = info
        self.up = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

        self.owner.child_ready(self)
        if self._started is not None:
            _resolve(self._started, "up")

    async def wait_started(self) -> StartOutcome:
        """Return when it is up, or gone."""
        if self.up:
            return "up"

        if self.outcome is not None:
            return self.outcome

        self._started = self.tree.loop.create_future()
        return await self._started

    async def wait_ended(self) -> Reason | Ignored:
        """Return its exit reason when it is over or given up. For its owner alone."""
        if self.over:
            return self.outcome or Normal()

        self._ended = self.tree.loop.create_future()
        return await self._ended

    def stop(self, shutdown: float | BrutalKill) -> None:
        """Ask it to end within `shutdown` seconds and see to it that it does.

        Returns at once. Asked again, only an end without grace makes a difference.
        """
        if isinstance(shutdown, BrutalKill) or shutdown <= 0:
            self.kill()
        elif self.alive and not self.stop_requested:
            self._after(shutdown, self.kill)
            self.ask_to_stop()

    def ask_to_stop(self) -> bool:
        """Cancel it once; False if it was asked before. Its deadline is up to the caller."""
        if self.over or self.stop_requested:
            return False

        self.stop_requested = True
        if self.task is not None:
            self.task.cancel()

        return True

    def kill(self) -> None:
        """End it without grace: cancel it again and again, then give it up."""
        if self.alive and not self.killed:
            self.stop_requested = True
            self.killed = True
            self._after(RECANCEL_INTERVAL, self._recancel)
            self._cancel()

    def exit(self, reason: Reason) -> None:
        """Cancel it, not as its supervisor would: it counts as having ended with `reason`."""
        if self.alive:
            self._exit_reason = reason
            self._cancel()

    def watch(self, monitor: Monitor) -> None:
        """Tell `monitor` when it ends, or soon if it is over."""
        if not self.alive:
            self.tree.loop.call_soon(monitor.fire, self.pid, NoProc(self.slot))
        elif self._monitors is None:
            self._monitors = [monitor]
        else:
            self._monitors.append(monitor)

    def spawn(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        """Run `work` in a task that ends with the child; if it crashes, so does the child."""
        if self.over:
            work.close()
            raise NoProc(self.slot)

        task = self.tree.loop.create_task(self._contain(work), context=self.context.copy())
        if self._spawned is None:
            self._spawned = set()

        self._spawned.add(task)
        task.add_done_callback(self._spawned_ended)
        # Cancelled before its first step, the task never came to await it.
        task.add_done_callback(lambda _: work.close())
        return task

    async def end_spawned(self) -> None:
        """Cancel what was spawned, and wait for it."""
        for task in self._spawned or ():
            task.cancel()

        if self._spawned:
            await asyncio.wait(self._spawned)

    def offender(self) -> Offender:
        """Return what reports say of it."""
        return self.slot.offender()

    def _create_task(self, life: Coroutine[Any, Any, Reason | Ignored], label: object) -> None:
        self.task = self.tree.loop.create_task(
            life,
            name=f"{self.owner.name}/{label}#{self.generation}",
            context=self.context,
        )
        if self.stop_requested:
            # An eager task ran before there was anything to cancel.
            self._cancel()

        self.task.add_done_callback(self._done)

    async def _live(
        self,
        start: Callable[..., object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        wants_ready: bool,
    ) -> Reason | Ignored:
        CURRENT.set(self)
        ready = Ready(self) if wants_ready else None
        try:
            work = start(*args, **kwargs) if ready is None else start(*args, ready=ready, **kwargs)
            # Nothing but the work itself keeps its arguments alive.
            del start, args, kwargs
            if isinstance(work, Service):
                self.service = work
                await work.serve(self)
            else:
                try:
                    if inspect.iscoroutine(work) and (wants_ready or self.up):
                        await work
                    else:
                        await self._run(work, wants_ready)
                finally:
                    if self._spawned is not None:
                        await self.end_spawned()

        except GeneratorExit:
            raise
        except BaseException as exc:
            if exc.__traceback__ is not None:
                # This frame holds the child, which would tie the exception and all that its
                # frames hold into a reference cycle.
                exc.__traceback__ = exc.__traceback__.tb_next

            return self.reason_for(exc)
        finally:
            if ready is not None:
                ready.expire()

        return Normal()

    async def _run(self, work: object, wants_ready: bool) -> None:
        if isinstance(work, Awaitable):
            if not wants_ready and not self.up:
                self.ready(None)

            await cast("Awaitable[object]", work)
        elif isinstance(work, AbstractAsyncContextManager):
            async with cast("AbstractAsyncContextManager[object]", work) as info:
                self.ready(info)
                await self.tree.loop.create_future()
        else:
            raise TypeError(
                f"a child's start returned {work!r}; it must return an awaitable, an async "
                "context manager, an Actor or a supervisor"
            )

    def reason_for(self, exc: BaseException) -> Reason | Ignored:
        """Return what it means that its work raised `exc`."""
        if self._start_timed_out is not None and not isinstance(exc, Ignore):
            return TimedOut(self._start_timed_out)

        if isinstance(exc, asyncio.CancelledError):
            if self._exit_reason is not None:
                return self._exit_reason

            return SHUTDOWN if self.stop_requested and not self.killed else Killed()

        if isinstance(exc, Ignore) and not self.up:
            return "ignored"

        reason = classify(exc, stop_requested=self.stop_requested)
        return Killed() if self.killed and reason == SHUTDOWN else reason

    async def _contain(self, work: Coroutine[Any, Any, R]) -> R:
        """Await `work`; what would end the event loop ends the tree instead, in good order."""
        try:
            return await work
        except (SystemExit, KeyboardInterrupt) as exc:
            self.exit(Escalate(exc))
            raise asyncio.CancelledError from exc

    def _spawned_ended(self, task: asyncio.Task[Any]) -> None:
        if self._spawned is not None:
            self._spawned.discard(task)

        exc = None if task.cancelled() else task.exception()
        if exc is not None:
            self.exit(Crash(exc))

    def _done(self, task: asyncio.Task[Reason | Ignored]) -> None:
        if task.cancelled():
            # Cancelled before its first step: nothing of it ever ran.
            outcome = self.reason_for(asyncio.CancelledError())
        else:
            exc = task.exception()
            outcome = task.result() if exc is None else Crash(exc)

        self.task = None
        self.service = None
        if self.tree.find_orphans is not None:
            self._report_orphans(self.tree.find_orphans)

        if self._abandoned:
            self.tree.zombies.discard(self)
        else:
            self._finish(outcome)

    def _report_orphans(self, find: Callable[[Child], Sequence[object]]) -> None:
        tasks = find(self)
        if tasks:
            self.tree.reporter.orphans(self.owner.name, self, tasks)

    def _finish(self, outcome: Reason | Ignored) -> None:
        self.over = True
        self.outcome = outcome
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

        reason: Reason = Normal() if outcome == "ignored" else outcome
        if self._started is not None:
            _resolve(self._started, outcome)
            self._started = None

        if self._ended is not None:
            _resolve(self._ended, outcome)
            self._ended = None

        self.owner.child_ended(self, reason)
        if self._monitors is not None:
            monitors, self._monitors = self._monitors, None
            for monitor in monitors:
                monitor.fire(self.pid, reason)

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def _after(self, delay: float, step: Callable[[], None]) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

        self._deadline = None if delay == math.inf else self.tree.deadlines.after(delay, step)

    def _limit_start(self, timeout: float) -> None:
        def expire() -> None:
            self._start_timed_out = timeout
            self.kill()

        self._after(timeout, expire)

    def _recancel(self) -> None:
        service = self.service
        if self._recancels < RECANCELS or (service is not None and service.outlives_cancel()):
            self._recancels += 1
            self._after(RECANCEL_INTERVAL, self._recancel)
            self._cancel()
        else:
            self._abandon()

    def _abandon(self) -> None:
        self._abandoned = True
        # The set keeps the task alive until it ends of itself, which `_done` notices.
        self.tree.zombies.add(self)
        if self.service is not None:
            self.service.abandoned()

        self.owner.child_abandoned(self)
        limit = self._start_timed_out
        self._finish(Killed() if limit is None else TimedOut(limit))


def failure_of(outcome: StartOutcome) -> Reason | None:
    """Return why a start failed; None if it did not."""
    return None if isinstance(outcome, str) else outcome


def _resolve(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)


def _form_of(start: Callable[..., object]) -> tuple[bool, bool]:
    """Tell whether `start` asks for `ready`, and whether its child is up at once."""
    function: object = getattr(start, "__func__", start)
    code: object = getattr(function, "__code__", None)
    if isinstance(code, CodeType):
        # Read from the code: the signature would cost more than starting the child.
        wants_ready = "ready" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        return wants_ready, not wants_ready and bool(code.co_flags & inspect.CO_COROUTINE)

    if inspect.isclass(start) and issubclass(start, Service):
        return False, False

    try:
        return "ready" in inspect.signature(start).parameters, False
    except ValueError:
        return False, False
