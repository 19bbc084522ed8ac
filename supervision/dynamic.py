"""Supervisors whose children come and go: no order among them, started and stopped in parallel.

Nothing here needs a queue. A child is started in the task of whoever asks, and what its end means
is decided in the callback that brings the news.
"""

from __future__ import annotations

import asyncio
import math
import random as random_module
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from supervision.errors import (
    InvalidSpec,
    MaxChildren,
    MaxRestartsExceeded,
    NoProc,
    NotFound,
)
from supervision.intensity import Intensity
from supervision.introspect import draw
from supervision.reasons import (
    SHUTDOWN,
    Crash,
    Escalate,
    Reason,
    Shutdown,
    Stop,
    TimedOut,
    cause_of,
)
from supervision.ref import Ref, SupervisorRef, make_ref
from supervision.root import Nested, Options, RootedService
from supervision.slot import ChildInfo, Counts, Slot, count, start_failure
from supervision.spec import BrutalKill, ChildSpec, Flags, check_spec
from supervision.strategy import State, is_reported, is_shutdown_error, needs_restart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextvars import Context

    from supervision.child import Child, StartOutcome
    from supervision.deadline import Deadline, Deadlines
    from supervision.supervisor import Supervisor
    from supervision.telemetry import Bus

__all__ = (
    "DynamicBase",
    "DynamicSupervisor",
)

T = TypeVar("T")


