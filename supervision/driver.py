"""What a supervisor of a fixed list of children does: one task that does one thing at a time.

It takes exits, retries that have become due, and requests from one inbox, asks the planner what
they mean, and does it. Nothing else changes the table of children.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, assert_never

from supervision.child import Child, Ignored, StartOutcome, failure_of
from supervision.errors import (
    AlreadyPresent,
    AlreadyStarted,
    MaxRestartsExceeded,
    NoProc,
    NotFound,
    Restarting,
    Running,
    StartFailed,
)
from supervision.intensity import Intensity
from supervision.reasons import Crash, Escalate, Normal, Reason, Shutdown, Stop, cause_of
from supervision.ref import Ref, make_ref
from supervision.root import Options, RootedService
from supervision.slot import Slot, start_failure
from supervision.spec import ChildSpec, Flags, Restart, check_childspecs, check_static
from supervision.strategy import (
    Action,
    Attempt,
    Event,
    Exited,
    Halt,
    Remove,
    Retry,
    Start,
    State,
    Stop as StopChildren,
    is_reported,
    is_shutdown_error,
    plan,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ("Driver",)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Exit:
    child: Child
    reason: Reason


@dataclass(frozen=True, slots=True, eq=False)
class _Due:
    slot: Slot
    reason: Reason
    counted: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    run: Callable[[], Awaitable[object]]
    reply: asyncio.Future[Any]


_Item: TypeAlias = _Exit | _Due | _Request


class Driver(RootedService):
    """The side of a supervisor that acts; the supervisor itself derives from it."""

    def __init__(self, options: Options, flags: Flags, specs: tuple[ChildSpec, ...]) -> None:
        super().__init__(options)
        self.flags = flags
        self._specs = specs
        self._slots: dict[object, Slot] = {}
        self._inbox: deque[_Item] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._intensity: Intensity | None = None
        self._stopping = False
        self._escalation: Escalate | None = None

    def slots(self) -> list[Slot]:
        """Return the places of the children, in start order."""
        return list(self._slots.values())

    def outlives_cancel(self) -> bool:
        """Tell whether a child is still ending; each does so in bounded time."""
        return any(slot.child is not None for slot in self._slots.values())

    async def serve(self, child: Child) -> None:
        """Be the driver: start all, serve the inbox, stop all."""
        self.adopt(child)
        self.flags.check()
        check_childspecs(self._specs, self.flags.auto_shutdown)
        self._intensity = Intensity(self.flags.intensity, self.flags.period)
        try:
            await self._start_all()
            child.ready(self)
            await self._run()
        finally:
            await self._stop_all()

    def child_ready(self, child: Child) -> None:
        """Note that a child is up."""
        slot = child.slot
        assert isinstance(slot, Slot)
        slot.up()

    def child_ended(self, child: Child, reason: Reason) -> None:
        """Queue the end of a child, unless the driver itself waits for it."""
        if child.up and not child.stop_requested and not self._stopping:
            self._post(_Exit(child, reason))

    def child_abandoned(self, child: Child) -> None:
        """Report a zombie."""
        slot = child.slot
        assert isinstance(slot, Slot)
        reason = Shutdown("given up")
        self.tree_context.reporter.zombie(self.name, slot, reason)

    def _slot(self, id: object) -> Slot:
        slot = self._slots.get(id)
        if slot is None:
            raise NotFound(id)

        return slot

    def _post(self, item: _Item) -> None:
        self._inbox.append(item)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _request(self, run: Callable[[], Awaitable[T]]) -> T:
        self.refuse_deadlock()
        if self._stopping:
            raise NoProc(self)

        reply: asyncio.Future[T] = self.tree_context.loop.create_future()
        self._post(_Request(run, reply))
        return await reply

    async def _run(self) -> None:
        while True:
            while self._inbox:
                await self._handle(self._inbox.popleft())

            self._wake = self.tree_context.loop.create_future()
            await self._wake

    async def _handle(self, item: _Item) -> None:
        match item:
            case _Exit(child, reason):
                await self._on_exit(child, reason)
            case _Due(slot, reason, counted):
                if slot.state == State.RESTARTING and not slot.discarded:
                    await self._act(Retry(slot.spec.id, counted), reason)
            case _Request():
                await self._answer(item)
            case _:
                assert_never(item)

    async def _answer(self, request: _Request) -> None:
        try:
            result = await request.run()
        except Exception as exc:
            _fail(request.reply, exc)
            if isinstance(exc, StartFailed) and isinstance(exc.reason, Escalate):
                raise Stop(exc.reason) from None
        except BaseException:
            _fail(request.reply, NoProc(self))
            raise
        else:
            if not request.reply.done():
                request.reply.set_result(result)

    async def _on_exit(self, child: Child, reason: Reason) -> None:
        slot = child.slot
        assert isinstance(slot, Slot)
        if slot.child is not child:
            # It was stopped together with a sibling before its own end got its turn.
            return

        tree = self.tree_context
        slot.note_lifetime(tree.clock() - child.started_at)
        if is_reported(slot.spec.restart, reason):
            tree.reporter.terminated(self.name, slot, reason)

        slot.vacate(reason)
        await self._act(Exited(slot.spec.id, reason), reason)

    async def _act(self, event: Event, reason: Reason) -> None:
        flags = self.flags
        views = [slot.view() for slot in self._slots.values()]
        for action in plan(flags.strategy, flags.auto_shutdown, views, event):
            await self._do(action, reason, due=isinstance(event, Retry))

    async def _do(self, action: Action, reason: Reason, *, due: bool) -> None:
        match action:
            case Attempt(id):
                self._count_attempt(self._slot(id), reason)
            case StopChildren(ids):
                for id in ids:
                    await self._stop_child(self._slot(id))
            case Remove(ids):
                for id in ids:
                    self._remove(id)
            case Start(ids, cause):
                await self._start_again(ids, self._slot(cause), reason, due=due)
            case Halt(why):
                raise Stop(why)
            case _:
                assert_never(action)

    def _count_attempt(self, slot: Slot, reason: Reason) -> None:
        tree = self.tree_context
        assert self._intensity is not None
        if self._intensity.add(tree.clock()):
            return

        tree.reporter.exceeded(self.name, slot, reason)
        self._remove(slot.spec.id)
        error = MaxRestartsExceeded(
            self.name, slot.spec.id, self.flags.intensity, self.flags.period
        )
        error.__cause__ = cause_of(reason)
        raise Stop(Shutdown(error))

    async def _start_again(
        self, ids: tuple[object, ...], cause: Slot, reason: Reason, *, due: bool
    ) -> None:
        delay = 0.0 if due else cause.next_delay()
        if delay > 0:
            cause.schedule(delay, lambda: self._post(_Due(cause, reason, counted=True)))
            return

        for id in ids:
            slot = self._slot(id)
            failure = failure_of(await self._launch(slot))
            if failure is not None:
                self._try_again(slot, failure)
                return

    def _try_again(self, slot: Slot, reason: Reason) -> None:
        if isinstance(reason, Escalate):
            raise Stop(reason)

        delay = slot.next_delay()
        slot.schedule(delay, lambda: self._post(_Due(slot, reason, counted=False)))

    async def _launch(self, slot: Slot) -> StartOutcome:
        try:
            child = slot.launch()
        except Exception as exc:
            outcome: StartOutcome = Crash(exc)
        else:
            outcome = await child.wait_started()

        reporter = self.tree_context.reporter
        if outcome == "up":
            reporter.progress(self.name, slot)
        elif outcome == "ignored":
            slot.vacate(Normal())
        else:
            reporter.start_error(self.name, slot, outcome)
            slot.vacate(outcome)

        return outcome

    async def _start_all(self) -> None:
        for spec in self._specs:
            self._slots[spec.id] = Slot(self.tree_context, self, spec)

        for slot in self.slots():
            outcome = await self._launch(slot)
            failure = failure_of(outcome)
            if isinstance(failure, Escalate):
                raise Stop(failure)

            if failure is not None:
                raise StartFailed(slot.spec.id, failure) from cause_of(failure)

            self._keep_spec(slot, outcome)

    async def _stop_all(self) -> None:
        self._stopping = True
        for slot in reversed(self.slots()):
            await self._stop_child(slot)

        while self._inbox:
            item = self._inbox.popleft()
            if isinstance(item, _Request):
                _fail(item.reply, NoProc(self))

        for slot in self._slots.values():
            slot.discard()

        if self._escalation is not None:
            raise Stop(self._escalation)

    async def _stop_child(self, slot: Slot) -> None:
        child = slot.child
        slot.cancel_retry()
        if child is None:
            slot.state = State.UNDEFINED
            return

        if child.alive:
            slot.state = State.STOPPING
            child.stop(slot.shutdown)

        outcome = await self._wait_ended(child)
        reason: Reason = Normal() if outcome == "ignored" else outcome
        if is_shutdown_error(slot.spec.restart, slot.shutdown, reason):
            self.tree_context.reporter.shutdown_error(self.name, slot, reason)

        slot.vacate(reason)
        if isinstance(reason, Escalate):
            self._escalate(reason)

    def _escalate(self, reason: Escalate) -> None:
        if not self._stopping:
            raise Stop(reason)

        self._escalation = reason

    async def _wait_ended(self, child: Child) -> Reason | Ignored:
        while True:
            try:
                return await child.wait_ended()
            except asyncio.CancelledError:
                if not self._stopping:
                    raise

                # The patience with our own stop is over, and so is ours.
                for slot in self._slots.values():
                    if slot.child is not None:
                        slot.child.kill()

    def _remove(self, id: object) -> None:
        self._slots.pop(id).discard()

    async def _start_child(self, spec: ChildSpec) -> Ref[Any] | None:
        check_static(spec, self.flags.auto_shutdown)
        known = self._slots.get(spec.id)
        if known is not None:
            if known.pid is not None:
                raise AlreadyStarted(spec.id, self._ref_to(known))

            raise AlreadyPresent(spec.id)

        slot = self._slots[spec.id] = Slot(self.tree_context, self, spec)
        outcome = await self._launch(slot)
        if failure_of(outcome) is None:
            self._keep_spec(slot, outcome)
        else:
            self._remove(spec.id)

        return self._started(slot, outcome)

    def _keep_spec(self, slot: Slot, outcome: StartOutcome) -> None:
        """Forget a temporary child that ignored its start."""
        if outcome == "ignored" and slot.spec.restart is Restart.TEMPORARY:
            self._remove(slot.spec.id)

    def _started(self, slot: Slot, outcome: StartOutcome) -> Ref[Any] | None:
        if outcome == "up":
            return self._ref_to(slot)

        if outcome == "ignored":
            return None

        raise start_failure(slot.spec.id, outcome)

    def _ref_to(self, slot: Slot) -> Ref[Any]:
        return make_ref(None, slot, lambda: self._slots.get(slot.spec.id))

    async def _terminate_child(self, id: object) -> None:
        slot = self._slot(id)
        await self._stop_child(slot)
        if slot.spec.restart is Restart.TEMPORARY:
            self._remove(id)

    async def _restart_child(self, id: object) -> Ref[Any] | None:
        slot = self._idle_slot(id)
        return self._started(slot, await self._launch(slot))

    async def _delete_child(self, id: object) -> None:
        self._idle_slot(id)
        self._remove(id)

    def _idle_slot(self, id: object) -> Slot:
        slot = self._slot(id)
        if slot.state == State.RESTARTING:
            raise Restarting(id)

        if slot.child is not None:
            raise Running(id)

        return slot


def _fail(reply: asyncio.Future[Any], exc: Exception) -> None:
    if not reply.done():
        reply.set_exception(exc)
