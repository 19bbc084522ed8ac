"""The place of a child in its supervisor: what stays when the child itself comes and goes."""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from supervision.child import Child, Owner
from supervision.errors import AlreadyStarted, NoProc, StartFailed
from supervision.reasons import Reason, cause_of
from supervision.report import Offender
from supervision.spec import BrutalKill, ChildSpec, ChildType, Restart
from supervision.strategy import ChildView, State

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from contextvars import Context

    from supervision.deadline import Deadline
    from supervision.tree import Tree

__all__ = (
    "ABSENT",
    "HISTORY_LIMIT",
    "ChildInfo",
    "Counts",
    "Ending",
    "Slot",
    "count",
    "start_failure",
)

HISTORY_LIMIT: Final = 16
"""How many endings a slot remembers."""

ABSENT: Final = object()
"""The info of a slot in which nothing runs."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How and when one incarnation ended; `reason` is text, so that no frame is kept alive."""

    at: float
    pid: int
    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """One row of `which_children`; `pid` is None unless the child runs."""

    id: object
    pid: int | None
    state: State
    type: ChildType
    generation: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many children there are, by state and by type."""

    specs: int
    active: int
    supervisors: int
    workers: int


def count(rows: list[ChildInfo]) -> Counts:
    """Count the rows of `which_children`."""
    supervisors = sum(row.type == "supervisor" for row in rows)
    return Counts(
        specs=len(rows),
        active=sum(row.pid is not None for row in rows),
        supervisors=supervisors,
        workers=len(rows) - supervisors,
    )


def start_failure(id: object, reason: Reason) -> Exception:
    """Return what a request to start a child raises when the child ended with `reason`."""
    cause = cause_of(reason)
    if isinstance(cause, AlreadyStarted):
        return cause

    error = StartFailed(id, reason)
    error.__cause__ = cause
    return error


class Slot:
    """One child spec and the incarnation that runs, if one does.

    `info` is kept here as well, so that a ref reads it with one look.
    """

    __slots__ = (
        "_waiters",
        "attempts",
        "child",
        "context",
        "discarded",
        "generation",
        "history",
        "info",
        "owner",
        "retry",
        "spec",
        "state",
        "tree",
    )

    def __init__(self, tree: Tree, owner: Owner, spec: ChildSpec) -> None:
        self.tree = tree
        self.owner = owner
        self.spec = spec
        self.state = State.UNDEFINED
        self.child: Child | None = None
        self.info: object = ABSENT
        self.generation = 0
        self.attempts = 0
        self.context: Context | None = None
        self.discarded = False
        self.retry: Deadline | None = None
        self.history: deque[Ending] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None

    def __repr__(self) -> str:
        return f"<{self.owner.name}/{self.spec.id} {self.state}>"

    @property
    def pid(self) -> int | None:
        """The number of the running incarnation."""
        return self.child.pid if self.child is not None and self.child.up else None

    @property
    def shutdown(self) -> float | BrutalKill:
        """The time the child has to stop."""
        return self.spec.grace

    def launch(self, *, args: tuple[object, ...] | None = None) -> Child:
        """Start the next incarnation; take the name first."""
        self.generation += 1
        self.cancel_retry()
        self.state = State.STARTING
        # The record is in place before the task is: an eager task may look itself up.
        child = self.child = Child(self.tree, self.owner, self, self.generation)
        try:
            if self.spec.name is not None:
                self.spec.name.claim(self)

            child.launch(self.spec, args=args, context=self.context)
        except BaseException:
            # The name goes with the child, so the child has to be over.
            child.over = True
            self.child = None
            self.state = State.UNDEFINED
            raise

        return child

    def up(self) -> None:
        """Note that the incarnation is ready, and let those know who wait for it."""
        assert self.child is not None, "only a child becomes ready"
        self.state = State.RUNNING
        self.info = self.child.info
        if self.spec.restart is Restart.TEMPORARY and (self.spec.args or self.spec.kwargs):
            self.spec = dataclasses.replace(self.spec, args=(), kwargs={})

        self._wake()

    def vacate(self, reason: Reason, *, for_good: bool = False) -> None:
        """Note that the incarnation is over; `for_good` if the slot goes with it."""
        child, self.child = self.child, None
        self.info = ABSENT
        self.state = State.UNDEFINED
        if self.spec.name is not None:
            self.spec.name.release(self)

        if child is not None:
            if not for_good:
                self._remember(child, reason)

            child.forget()

    def discard(self) -> None:
        """Note that the slot is gone for good; whoever waits for it gives up or looks elsewhere."""
        self.cancel_retry()
        self.state = State.UNDEFINED
        self.discarded = True
        self._wake()

    def schedule(self, delay: float, retry: Callable[[], None]) -> None:
        """Wait in state `restarting` and then `retry`."""
        self.state = State.RESTARTING
        self.cancel_retry()
        self.retry = self.tree.deadlines.after(delay, retry)

    def cancel_retry(self) -> None:
        """Cancel the pending restart attempt, if there is one."""
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None

    def next_delay(self) -> float:
        """Return the wait before the next restart attempt, and count the attempt."""
        self.attempts += 1
        backoff = self.spec.backoff
        return 0.0 if backoff is None else backoff.delay(self.attempts, self.tree.random())

    def note_lifetime(self, lifetime: float) -> None:
        """Start the row of restarts anew if the child that ended had lived long enough."""
        if self.spec.backoff is not None and self.spec.backoff.forgets(lifetime):
            self.attempts = 0

    async def wait_change(self) -> None:
        """Return when a child becomes ready here or the slot is discarded."""
        waiter = self.tree.loop.create_future()
        waiters = self._waiters = [] if self._waiters is None else self._waiters
        waiters.append(waiter)
        try:
            await waiter
        finally:
            waiters.remove(waiter)

    def current(self) -> Child:
        """Return the running incarnation or raise NoProc."""
        if self.child is None or not self.child.up:
            raise NoProc(self)

        return self.child

    def view(self) -> ChildView:
        """Return what the planner sees."""
        return ChildView(self.spec.id, self.spec.restart, self.state, self.spec.significant)

    def row(self) -> ChildInfo:
        """Return the row of `which_children`."""
        return ChildInfo(self.spec.id, self.pid, self.state, self.spec.kind, self.generation)

    def offender(self) -> Offender:
        """Return what reports say of the child."""
        start = self.spec.start
        return Offender(
            id=self.spec.id,
            pid=None if self.child is None else self.child.pid,
            start=getattr(start, "__qualname__", None) or repr(start),
            restart_type=self.spec.restart,
            child_type=self.spec.kind,
            shutdown=self.spec.grace,
            significant=self.spec.significant,
            generation=self.generation,
        )

    def _remember(self, child: Child, reason: Reason) -> None:
        if self.history is None:
            self.history = deque(maxlen=HISTORY_LIMIT)

        self.history.append(Ending(self.tree.clock(), child.pid, child.generation, str(reason)))

    def _wake(self) -> None:
        if self._waiters is not None:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