class DynamicBase(RootedService):
    """What DynamicSupervisor and TaskSupervisor have in common: the table of slots."""

    def __init__(
        self,
        options: Options,
        flags: Flags,
        *,
        max_children: float = math.inf,
        extra_arguments: tuple[object, ...] = (),
    ) -> None:
        super().__init__(options)
        self.flags = flags
        self.max_children = max_children
        self._extra_arguments = extra_arguments
        self._slots: dict[Slot, None] = {}
        self._by_id: dict[object, Slot] = {}
        self._intensity = Intensity(0, 1.0)
        self._stopping = False
        self._halted: asyncio.Future[Reason] | None = None
        self._empty: asyncio.Future[None] | None = None
        self._escalation: Escalate | None = None
        self._windows: list[Deadline] = []

    async def terminate_child(self, child: object) -> None:
        """Stop a child, given its ref, or its id if it has one, and forget it; wait for its end.

        NotFound if there is no such child.
        """
        self.refuse_deadlock()
        slot = self._find(child)
        slot.cancel_retry()
        running = slot.child
        if running is None:
            self._remove(slot)
            return

        slot.state = State.STOPPING
        running.stop(slot.shutdown)
        while not slot.discarded:
            await slot.wait_change()

    async def restart_child(self, child: object) -> Ref[Any] | None:
        """Raise TypeError: a child that stopped is forgotten here."""
        raise TypeError(f"{self.name!r} forgets children that stop: start {child!r} anew")

    async def delete_child(self, child: object) -> None:
        """Raise TypeError: a child that stopped is forgotten here."""
        raise TypeError(f"{self.name!r} forgets children that stop: nothing to delete")

    def which_children(self) -> list[ChildInfo]:
        """Return one row per child, in start order."""
        return [slot.row() for slot in self._slots]

    def count_children(self) -> Counts:
        """Count the children."""
        return count(self.which_children())

    def get_childspec(self, child: object) -> ChildSpec:
        """Return the spec of a child, given its ref or id; NotFound if there is none."""
        return self._find(child).spec.filled()

    def find_slot(self, id: object) -> Slot | None:
        """Return the place of the child that was last started with this id."""
        return self._by_id.get(id)

    @overload
    def ref(self, id: object) -> SupervisorRef[Any]: ...

    @overload
    def ref(self, id: object, kind: type[Supervisor | DynamicSupervisor]) -> SupervisorRef[Any]: ...

    @overload
    def ref(self, id: object, kind: type[T]) -> Ref[T]: ...

    def ref(self, id: object, kind: type[Any] | None = None) -> Ref[Any]:
        """Return a ref to the child last started with this id; NotFound if there is none."""
        return make_ref(kind, self._find(id), lambda: self._by_id.get(id))

    def slots(self) -> list[Slot]:
        """Return the places of the children, in start order."""
        return list(self._slots)

    def tree(self) -> str:
        """Draw the tree from here down, one line per child."""
        return draw(self)

    def outlives_cancel(self) -> bool:
        """Tell whether a child is still ending; each does so in bounded time."""
        return bool(self._slots)

    async def serve(self, child: Child) -> None:
        """Wait for the end, while callbacks do the work; then stop all children in parallel."""
        self.adopt(child)
        self.check()
        self._intensity = Intensity(self.flags.intensity, self.flags.period)
        self._halted = self.tree_context.loop.create_future()
        try:
            child.ready(self)
            raise Stop(await self._halted)
        finally:
            await self._stop_all()

    def check(self) -> None:
        """Raise InvalidSpec if a flag is wrong."""
        self.flags.check()
        if not self.max_children >= 0:
            raise InvalidSpec(
                "invalid_max_children", "max_children", self.max_children, "use 0 or more"
            )

    def child_ready(self, child: Child) -> None:
        """Note that a child is up."""
        slot = child.slot
        assert isinstance(slot, Slot)
        slot.up()
        self.tree_context.reporter.progress(self.name, slot)

    def child_ended(self, child: Child, reason: Reason) -> None:
        """Decide what the end of a child means."""
        slot = child.slot
        assert isinstance(slot, Slot)
        if slot.child is not child:
            return

        if isinstance(reason, Escalate):
            self._escalate(reason)

        if not child.up:
            self._on_failed_start(slot, child, reason)
        elif child.stop_requested:
            self._on_stopped(slot, reason)
        else:
            self._on_exit(slot, child, reason)

    def child_abandoned(self, child: Child) -> None:
        """Report a zombie."""
        slot = child.slot
        assert isinstance(slot, Slot)
        self.tree_context.reporter.zombie(self.name, slot, Shutdown("given up"))

    async def start_slot(self, spec: ChildSpec, context: Context | None = None) -> Ref[Any] | None:
        """Start a child; None if it ignored the start."""
        self.refuse_deadlock()
        check_spec(spec)
        if spec.significant:
            raise InvalidSpec(
                "invalid_significant",
                "significant",
                True,
                "a dynamic supervisor never shuts down by itself: drop it",
                child="(no id)" if spec.id is None else spec.id,
            )

        self.check_room()
        slot = Slot(self.tree_context, self, spec)
        slot.context = context
        self._slots[slot] = None
        if spec.id is not None:
            self._by_id[spec.id] = slot

        outcome = self._first_start(slot) or await self._wait_started(slot)
        if outcome == "up":
            return make_ref(None, slot)

        if outcome == "ignored":
            return None

        raise start_failure(spec.id, outcome)

    def check_room(self) -> None:
        """Raise if no child may be started now."""
        if self._stopping:
            raise NoProc(self)

        if self.child_count() >= self.max_children:
            raise MaxChildren(self.name, self.max_children)

    def child_count(self) -> int:
        """Return how many children count against `max_children`."""
        return len(self._slots)

    def _first_start(self, slot: Slot) -> StartOutcome | None:
        """Start the child; None if it takes its time to come up."""
        try:
            child = slot.launch(args=(*self._extra_arguments, *slot.spec.args))
        except Exception as exc:
            self._remove(slot)
            return Crash(exc)

        return "up" if child.up else child.outcome

    async def _wait_started(self, slot: Slot) -> StartOutcome:
        child = slot.child
        assert child is not None, "a child that is neither up nor over is in its place"
        try:
            return await child.wait_started()
        except asyncio.CancelledError:
            # Nobody would hold the ref.
            child.stop(slot.shutdown)
            raise

    def _on_failed_start(self, slot: Slot, child: Child, reason: Reason) -> None:
        ignored = child.outcome == "ignored"
        # A start that took too long was ended by us as well, but not because anybody asked.
        asked = slot.state == State.STOPPING or (
            child.stop_requested and not isinstance(reason, TimedOut)
        )
        if not ignored and not asked:
            self.tree_context.reporter.start_error(self.name, slot, reason)

        slot.vacate(reason)
        if ignored or child.generation == 1 or asked or self._stopping:
            self._remove(slot)
        else:
            self._schedule(slot, reason)

    def _on_stopped(self, slot: Slot, reason: Reason) -> None:
        if reason is not SHUTDOWN and is_shutdown_error(slot.spec.restart, slot.shutdown, reason):
            self.tree_context.reporter.shutdown_error(self.name, slot, reason)

        slot.vacate(reason, for_good=True)
        self._remove(slot)

    def _on_exit(self, slot: Slot, child: Child, reason: Reason) -> None:
        tree = self.tree_context
        slot.note_lifetime(tree.clock() - child.started_at)
        if is_reported(slot.spec.restart, reason):
            tree.reporter.terminated(self.name, slot, reason)

        slot.vacate(reason)
        if self._stopping or not needs_restart(slot.spec.restart, reason):
            self._remove(slot)
        elif self._count_attempt(slot, reason):
            delay = slot.next_delay()
            if delay > 0:
                slot.schedule(delay, lambda: self._start_again(slot))
            else:
                self._start_again(slot)

    def _schedule(self, slot: Slot, reason: Reason) -> None:
        def retry() -> None:
            if self._count_attempt(slot, reason):
                self._start_again(slot)

        slot.schedule(slot.next_delay(), retry)

    def _start_again(self, slot: Slot) -> None:
        try:
            slot.launch(args=(*self._extra_arguments, *slot.spec.args))
        except Exception as exc:
            reason = Crash(exc)
            self.tree_context.reporter.start_error(self.name, slot, reason)
            self._schedule(slot, reason)

    def _count_attempt(self, slot: Slot, reason: Reason) -> bool:
        tree = self.tree_context
        if self._intensity.add(tree.clock()):
            return True

        tree.reporter.exceeded(self.name, slot, reason)
        error = MaxRestartsExceeded(
            self.name, slot.spec.id, self.flags.intensity, self.flags.period
        )
        error.__cause__ = cause_of(reason)
        self._remove(slot)
        self._halt(Shutdown(error))
        return False

    def _halt(self, reason: Reason) -> None:
        if self._halted is not None and not self._halted.done():
            self._stopping = True
            self._halted.set_result(reason)

    def _escalate(self, reason: Escalate) -> None:
        self._escalation = reason
        self._halt(reason)

    async def _stop_all(self) -> None:
        self._stopping = True
        self.stop_children()
        while self.child_count():
            self._empty = self.tree_context.loop.create_future()
            try:
                await self._empty
            except asyncio.CancelledError:
                self.kill_children()

        for window in self._windows:
            window.cancel()

        if self._escalation is not None:
            raise Stop(self._escalation)

    def stop_children(self) -> None:
        """Ask all children to end, each within its own time, all at once."""
        groups: dict[float, list[Child]] = {}
        for slot in self.slots():
            child, grace = slot.child, slot.shutdown
            slot.cancel_retry()
            if child is None:
                self._remove(slot)
                continue

            slot.state = State.STOPPING
            if isinstance(grace, BrutalKill) or grace <= 0:
                child.kill()
            elif child.ask_to_stop():
                groups.setdefault(grace, []).append(child)

        # One deadline for all that have the same time, since it begins for all of them now.
        for grace, children in groups.items():
            if grace != math.inf:
                self._windows.append(self.deadlines.after(grace, partial(_kill_all, children)))

    def kill_children(self) -> None:
        """End all children without grace."""
        for slot in self.slots():
            if slot.child is not None:
                slot.child.kill()

    def note_empty(self) -> None:
        """Let the stop go on if nobody is left."""
        if self._empty is not None and not self.child_count() and not self._empty.done():
            self._empty.set_result(None)

    def _remove(self, slot: Slot) -> None:
        self._slots.pop(slot, None)
        id = slot.spec.id
        if id is not None and self._by_id.get(id) is slot:
            del self._by_id[id]

        slot.discard()
        if self._empty is not None:
            self.note_empty()

    def _find(self, child: object) -> Slot:
        named: object = child
        slot = child.slot if isinstance(child, Ref) else self._by_id.get(child)
        if slot is None or slot not in self._slots:
            raise NotFound(named)

        return slot


