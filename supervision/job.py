"""One unit of work under a TaskSupervisor, and the two ways it can turn out.

Unlike a child it has no spec and no restart: it runs once, in a copy of the context of whoever
asked for it, and whatever it raises, SystemExit included, is its own outcome and nobody else's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from supervision.child import RECANCEL_INTERVAL, RECANCELS
from supervision.deadline import Entry
from supervision.reasons import Crash, Killed, Reason, classify
from supervision.report import Offender
from supervision.spec import Restart

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine

    from supervision.deadline import Deadline
    from supervision.tree import Tree

__all__ = (
    "Exit",
    "Job",
    "JobOwner",
    "Ok",
    "contain",
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Ok(Generic[T_co]):
    """It returned `value`; `index` is the place of its input in the stream."""

    value: T_co
    index: int = 0


@dataclass(frozen=True, slots=True)
class Exit:
    """It ended without a value; `input` is what it was given, if that was asked for."""

    reason: Reason
    input: Any = None
    index: int = 0


class JobOwner(Protocol):
    """Whoever runs jobs."""

    @property
    def name(self) -> str:
        """How reports call the owner."""
        ...

    @property
    def tree_context(self) -> Tree:
        """The tree the owner belongs to."""
        ...


@dataclass(frozen=True, slots=True)
class _Escaped:
    """SystemExit or KeyboardInterrupt, caught before a task lets it into the event loop."""

    exc: BaseException


async def contain(function: Callable[..., Awaitable[object]], *args: object) -> object:
    """Await `function(*args)`; return rather than raise what would end the event loop."""
    try:
        return await function(*args)
    except (SystemExit, KeyboardInterrupt) as exc:
        return _Escaped(exc)


class Job(Entry):
    """A task, how it is stopped, and how its end is understood. Subclasses say what follows."""

    __slots__ = ("_abandoned", "_recancels", "owner", "stopped", "task", "timer")

    def __init__(self, owner: JobOwner) -> None:
        self.pending = False
        self.owner = owner
        self.task: asyncio.Task[object] | None = None
        self.timer: Deadline | None = None
        self.stopped: Reason | None = None
        self._abandoned = False
        self._recancels = 0

    def begin(self, work: Coroutine[Any, Any, object]) -> None:
        """Create the task, in a copy of the current context."""
        self.task = task = self.owner.tree_context.loop.create_task(work)
        task.add_done_callback(self._done)

    def finish(self, reason: Reason | None, value: object) -> None:
        """Take the outcome: a reason, or None and a value. Called exactly once."""
        raise NotImplementedError

    @property
    def insisted(self) -> bool:
        """Whether it had to be cancelled more than once."""
        return self._recancels > 0

    def offender(self) -> Offender:
        """Return what reports say of it."""
        task = self.task
        return Offender(
            id=None if task is None else task.get_name(),
            pid=None,
            start=repr(task),
            restart_type=Restart.TEMPORARY,
            child_type="worker",
            shutdown=None,
            significant=False,
            generation=1,
        )

    def stop(self, reason: Reason, grace: float) -> None:
        """Cancel it; if it has not ended after `grace` seconds, insist, and then give it up.

        `reason` is what its end will be put down to. Returns at once.
        """
        if self.task is None or self.stopped is not None:
            return

        self.stopped = reason
        self._next_step(grace if grace > 0 else RECANCEL_INTERVAL)
        self.task.cancel()

    def kill(self) -> None:
        """End it without grace."""
        if self.task is None:
            return

        if self.stopped is None:
            self.stopped = Killed()

        self._next_step(RECANCEL_INTERVAL)
        self.task.cancel()

    def _done(self, task: asyncio.Task[object]) -> None:
        self.task = None
        if self.pending:
            self.cancel()

        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

        if self._abandoned:
            self.owner.tree_context.zombies.discard(self)
            return

        if task.cancelled():
            self.finish(self.stopped or Killed(), None)
            return

        exc = task.exception()
        if exc is not None:
            self.finish(self.stopped or classify(exc, stop_requested=False), None)
            return

        value = task.result()
        if type(value) is _Escaped:
            self.finish(Crash(value.exc), None)
        else:
            self.finish(None, value)

    def _next_step(self, delay: float) -> None:
        if self.timer is not None:
            self.timer.cancel()

        self.timer = (
            None
            if delay == float("inf")
            else self.owner.tree_context.deadlines.after(delay, self._insist)
        )

    def _insist(self) -> None:
        if self.task is None:
            return

        if self._recancels < RECANCELS:
            self._recancels += 1
            self._next_step(RECANCEL_INTERVAL)
            self.task.cancel()
        else:
            self._abandon()

    def _abandon(self) -> None:
        tree = self.owner.tree_context
        self._abandoned = True
        tree.zombies.add(self)
        reason = self.stopped or Killed()
        tree.reporter.zombie(self.owner.name, self, reason)
        self.finish(reason, None)
