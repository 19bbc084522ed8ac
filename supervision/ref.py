"""How others hold a child: by its place, which survives restarts, never by the incarnation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, TypeVarTuple, cast, overload

from supervision.actor import Actor
from supervision.child import CURRENT, Child
from supervision.errors import CallingSelf, CallTimeout, NoProc, NotFound, ServerDied
from supervision.monitor import Down, Monitor
from supervision.reasons import Normal, Reason, cause_of
from supervision.root import RootedService
from supervision.slot import ABSENT, ChildInfo, Counts, Slot
from supervision.within import Within

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable, Coroutine

    from supervision.dynamic import DynamicSupervisor
    from supervision.front import ActorStatistics
    from supervision.spec import ChildSpec
    from supervision.strategy import State
    from supervision.supervisor import Supervisor
    from supervision.task import TaskRef, TaskSupervisor

__all__ = (
    "Ref",
    "Supervising",
    "SupervisorRef",
    "make_ref",
)

T = TypeVar("T")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Supervising(Protocol):
    """What a ref to a supervisor forwards."""

    async def start_child(self, spec: ChildSpec) -> Ref[Any] | None:
        """Start a child; None if it ignored the start."""
        ...

    async def terminate_child(self, child: object) -> None:
        """Stop a child."""
        ...

    async def restart_child(self, child: object) -> Ref[Any] | None:
        """Start a stopped child again."""
        ...

    async def delete_child(self, child: object) -> None:
        """Forget a stopped child."""
        ...

    def which_children(self) -> list[ChildInfo]:
        """Return one row per child."""
        ...

    def count_children(self) -> Counts:
        """Count the children."""
        ...

    def find_slot(self, id: object) -> Slot | None:
        """Return the place of a child."""
        ...


class Ref(Generic[T]):
    """A child's place in its supervisor.

    Cheap to make and to use; holds no resource. Valid for as long as the supervisor has a child
    of that id, and, if it was taken from the ref of a nested supervisor, also beyond a restart of
    that supervisor.
    """

    __slots__ = ("_find", "_parent", "_slot")

    def __init__(
        self,
        slot: Slot,
        find: Callable[[], Slot | None] | None = None,
        parent: Ref[Any] | None = None,
    ) -> None:
        self._slot = slot
        self._find = find
        self._parent = parent

    def __repr__(self) -> str:
        return f"<Ref {self._slot!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and self.slot is other.slot

    def __hash__(self) -> int:
        # Equal refs have equal ids; the slot itself may be replaced in the life of a ref.
        return hash(self.id)

    @property
    def id(self) -> object:
        """The id of the child."""
        return self._slot.spec.id

    @property
    def slot(self) -> Slot:
        """The place itself."""
        if self._slot.discarded and self._find is not None:
            self._slot = self._find() or self._slot

        return self._slot

    @property
    def info(self) -> T:
        """What the running incarnation passed to `ready`; for an Actor or a supervisor, itself.

        Raises NoProc while it does not run. Costs one look: made for hot paths.
        """
        info = self._slot.info
        if info is ABSENT:
            info = self._look_again()

        return cast("T", info)

    @property
    def pid(self) -> int:
        """The number of the running incarnation, unique in the tree; NoProc if none runs."""
        return self._current().pid

    @property
    def state(self) -> State:
        """Where the child stands."""
        return self._slot.state if self._slot.discarded else self.slot.state

    async def wait_ready(self, timeout: float | None = None) -> T:
        """Return `info` as soon as the child is up.

        Raises CallTimeout after `timeout` seconds (None: no limit), and NoProc if the child or
        its supervisor is gone for good.
        """
        info = self._slot.info
        if info is not ABSENT:
            return cast("T", info)

        block = self._slot.tree.deadlines.timeout(timeout)
        try:
            with block:
                await self._wait_up()
        except TimeoutError:
            if block.expired and timeout is not None:
                raise CallTimeout(self, timeout) from None

            raise

        return self.info

    def monitor(self, handler: Callable[[Down], object]) -> Monitor:
        """Call `handler` with a Down when the running incarnation ends.

        It is called once, in the event loop; soon and with reason NoProc if none runs.
        """
        monitor = Monitor(self, handler)
        child = self.slot.child
        if child is None:
            self._slot.tree.loop.call_soon(monitor.fire, None, NoProc(self))
        else:
            child.watch(monitor)

        return monitor

    async def wait_ended(self) -> Down:
        """Return when the running incarnation ends, with how it did."""
        ended: asyncio.Future[Down] = self._slot.tree.loop.create_future()

        def end(down: Down) -> None:
            if not ended.done():
                ended.set_result(down)

        monitor = self.monitor(end)
        try:
            return await ended
        finally:
            monitor.demonitor()

    @overload
    def call(
        self,
        method: Callable[[T, *Ts], Coroutine[Any, Any, R]],
        *args: *Ts,
        timeout: float | None = 5.0,
        wait_restart: float = 0.0,
        propagate: bool = False,
    ) -> Coroutine[Any, Any, R]: ...

    @overload
    def call(
        self,
        method: Callable[[T, *Ts], R],
        *args: *Ts,
        timeout: float | None = 5.0,
        wait_restart: float = 0.0,
        propagate: bool = False,
    ) -> Coroutine[Any, Any, R]: ...

    def call(
        self,
        method: Callable[[T, *Ts], Any],
        *args: *Ts,
        timeout: float | None = 5.0,
        wait_restart: float = 0.0,
        propagate: bool = False,
    ) -> Coroutine[Any, Any, Any]:
        """Have the actor run its `method(*args)` and return what it returns.

        Raises CallTimeout after `timeout` seconds (None: no limit; the actor goes on), ServerDied
        at once when the actor ends before it answered, NoProc if none runs (after having waited
        up to `wait_restart` seconds for one), CallingSelf where it would wait for itself,
        MailboxFull, and what the handler gives as an answer. With `propagate` the handler sees a
        copy of the caller's context variables in place of the actor's.
        """
        if propagate:
            method = cast("Callable[[T, *Ts], Any]", Within(method))

        info = self._slot.info
        if isinstance(info, Actor):
            # Not a coroutine function, to spare a frame per call.
            return info.request(method, args, timeout)

        return self._call_later(method, args, timeout, wait_restart)

    def cast(self, method: Callable[[T, *Ts], object], *args: *Ts, propagate: bool = False) -> None:
        """Have the actor run its `method(*args)` some time; no effect if none runs.

        Never waits; raises MailboxFull if the mailbox is full and nothing may be dropped. With
        `propagate` the handler sees a copy of the caller's context variables.
        """
        if propagate:
            method = cast("Callable[[T, *Ts], Any]", Within(method))

        info = self._slot.info
        actor = info if isinstance(info, Actor) else self._actor_or_none()
        if actor is not None:
            actor.tell(method, args)

    def send(self, message: object) -> None:
        """Hand `message` to the actor's `@handle.info` method; no effect if none runs."""
        actor = self._actor_or_none()
        if actor is not None:
            actor.send(message)

    def call_threadsafe(
        self, method: Callable[..., Any], *args: Any, timeout: float | None = 5.0
    ) -> concurrent.futures.Future[Any]:
        """Do as `call` does, from another thread."""
        return asyncio.run_coroutine_threadsafe(
            self._call_later(method, args, timeout, 0.0), self._slot.tree.loop
        )

    def cast_threadsafe(self, method: Callable[[T, *Ts], object], *args: *Ts) -> None:
        """Do as `cast` does, from another thread."""
        self._slot.tree.loop.call_soon_threadsafe(self.cast, method, *args)

    async def stop(
        self, reason: Reason | None = None, *, timeout: float | None = None, drain: bool = False
    ) -> None:
        """End the actor with `reason` (default Normal) and wait for it.

        With `drain` it handles its mailbox first. Raises NoProc if none runs, CallTimeout after
        `timeout` seconds, and ServerDied if it ended with another reason.
        """
        wanted = Normal() if reason is None else reason
        actor = self._actor()
        if self._current() is CURRENT.get():
            raise CallingSelf(self)

        actor.request_stop(wanted, drain=drain)
        block = self._slot.tree.deadlines.timeout(timeout)
        try:
            with block:
                down = await self.wait_ended()
        except TimeoutError:
            if block.expired and timeout is not None:
                raise CallTimeout(self, timeout) from None

            raise

        if down.reason != wanted:
            raise ServerDied(self, down.reason) from cause_of(down.reason)

    async def get_state(self) -> dict[str, object]:
        """Return the actor's state, as its `format_status` shows it."""
        return await self._actor().system(lambda actor: actor.format_status())

    async def replace_state(self, change: Callable[[dict[str, object]], dict[str, object]]) -> None:
        """Set the actor's public attributes to what `change` makes of them; none if it raises."""
        await self._actor().system(lambda actor: actor.replace_state(change))

    async def suspend(self) -> None:
        """Let the actor leave messages in its mailbox until `resume`."""
        await self._actor().system(lambda actor: actor.suspend())

    async def resume(self) -> None:
        """Let the actor handle messages again."""
        await self._actor().system(lambda actor: actor.resume())

    def statistics(self) -> ActorStatistics:
        """Return what the actor has done and has to do."""
        return self._actor().statistics()

    async def _call_later(
        self,
        method: Callable[..., Any],
        args: tuple[Any, ...],
        timeout: float | None,
        wait_restart: float,
    ) -> Any:
        if wait_restart > 0:
            try:
                await self.wait_ready(wait_restart)
            except CallTimeout:
                raise NoProc(self) from None

        return await self._actor().request(method, args, timeout)

    def _actor(self) -> Actor:
        info = self.info
        if not isinstance(info, Actor):
            raise TypeError(f"{self!r} is not an actor and takes no messages")

        return info

    def _actor_or_none(self) -> Actor | None:
        try:
            return self._actor()
        except NoProc:
            return None

    def _look_again(self) -> object:
        try:
            info = self.slot.info
        except NoProc as exc:
            raise NoProc(self) from exc

        if info is ABSENT:
            raise NoProc(self)

        return info

    def _current(self) -> Child:
        return self.slot.current()

    async def _wait_up(self) -> None:
        while True:
            try:
                self._look_again()
            except NoProc:
                await self._wait_chance()
            else:
                return

    async def _wait_chance(self) -> None:
        """Return when it makes sense to look again; raise NoProc if it never will."""
        if not self._slot.discarded:
            await self._slot.wait_change()
            return

        if self._parent is None:
            raise NoProc(self)

        await self._parent._wait_up()
        if self.slot.discarded:
            raise NoProc(self)


