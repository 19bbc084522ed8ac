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
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from supervision.child import CURRENT, Child, Service
from supervision.errors import CallingSelf, CallTimeout, MailboxFull, NoProc, ServerDied
from supervision.mailbox import Mailbox, Overflow
from supervision.messages import (
    INLINE,
    MARK,
    Handler,
    Limit,
    Request,
    System,
    as_reply,
    fail,
    handler_of,
)
from supervision.reasons import Crash, Killed, Reason
from supervision.report import LOGGER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = (
    "INLINE_BUDGET",
    "ActorStatistics",
    "Front",
)

R = TypeVar("R")

INLINE_BUDGET: Final = 128
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
    _current: Request | None = None
    _last: Callable[..., Any] | None = None
    _waits_for: Front | None = None
    _closed: Reason | None = None
    _deferred: asyncio.Future[Any] | None = None
    _suspended = _busy = False
    _inlined = _handled = _skipped = 0
    _open: set[asyncio.Future[Any]]
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

    @property
    def process(self) -> Child | None:
        """The incarnation it is; None before its start."""
        return self._child

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
        handler: Handler | None = getattr(method, MARK, None)
        child, mailbox = self._child, self._mailbox
        if handler is None or child is None or mailbox is None or handler.kind != "call":
            raise TypeError(f"{method!r} answers no calls: mark it with @handle.call")

        tree = child.tree
        if get_ident() != tree.thread or not tree.loop.is_running():
            tree.check_loop(self.name)

        reader = mailbox.reader
        if (
            reader is not None
            and handler.is_inline
            and self._current is None
            and not self._busy
            and not reader.done()
        ):
            # Idle, and the handler cannot wait: answer in the caller's turn.
            self._current = INLINE
            try:
                result = child.context.run(method, self, *args)
            except BaseException as exc:
                raise self._inline_error(child, method, handler, exc) from exc

            # The handler may have deferred its answer.
            if self._current is None:  # pyright: ignore[reportUnnecessaryComparison]
                return await self._limited(child, self._take_deferred(), timeout)

            self._current = None
            self._inlined = inlined = self._inlined + 1
            if not inlined % INLINE_BUDGET:
                await asyncio.sleep(0)

            return result

        if mailbox.maxsize is not None or CURRENT.get() is not None or self._closed is not None:
            return await self._ask(child, mailbox, (method, handler, args), timeout)

        # As `_ask` does, without the calls: an open mailbox, and a caller who is no process.
        future = tree.loop.create_future()
        mailbox.user.append((method, handler, args, future))
        if reader is not None and not reader.done():
            reader.set_result(None)

        if timeout is None:
            # A bare future, so that a cancelled caller cancels nothing else.
            return await future

        return await self._limited(child, future, timeout)

    def tell(self, method: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Have `method(*args)` done some time; nobody learns how it went."""
        handler: Handler | None = getattr(method, MARK, None)
        if handler is None or handler.kind == "info":
            raise TypeError(f"{method!r} takes no casts: mark it with @handle.cast")

        self._post((method, handler, args, None))

    def send(self, message: object) -> None:
        """Hand `message` to the method marked with `@handle.info`."""
        method, handler = self._info_handler
        self._post((method, handler, (message,), None))

    def request_stop(self, reason: Reason, *, drain: bool) -> None:
        """End with `reason`; with `drain`, after what is in the mailbox now."""
        self._inbox.stop(reason, drain=drain)

    async def system(self, action: Callable[[Front], R]) -> R:
        """Run `action(self)` between two messages, also while suspended."""
        child = self._child
        if child is None or self._closed is not None:
            raise NoProc(self.name)

        future: asyncio.Future[R] = child.tree.loop.create_future()
        self._inbox.interrupt(System(lambda: action(self), future))
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
        # All of it in the instance: reading the defaults of the class takes several times as long.
        self._busy = self._suspended = False
        self._current = self._deferred = self._closed = self._last = self._waits_for = None
        self._inlined = self._handled = self._skipped = 0
        self._child = child
        self._mailbox = Mailbox(self, self.maxsize, self.overflow)
        self._continues = deque()
        self._open = set()

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

    def _post(self, message: Request) -> None:
        if self._closed is not None:
            return

        mailbox = self._inbox
        if mailbox.maxsize is not None:
            mailbox.put(message)
            return

        mailbox.user.append(message)
        reader = mailbox.reader
        if reader is not None and not reader.done():
            reader.set_result(None)

    async def _ask(
        self,
        child: Child,
        mailbox: Mailbox,
        what: tuple[Callable[..., Any], Handler, tuple[Any, ...]],
        timeout: float | None,
    ) -> Any:
        """Send a request and wait for its answer, and for room if need be; never in a circle."""
        caller = CURRENT.get()
        waiter = None if caller is None else self._refuse_cycle(caller)
        if mailbox.full and mailbox.overflow == "block":
            await self._wait_room(child, timeout)

        # Checked after the wait: who was let in may find that the actor has ended meanwhile.
        if self._closed is not None:
            raise ServerDied(self.name, self._closed)

        future = child.tree.loop.create_future()
        if not mailbox.put((*what, future)):
            raise MailboxFull(self.name, self.maxsize or 0)

        if waiter is None:
            return await self._limited(child, future, timeout)

        waiter._waits_for = self
        try:
            return await self._limited(child, future, timeout)
        finally:
            waiter._waits_for = None

    async def _limited(
        self, child: Child, future: asyncio.Future[Any], timeout: float | None
    ) -> Any:
        """Wait for an answer for so long."""
        if timeout is None or timeout == math.inf:
            return await future

        limit = Limit(future, self, timeout)
        child.tree.deadlines.start(limit, timeout)
        try:
            return await future
        finally:
            limit.cancel()

    def _take_deferred(self) -> asyncio.Future[Any]:
        future, self._deferred = self._deferred, None
        assert future is not None, "an inline handler without a current call has deferred it"
        return future

    def _inline_error(
        self, child: Child, method: Callable[..., Any], handler: Handler, exc: BaseException
    ) -> Exception:
        """Return what the caller of a handler that raised inline gets; crash if it is none."""
        self._last = method
        self._current = self._deferred = None
        return as_reply(handler, exc) or self._crash(child, exc)

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
            fail(current[3], error)

        for future in self._open:
            fail(future, error)

        self._inbox.close(error)
