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
from supervision.messages import INLINE, Call, ReplyTo, Stopping, System, as_reply
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
        if self._child is None or (self._current is None and not self._inlining):
            raise RuntimeError("there is no call to answer later: use defer() in a call handler")

        if self._current is None:
            # It is being answered inline, where nothing of this is made in advance.
            future = self._child.tree.loop.create_future()
            self._current = Call(type(self).defer, INLINE, (), future)

        if self._current.handler.kind != "call":
            raise RuntimeError("a cast has no answer: use defer() in a call handler")

        self._deferred = True
        return ReplyTo(self._current, self._open)

    def stop(self, reason: Reason | None = None) -> None:
        """End with `reason` (default Normal) after this handler; its answer is still given."""
        self._inbox.stops.append(Stopping(Normal() if reason is None else reason))
        self._inbox.wake()

    def spawn(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        """Run `work` in a task that ends with the actor; if it crashes, so does the actor."""
        child = self._child
        if child is None or not child.alive:
            work.close()
            raise NoProc(self.name)

        task = child.tree.loop.create_task(work, context=child.context.copy())
        self._spawned.add(task)
        task.add_done_callback(self._spawned_ended)
        return task

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
        budget = MESSAGE_BUDGET
        while True:
            if self._continues:
                await self._continue()
                continue

            message = mailbox.take(system_only=self._suspended)
            if message is None:
                await self._wait(child, mailbox)
                budget = MESSAGE_BUDGET
                continue

            if not isinstance(message, Call):
                self._control(message)
            elif self.skip_cancelled and message.stale:
                self._skipped += 1
            elif message.handler.is_async:
                await self._handle(message)
            else:
                self._handle_plain(message)

            budget -= 1
            if not budget:
                budget = MESSAGE_BUDGET
                await asyncio.sleep(0)

    async def _wait(self, child: Child, mailbox: Mailbox) -> None:
        mailbox.reader = child.tree.loop.create_future()
        timeout = self.idle_timeout
        if timeout is None:
            try:
                await mailbox.reader
            finally:
                mailbox.reader = None

            return

        timer = child.tree.deadlines.after(timeout, mailbox.wake)
        try:
            await mailbox.reader
        finally:
            mailbox.reader = None
            expired = not timer.pending
            timer.cancel()

        if expired and not mailbox and not self._continues:
            await self.idle()

    async def _continue(self) -> None:
        method, args = self._continues.popleft()
        result = method(*args)
        if inspect.isawaitable(result):
            await result

    async def _handle(self, call: Call) -> None:
        self._begin(call)
        try:
            result = await call.method(self, *call.args)
        except Exception as exc:
            self._fail(call, exc)
        else:
            if not self._deferred:
                call.answer(result)

            self._current = None

    def _handle_plain(self, call: Call) -> None:
        self._begin(call)
        try:
            result = call.method(self, *call.args)
        except Exception as exc:
            self._fail(call, exc)
        else:
            if not self._deferred:
                call.answer(result)

            self._current = None

    def _begin(self, call: Call) -> None:
        self._handled += 1
        self._current = call
        self._last = call.method
        self._deferred = False

    def _fail(self, call: Call, exc: Exception) -> None:
        """Answer with the error if it is an answer; else let it end the actor."""
        error = as_reply(call.handler, exc)
        if error is None:
            # The call stays the current one: its caller is told the reason, once it is known.
            raise exc

        self._current = None
        call.fail(error)

    def _control(self, message: object) -> None:
        if isinstance(message, Stopping):
            raise Stop(message.reason)

        if isinstance(message, System):
            message.run()

    async def _finish(self, child: Child, reason: Reason) -> None:
        """Answer everybody, report, and run `terminate`, unless it never got through `init`."""
        self._close(reason)
        if not child.up:
            return

        if not reason.is_normal and not isinstance(reason, Killed):
            self._report(reason)

        for task in self._spawned:
            task.cancel()

        if self._spawned:
            await asyncio.wait(self._spawned)

        if not child.killed:
            await self.terminate(reason)

    def _spawned_ended(self, task: asyncio.Task[Any]) -> None:
        self._spawned.discard(task)
        exc = None if task.cancelled() else task.exception()
        if exc is not None and self._child is not None:
            self._child.exit(Crash(exc))

    def _report(self, reason: Reason) -> None:
        logger = logging.getLogger(LOGGER_NAME)
        if not logger.isEnabledFor(logging.ERROR):
            return

        last = getattr(self._last, "__name__", None)
        extra = {"reason": reason, "last_message": last, "state": self.format_status()}
        exc = reason.exc if isinstance(reason, Crash) else None
        logger.error("actor %s crashed: %s", self.name, reason, extra=extra, exc_info=exc)