class SupervisorRef(Ref[T]):
    """A ref that also forwards the requests about children; TypeError if it is no supervisor."""

    __slots__ = ()

    @overload
    def ref(self, id: object) -> SupervisorRef[Any]: ...

    @overload
    def ref(self, id: object, kind: type[TaskSupervisor]) -> TaskRef: ...

    @overload
    def ref(self, id: object, kind: type[Supervisor | DynamicSupervisor]) -> SupervisorRef[Any]: ...

    @overload
    def ref(self, id: object, kind: type[T]) -> Ref[T]: ...

    def ref(self, id: object, kind: type[Any] | None = None) -> Ref[Any]:
        """Return a ref to a child of this supervisor; NotFound if it has none of that id."""
        slot = self._supervisor().find_slot(id)
        if slot is None:
            raise NotFound(id)

        return make_ref(kind, slot, lambda: self._supervisor().find_slot(id), self)

    async def start_child(self, spec: ChildSpec) -> Ref[Any] | None:
        """Start a child under this supervisor."""
        return await self._supervisor().start_child(spec)

    async def terminate_child(self, child: object) -> None:
        """Stop a child of this supervisor."""
        await self._supervisor().terminate_child(child)

    async def restart_child(self, child: object) -> Ref[Any] | None:
        """Start a stopped child of this supervisor again."""
        return await self._supervisor().restart_child(child)

    async def delete_child(self, child: object) -> None:
        """Forget a stopped child of this supervisor."""
        await self._supervisor().delete_child(child)

    def which_children(self) -> list[ChildInfo]:
        """Return one row per child of this supervisor."""
        return self._supervisor().which_children()

    def count_children(self) -> Counts:
        """Count the children of this supervisor."""
        return self._supervisor().count_children()

    def _supervisor(self) -> Supervising:
        info = self.info
        if not isinstance(info, RootedService):
            raise TypeError(f"{self!r} is not a supervisor and has no children")

        return cast("Supervising", info)


def make_ref(
    kind: type[Any] | None,
    slot: Slot,
    find: Callable[[], Slot | None] | None = None,
    parent: Ref[Any] | None = None,
) -> Ref[Any]:
    """Return the kind of ref that suits children of class `kind`."""
    make: type[Ref[Any]] = getattr(kind, "ref_class", SupervisorRef)
    return make(slot, find, parent)
