"""A process with a state and a mailbox: one message at a time, in the order they came.

An actor lives in one task: `init`, then messages, then `terminate`. A handler that raises ends it,
whoever waits for an answer is told at once, and its supervisor starts a new one from `init`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from supervision.errors import NoProc
from supervision.front import Front
from supervision.messages import ReplyTo, Request, Stopping, as_reply, fail
from supervision.reasons import Crash, Killed, Normal, Reason, Stop
from supervision.report import LOGGER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from supervision.child import Child
    from supervision.mailbox import Mailbox

__all__ = (
    "MESSAGE_BUDGET",
    "Actor",
)

R = TypeVar("R")

MESSAGE_BUDGET: Final = 128
"""How many messages an actor handles before the event loop gets its turn."""


class Actor(Front):
    """A process with a state; derive from it, mark methods with `handle`, start by a ChildSpec.

    The constructor gets the spec's args and must be cheap; resources belong in `init`. All
    methods below run in the actor's task, except plain (not async) call handlers, which run at
    once in the caller's turn when the actor is idle.
    """

    idle_timeout: float | None = None
    """Seconds without a message after which `idle` is called; may be set at any time."""
    skip_cancelled: ClassVar[bool] = True
    """Whether calls are skipped whose caller has given up before their turn came."""

    async def init(self) -> None:
        """Open what the actor needs. Its start waits for this."""

    async def terminate(self, reason: Reason) -> None:
        """Close it. Runs at every end after `init` but an end without grace."""

    async def idle(self) -> None:
        """Do something after `idle_timeout` seconds without a message."""

    def continue_(self, method: Callable[..., Any], *args: Any) -> None:
        """Run `method(*args)` after this handler and before any further message."""
        self._continues.append((method, args))
        self._inbox.wake()

    def defer(self) -> ReplyTo[Any]:
        """Answer the call being handled later; what the handler returns is then ignored."""
        child, current = self._child, self._current
        if child is None or current is None:
            raise RuntimeError("there is no call to answer later: use defer() in a call handler")

        if current[1].kind != "call":
            raise RuntimeError("a cast has no answer: use defer() in a call handler")

        self._current = None
        future = current[3]
        if future is None:
            # It is being answered inline, where nothing of this is made in advance.
            future = self._deferred = child.tree.loop.create_future()

        return ReplyTo(future, self._open)

    def stop(self, reason: Reason | None = None) -> None:
        """End with `reason` (default Normal) after this handler; its answer is still given."""
        self._inbox.stop(Normal() if reason is None else reason)

    def spawn(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        """Run `work` in a task that ends with the actor; if it crashes, so does the actor."""
        child = self._child
        if child is None:
            work.close()
            raise NoProc(self.name)

        return child.spawn(work)

    async def serve(self, child: Child) -> None:
        """Live: init, messages, terminate."""
        self._set_up(child)
        try:
            await self.init()
            child.ready(self)
            await self._loop(child, self._inbox)
        except BaseException as exc:
            outcome = child.reason_for(exc)
            await self._finish(child, Normal() if outcome == "ignored" else outcome)
            raise

    async def _loop(self, child: Child, mailbox: Mailbox) -> None:
        """Take what is most urgent, one at a time, and sleep when there is nothing."""
        continues, urgent, user = self._continues, mailbox.urgent, mailbox.user
        take = user.popleft if mailbox.maxsize is None else mailbox.take
        create_future = child.tree.loop.create_future
        budget = MESSAGE_BUDGET
        while True:
            if continues or urgent:
                await self._attend(mailbox)
            elif user and not self._suspended:
                # Written out rather than called: this is the way of every message.
                self._current = message = take()
                method, handler, args, future = message
                if future is not None and future.done() and self.skip_cancelled:
                    self._skipped += 1
                else:
                    self._handled += 1
                    self._last = method
                    try:
                        result = method(self, *args)
                        if handler.is_async:
                            result = await result

                        # A handler that defers its answer leaves no current message.
                        deferred = self._current is None  # pyright: ignore[reportUnnecessaryComparison]
                        if future is not None and not deferred and not future.done():
                            future.set_result(result)

                    except Exception as exc:
                        self._fail(message, exc)

                self._current = None
            elif self.idle_timeout is None:
                mailbox.reader = create_future()
                try:
                    await mailbox.reader
                finally:
                    mailbox.reader = None

                budget = MESSAGE_BUDGET
            else:
                await self._wait(child, mailbox, self.idle_timeout)

            budget -= 1
            if not budget:
                budget = MESSAGE_BUDGET
                await asyncio.sleep(0)

    async def _attend(self, mailbox: Mailbox) -> None:
        """Do what comes before messages: what a handler left to be done, then requests to us."""
        if not self._continues:
            urgent = mailbox.urgent.popleft()
            if isinstance(urgent, Stopping):
                raise Stop(urgent.reason)

            urgent.run()
            return

        method, args = self._continues.popleft()
        result = method(*args)
        if inspect.isawaitable(result):
            await result

    async def _wait(self, child: Child, mailbox: Mailbox, timeout: float) -> None:
        """Sleep, but call `idle` when that lasts too long."""
        mailbox.reader = child.tree.loop.create_future()
        timer = child.tree.deadlines.after(timeout, mailbox.wake)
        try:
            await mailbox.reader
        finally:
            mailbox.reader = None
            expired = not timer.pending
            timer.cancel()

        if expired and not mailbox and not self._continues:
            await self.idle()

    def _fail(self, message: Request, exc: Exception) -> None:
        """Answer with the error if it is an answer; else let it end the actor."""
        error = as_reply(message[1], exc)
        if error is None:
            # The message stays the current one: its caller is told the reason, once it is known.
            raise exc

        fail(message[3], error)

    async def _finish(self, child: Child, reason: Reason) -> None:
        """Answer everybody, report, and run `terminate`, unless it never got through `init`."""
        self._close(reason)
        if not child.up:
            return

        if not reason.is_normal and not isinstance(reason, Killed):
            self._report(reason)

        await child.end_spawned()
        if not child.killed:
            await self.terminate(reason)

    def _report(self, reason: Reason) -> None:
        logger = logging.getLogger(LOGGER_NAME)
        if not logger.isEnabledFor(logging.ERROR):
            return

        last = getattr(self._last, "__name__", None)
        extra = {"reason": reason, "last_message": last, "state": self.format_status()}
        exc = reason.exc if isinstance(reason, Crash) else None
        logger.error("actor %s crashed: %s", self.name, reason, extra=extra, exc_info=exc)
