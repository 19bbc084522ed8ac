"""The supervisor of a fixed list of children, as its users see it."""

from __future__ import annotations

import random as random_module
from typing import TYPE_CHECKING, Any, TypeVar, overload

from supervision.driver import Driver
from supervision.errors import NotFound
from supervision.introspect import draw
from supervision.ref import Ref, SupervisorRef, make_ref
from supervision.root import Nested, Options
from supervision.slot import ChildInfo, Counts, Slot, count
from supervision.spec import AutoShutdown, ChildSpec, Flags, Strategy
from supervision.strategy import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervision.deadline import Deadlines
    from supervision.dynamic import DynamicSupervisor
    from supervision.task import TaskRef, TaskSupervisor
    from supervision.telemetry import Bus

__all__ = ("Supervisor",)

T = TypeVar("T")


class Supervisor(Driver):
    """Start children in order, restart them by `strategy`, stop them in reverse order.

    Use as `async with` for the root of a tree, and `Supervisor.child(...)` as the `start` of a
    ChildSpec for a supervisor under another. Requests are served one after another, as are
    restarts; `which_children`, `count_children` and `tree` never wait. Not thread-safe.
    """

    def __init__(
        self,
        children: Iterable[ChildSpec] = (),
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: int = 3,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
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
            Flags(strategy, intensity=intensity, period=period, auto_shutdown=auto_shutdown),
            tuple(children),
        )

    @classmethod
    def child(
        cls,
        children: Iterable[ChildSpec] = (),
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: int = 3,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        name: str | None = None,
    ) -> Nested:
        """Return the `start` of a ChildSpec for a supervisor with these children and flags."""
        specs = tuple(children)
        return Nested(
            lambda: cls(
                specs,
                strategy=strategy,
                intensity=intensity,
                period=period,
                auto_shutdown=auto_shutdown,
                name=name,
            )
        )

    def __repr__(self) -> str:
        counts = self.count_children()
        return f"<Supervisor {self.name!r}, {counts.active} of {counts.specs} children up>"

    async def start_child(self, spec: ChildSpec) -> Ref[Any] | None:
        """Add a child and start it; None if it ignored the start.

        Raises InvalidSpec, AlreadyStarted, AlreadyPresent or StartFailed, and then nothing
        changed. If the caller is cancelled meanwhile, the child is started nevertheless.
        """
        return await self._request(lambda: self._start_child(spec))

    async def terminate_child(self, child: object) -> None:
        """Stop a child, by its id, and keep its spec unless it is temporary.

        Cancels a pending restart, and a start under way. Fine if it is stopped already; NotFound
        if there is none of that id.
        """
        interrupted = self._interrupt_start(child)
        try:
            await self._request(lambda: self._terminate_child(child))
        except NotFound:
            if not interrupted:
                raise

    async def restart_child(self, child: object) -> Ref[Any] | None:
        """Start a stopped child again, by its id; None if it ignored the start.

        Not counted in the intensity. Raises Running, Restarting, NotFound or StartFailed.
        """
        return await self._request(lambda: self._restart_child(child))

    async def delete_child(self, child: object) -> None:
        """Forget a stopped child, by its id. Raises Running, Restarting or NotFound."""
        await self._request(lambda: self._delete_child(child))

    @overload
    def ref(self, id: object) -> SupervisorRef[Any]: ...

    @overload
    def ref(self, id: object, kind: type[TaskSupervisor]) -> TaskRef: ...

    @overload
    def ref(self, id: object, kind: type[Supervisor | DynamicSupervisor]) -> SupervisorRef[Any]: ...

    @overload
    def ref(self, id: object, kind: type[T]) -> Ref[T]: ...

    def ref(self, id: object, kind: type[Any] | None = None) -> Ref[Any]:
        """Return a ref to a child, by its id; NotFound if there is none.

        `kind` is for the type checker: it says what `info` is.
        """
        return make_ref(kind, self._slot(id), lambda: self._slots.get(id))

    def which_children(self) -> list[ChildInfo]:
        """Return one row per child, in start order."""
        return [slot.row() for slot in self._slots.values()]

    def count_children(self) -> Counts:
        """Count the children."""
        return count(self.which_children())

    def get_childspec(self, id: object) -> ChildSpec:
        """Return the spec of a child with its defaults filled in; NotFound if there is none."""
        return self._slot(id).spec.filled()

    def find_slot(self, id: object) -> Slot | None:
        """Return the place of a child."""
        return self._slots.get(id)

    def tree(self) -> str:
        """Draw the tree from here down, one line per child."""
        return draw(self)

    def _interrupt_start(self, id: object) -> bool:
        """Stop a child that comes up; the driver waits for it and would not see a request."""
        slot = self._slots.get(id)
        if slot is None or slot.state != State.STARTING or slot.child is None:
            return False

        self.refuse_deadlock()
        slot.child.stop(slot.shutdown)
        return True