def _kill_all(children: Iterable[Child]) -> None:
    for child in children:
        child.kill()


class DynamicSupervisor(DynamicBase):
    """Start children on demand; they have no order and are stopped in parallel.

    Each spec has its own restart type, `shutdown` and back-off; ids are optional and may repeat.
    `extra_arguments` come before the args of every spec, at each start. `max_children` limits
    those that run or wait to be restarted. The strategy is one for one.
    """

    def __init__(
        self,
        *,
        max_children: float = math.inf,
        intensity: int = 3,
        period: float = 5.0,
        extra_arguments: tuple[object, ...] = (),
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
            extra_arguments=extra_arguments,
        )

    @classmethod
    def child(
        cls,
        *,
        max_children: float = math.inf,
        intensity: int = 3,
        period: float = 5.0,
        extra_arguments: tuple[object, ...] = (),
        name: str | None = None,
    ) -> Nested:
        """Return the `start` of a ChildSpec for a dynamic supervisor."""
        return Nested(
            lambda: cls(
                max_children=max_children,
                intensity=intensity,
                period=period,
                extra_arguments=extra_arguments,
                name=name,
            )
        )

    def __repr__(self) -> str:
        return f"<DynamicSupervisor {self.name!r}, {len(self._slots)} of {self.max_children:g}>"

    async def start_child(self, spec: ChildSpec) -> Ref[Any] | None:
        """Start a child and return a ref to it; None if it ignored the start.

        Raises InvalidSpec, MaxChildren, AlreadyStarted (its name is taken) or StartFailed. If the
        caller is cancelled meanwhile, the child is stopped.
        """
        return await self.start_slot(spec)
