"""The root of a tree: a supervisor used as an async context manager, and its host task.

The root supervisor lives in a task of its own, like any child. If it ends while the block still
runs, the host task is cancelled once, so that nobody sits on a dead tree, and uncancelled where
the block ends. (Before CPython 3.13 `uncancel` does not take back a cancellation that was not yet
delivered; it is therefore received here, at the end of the block, if need be.)
"""

from __future__ import annotations

import asyncio
import math
import random as random_module
import warnings
from dataclasses import KW_ONLY, dataclass
from threading import get_ident
from typing import TYPE_CHECKING, ClassVar, Self

from supervision.child import CURRENT, Child, Ignored, Service
from supervision.errors import CallingSelf, NoProc
from supervision.reasons import Crash, Escalate, Reason, Shutdown
from supervision.report import Offender
from supervision.slot import Slot
from supervision.spawn import orphans
from supervision.spec import ChildSpec, ChildType, Restart
from supervision.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from supervision.deadline import Deadlines
    from supervision.telemetry import Bus

__all__ = (
    "Nested",
    "Options",
    "RootedService",
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the root of a tree may be given; below the root only `name` means anything."""

    _: KW_ONLY
    name: str | None = None
    telemetry: Bus | None = None
    clock: Callable[[], float] | None = None
    random: Callable[[], float] = random_module.random
    deadlines: Deadlines | None = None

    def tree(self) -> Tree:
        """Return a new tree in the running loop; in debug mode it looks for orphans."""
        tree = Tree(
            telemetry=self.telemetry,
            clock=self.clock,
            random=self.random,
            deadlines=self.deadlines,
        )
        if tree.loop.get_debug():
            tree.find_orphans = orphans

        return tree


@dataclass(frozen=True, slots=True)
class Nested:
    """A supervisor as a child: makes a new one for each start."""

    child_type: ClassVar[ChildType] = "supervisor"

    make: Callable[[], Service]

    def __call__(self) -> Service:
        """Return a supervisor that was never started."""
        return self.make()


class RootedService(Service):
    """A supervisor, either the root of a tree (`async with`) or a child in one."""

    child_type: ClassVar[ChildType] = "supervisor"

    def __init__(self, options: Options) -> None:
        self._options = options
        self._host: _Host | None = None
        self._tree: Tree | None = None
        self.name = options.name or type(self).__name__
        self.process: Child | None = None

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        """Warn when a root was entered and never left."""
        host: _Host | None = getattr(self, "_host", None)
        if host is not None:
            warn(f"{self.name!r} was never stopped; use async with", ResourceWarning, source=self)

    async def __aenter__(self) -> Self:
        if self._tree is not None:
            raise RuntimeError(f"{self.name!r} was started before; make a new one for each start")

        host = _Host(self, self._options)
        await host.enter()
        self._host = host
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        # Not plain `bool`, from which type checkers would conclude that any error may vanish here.
        host, self._host = self._host, None
        return host is not None and await host.leave(exc)

    @property
    def tree_context(self) -> Tree:
        """What this supervisor shares with all others of its tree."""
        if self._tree is None:
            raise NoProc(self)

        return self._tree

    @property
    def telemetry(self) -> Bus:
        """The event bus of the tree."""
        return self.tree_context.telemetry

    @property
    def deadlines(self) -> Deadlines:
        """The shared timers of the tree."""
        return self.tree_context.deadlines

    @property
    def alive(self) -> bool:
        """Whether it is up or coming up."""
        return self.process is not None and self.process.alive

    @property
    def zombies(self) -> tuple[Offender, ...]:
        """What refused to end in this tree, was given up, and has not ended since."""
        return tuple(zombie.offender() for zombie in self.tree_context.zombies)

    @property
    def exit_reason(self) -> Reason | None:
        """Why it ended; None before that."""
        outcome = None if self.process is None else self.process.outcome
        return None if outcome == "ignored" else outcome

    def adopt(self, child: Child) -> None:
        """Take a place in the tree of `child`, the incarnation this supervisor is."""
        self._tree = child.tree
        self.process = child
        if self._options.name is None and isinstance(child.slot, Slot):
            self.name = f"{child.owner.name}/{child.slot.spec.id}"

    def offender(self) -> Offender:
        """Return what reports say of the root."""
        return Offender(
            id=self.name,
            pid=None if self.process is None else self.process.pid,
            start=type(self).__name__,
            restart_type=Restart.TEMPORARY,
            child_type=self.child_type,
            shutdown=math.inf,
            significant=False,
            generation=1,
        )

    def refuse_deadlock(self) -> None:
        """Raise if the caller cannot be answered: other loop, not alive, or started by us."""
        tree = self.tree_context
        if get_ident() != tree.thread or not tree.loop.is_running():
            tree.check_loop(self.name)

        if not self.alive:
            raise NoProc(self)

        caller = CURRENT.get()
        while caller is not None:
            if not caller.up and caller.alive and caller.owner.process is self.process:
                raise CallingSelf(self)

            caller = caller.owner.process


class _Host:
    """The task that entered the block, as the owner of the root."""

    def __init__(self, service: RootedService, options: Options) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a supervisor needs a task to run in; use async with in a coroutine")

        self.name = "host"
        self.process: Child | None = None
        self._task: asyncio.Task[object] = task
        self._cancelling = task.cancelling()
        self._cancelled_it = False
        self._inside = False
        self._tree = options.tree()
        self._owns_deadlines = options.deadlines is None
        self._service = service
        self._root = Child(self._tree, self, service)

    def child_ready(self, child: Child) -> None:
        """Let the block begin."""

    def child_ended(self, child: Child, reason: Reason) -> None:
        """Cancel the host if it is still in the block."""
        if self._inside:
            self._cancelled_it = True
            self._task.cancel()

    def child_abandoned(self, child: Child) -> None:
        """Nothing is above the root to report to."""

    async def enter(self) -> None:
        """Start the root; raise what it failed with."""
        self._root.launch(ChildSpec(self._service.name, lambda: self._service))
        try:
            outcome = await self._root.wait_started()
        except asyncio.CancelledError:
            await self._stop(cancels=1)
            self._close()
            raise

        if outcome == "up":
            self._inside = True
            if not self._root.alive:
                # It ended between becoming ready and this; the block is to learn of it.
                self.child_ended(self._root, Shutdown())

            return

        self._close()
        _raise(outcome)
        raise NoProc(self._service)

    async def leave(self, exc: BaseException | None) -> bool:
        """Stop the root; raise what it died of; return whether `exc` was our own doing."""
        self._inside = False
        interrupted = await self._stop(cancels=1 if self._is_foreign(exc) else 0)
        ours = self._cancelled_it and isinstance(exc, asyncio.CancelledError)
        if self._cancelled_it:
            if not ours:
                interrupted = await _receive_cancel() or interrupted

            ours = self._task.uncancel() <= self._cancelling

        self._close()
        if self._root.outcome is not None:
            _raise(self._root.outcome)

        cancelled = isinstance(exc, asyncio.CancelledError)
        if interrupted is not None and not cancelled and not ours:
            raise interrupted

        return ours and cancelled

    def _is_foreign(self, exc: BaseException | None) -> bool:
        return isinstance(exc, asyncio.CancelledError) and not self._cancelled_it

    async def _stop(self, *, cancels: int) -> asyncio.CancelledError | None:
        """Stop the root in good order; the second cancellation of the host ends the patience."""
        interrupted: asyncio.CancelledError | None = None
        self._root.stop(math.inf)
        while self._root.alive:
            try:
                await self._root.wait_ended()
            except asyncio.CancelledError as exc:
                interrupted = exc
                cancels += 1
                if cancels > 1:
                    self._root.kill()

        return interrupted

    def _close(self) -> None:
        if self._owns_deadlines:
            self._tree.deadlines.close()


async def _receive_cancel() -> asyncio.CancelledError | None:
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError as exc:
        return exc

    return None


def _raise(outcome: Reason | Ignored) -> None:
    """Raise what the root died of, if it is more than a shutdown."""
    match outcome:
        case Escalate(exc) | Crash(exc):
            raise exc
        case Shutdown(BaseException() as exc):
            raise exc
        case _:
            return
