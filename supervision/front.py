"""The front of an actor: what refs to it use, in the task of whoever asks.

A request becomes a message, unless the actor is idle and its handler is plain: then the answer is
worked out here and now, in the actor's context, which spares two turns of the event loop.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from supervision.child import CURRENT, Child, Service
from supervision.errors import CallingSelf, CallTimeout, MailboxFull, NoProc, ServerDied
from supervision.mailbox import Mailbox, Overflow
from supervision.messages import Call, Handler, Stopping, System, as_reply, handler_of
from supervision.reasons import Crash, Killed, Reason
from supervision.report import LOGGER_NAME

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from supervision.deadline import Deadlines

__all__ = (
    "INLINE_BUDGET",
    "ActorStatistics",
    "Front",
)

R = TypeVar("R")

INLINE_BUDGET: Final = 64
"""How many calls in a row are answered without a turn of the event loop."""


def _log_unhandled(actor: Front, message: object) -> None:
    logging.getLogger(LOGGER_NAME).warning("%s got an unexpected message: %r", actor.name, message)


@dataclass(frozen=True, slots=True)
class ActorStatistics:
    """What an actor has done and has to do."""

    handled: int
    inlined: int
    skipped: int
    queued: int
    suspended: bool


class Front(Service):
    """The side of an actor that others see; the actor itself derives from it."""

    maxsize: ClassVar[int | None] = None
    """How many user messages may wait; None: no bound."""
    overflow: ClassVar[Overflow] = "block"
    """What happens when more come: callers wait (casts raise MailboxFull), or see Overflow."""

    _info_handler: ClassVar[tuple[Callable[..., Any], Handler]] = (
        _log_unhandled,
        Handler("info", is_async=False, replies=()),
    )
    _child: Child | None = None
    _mailbox: Mailbox | None = None
    _current: Call | None = None
    _last: Callable[..., Any] | None = None
    _waits_for: Front | None = None
    _closed: Reason | None = None
    _deferred = _suspended = _busy = _inlining = False
    _inlined = _handled = _skipped = 0
    _open: set[Call]
    _spawned: set[asyncio.Task[Any]]
    _continues: deque[tuple[Callable[..., Any], tuple[Any, ...]]]

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Find the handler of plain messages."""
        super().__init_subclass__(**kwargs)
        for name in dir(cls):
            method = inspect.getattr_static(cls, name)
            handler = handler_of(method)
            if isinstance(handler, Handler) and handler.kind == "info":
                cls._info_handler = (method, handler)

    @property
    def name(self) -> str:
        """How reports call it."""
        child = self._child
        return type(self).__name__ if child is None else repr(child.slot)

    def format_status(self) -> dict[str, object]:
        """Return the state for reports and `get_state`; override to hide secrets."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def abandoned(self) -> None:
        """Tell everybody who waits that no answer will come."""
        self._close(Killed())

    def statistics(self) -> ActorStatistics:
        """Return what it has done and has to do."""
        return ActorStatistics(
            handled=self._handled,
            inlined=self._inlined,
            skipped=self._skipped,
            queued=len(self._inbox),
            suspended=self._suspended,
        )

    async def request(
        self, method: Callable[..., Any], args: tuple[Any, ...], timeout: float | None
    ) -> Any:
        """Have `method(*args)` done between two messages, and return what it returns."""
        handler = handler_of(method)
        child = self._child
        mailbox = self._mailbox
        if handler is None or handler.kind != "call" or child is None or mailbox is None:
            raise TypeError(f"{method!r} answers no calls: mark it with @handle.call")

        loop = child.tree.loop
        if asyncio.get_running_loop() is not loop:
            raise RuntimeError(f"{self.name} lives in another event loop; use call_threadsafe")

        reader = mailbox.reader
        if handler.is_plain and reader is not None and not reader.done() and not self._busy:
            # Idle, and the handler cannot wait: answer in the caller's turn.
            result = self._inline(child, method, handler, args)
            if self._deferred and self._current is not None:
                call, self._current = self._current, None
                return await self._answer_to(child, call, timeout)

            if not self._inlined % INLINE_BUDGET:
                await asyncio.sleep(0)

            return result

        caller = CURRENT.get()
        waiter = None if caller is None else self._refuse_cycle(caller)
        if self._closed is not None:
            raise ServerDied(self.name, self._closed)

        if mailbox.full and mailbox.overflow == "block":
            await self._wait_room(child, timeout)

        call = Call(method, handler, args, loop.create_future())
        if not mailbox.put(call):
            raise MailboxFull(self.name, self.maxsize or 0)

        if waiter is None:
            return await self._answer_to(child, call, timeout)

        waiter._waits_for = self
        try:
            return await self._answer_to(child, call, timeout)
        finally:
            waiter._waits_for = None

    def tell(self, method: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Have `method(*args)` done some time; nobody learns how it went."""
        handler = handler_of(method)
        if handler is None or handler.kind == "info":
            raise TypeError(f"{method!r} takes no casts: mark it with @handle.cast")

        if self._closed is None:
            self._inbox.put(Call(method, handler, args))

    def send(self, message: object) -> None:
        """Hand `message` to the method marked with `@handle.info`."""
        if self._closed is None:
            method, handler = self._info_handler
            self._inbox.put(Call(method, handler, (message,)))

    def request_stop(self, reason: Reason, *, drain: bool) -> None:
        """End with `reason`; with `drain`, after what is in the mailbox now."""
        queue = self._inbox.user if drain else self._inbox.stops
        queue.append(Stopping(reason))
        self._inbox.wake()

    async def system(self, action: Callable[[Front], R]) -> R:
        """Run `action(self)` between two messages, also while suspended."""
        child = self._child
        if child is None or self._closed is not None:
            raise NoProc(self.name)

        future: asyncio.Future[R] = child.tree.loop.create_future()
        self._inbox.system.append(System(lambda: action(self), future))
        self._inbox.wake()
        return await future

    def suspend(self) -> None:
        """Leave user messages in the mailbox until `resume`. For use by `system`."""
        self._suspended = self._busy = True

    def resume(self) -> None:
        """Handle user messages again. For use by `system`."""
        self._suspended = self._busy = False
        self._inbox.wake()

    def replace_state(self, change: Callable[[dict[str, object]], dict[str, object]]) -> None:
        """Set the public attributes to what `change` makes of them; nothing if it raises."""
        public = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        changed = change(dict(public))
        for name in public.keys() - changed.keys():
            delattr(self, name)

        vars(self).update(changed)

    def _set_up(self, child: Child) -> None:
        self._child = child
        self._mailbox = Mailbox(self, self.maxsize, self.overflow)
        self._continues = deque()
        self._open = set()
        self._spawned = set()

    def _refuse_cycle(self, caller: Child) -> Front | None:
        """Return the actor that calls, if one does; raise if it would wait for itself."""
        service = caller.service
        if not isinstance(service, Front) or asyncio.current_task() is not caller.task:
            return None

        waiting: Front | None = self
        while waiting is not None:
            if waiting is service:
                raise CallingSelf(self.name)

            waiting = waiting._waits_for

        return service

    def _inline(
        self, child: Child, method: Callable[..., Any], handler: Handler, args: tuple[Any, ...]
    ) -> Any:
        """Run a plain handler in the actor's context."""
        self._inlined += 1
        self._last = method
        self._deferred = False
        self._busy = self._inlining = True
        try:
            result = child.context.run(method, self, *args)
        except BaseException as exc:
            error = as_reply(handler, exc) or self._crash(child, exc)
            self._current = None
            raise error from exc
        finally:
            self._inlining = False
            self._busy = self._suspended or self._closed is not None

        return result

    def _crash(self, child: Child, exc: BaseException) -> ServerDied:
        outcome = child.reason_for(exc)
        reason: Reason = Crash(exc) if outcome == "ignored" else outcome
        self._close(reason)
        child.exit(reason)
        return ServerDied(self.name, reason)

    async def _wait_room(self, child: Child, timeout: float | None) -> None:
        block = child.tree.deadlines.timeout(timeout)
        try:
            with block:
                await self._inbox.wait_room(child.tree.loop)
        except TimeoutError:
            if block.expired and timeout is not None:
                raise CallTimeout(self.name, timeout) from None

            raise

    def _answer_to(self, child: Child, call: Call, timeout: float | None) -> Awaitable[Any]:
        """Return what to await: a bare future, so that a cancelled caller cancels nothing else."""
        assert call.future is not None, "somebody waits for a call"
        if timeout is None or timeout == math.inf:
            return call.future

        return _limited(call, self, child.tree.deadlines, timeout)

    @property
    def _inbox(self) -> Mailbox:
        if self._mailbox is None:
            raise NoProc(self.name)

        return self._mailbox

    def _close(self, reason: Reason) -> None:
        """Refuse what comes and fail what waits, once."""
        if self._closed is not None:
            return

        self._closed = reason
        self._busy = True
        error = ServerDied(self.name, reason)
        current, self._current = self._current, None
        if current is not None:
            current.fail(error)

        for call in self._open:
            call.fail(error)

        self._inbox.close(error)
        for message in self._inbox.drain():
            message.fail(error)


async def _limited(call: Call, target: Front, deadlines: Deadlines, timeout: float) -> Any:
    assert call.future is not None, "somebody waits for a call"
    call.target = target
    call.timeout = timeout
    deadlines.start(call, timeout)
    try:
        return await call.future
    finally:
        call.cancel()
