"""The queue in front of an actor: bounded if asked for, with stops before everything else."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from supervision.errors import MailboxFull
from supervision.messages import Handler, Request, Stopping, System, fail
from supervision.reasons import Stop

if TYPE_CHECKING:
    from supervision.reasons import Reason

__all__ = (
    "Mailbox",
    "Overflow",
)

Overflow: TypeAlias = Literal["block", "raise", "drop_oldest", "drop_newest"]
"""What a full mailbox does: let callers wait, refuse, or drop a message."""


def _stop(_: object, reason: Reason) -> None:
    raise Stop(reason)


_STOP: Final = Handler("cast", is_async=False, replies=())


class Mailbox:
    """User messages in the order they came, with system messages and stops before them.

    One reader, which waits on the future it puts in `reader`. Writers that must wait for room do
    so in the order in which they came. `user` and `urgent` are open to the actor, which looks at
    them once per message.
    """

    __slots__ = ("_owner", "_writers", "maxsize", "overflow", "reader", "urgent", "user")

    def __init__(self, owner: object, maxsize: int | None, overflow: Overflow) -> None:
        if maxsize is not None and maxsize < 1:
            raise ValueError(f"maxsize is {maxsize!r}; use 1 or more, or None for no bound")

        self._owner = owner
        self.maxsize = maxsize
        self.overflow: Overflow = overflow
        self.urgent: deque[Stopping | System] = deque()
        self.user: deque[Request] = deque()
        self.reader: asyncio.Future[None] | None = None
        self._writers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self.user) + len(self.urgent)

    def __repr__(self) -> str:
        return f"<Mailbox {len(self)} of {self.maxsize or 'unlimited'}>"

    @property
    def full(self) -> bool:
        """Whether a user message has no room."""
        return self.maxsize is not None and len(self.user) >= self.maxsize

    def put(self, message: Request) -> bool:
        """Add a user message; False if it was dropped.

        Raises MailboxFull if there is no room and the policy is to raise or to block: whoever
        may wait calls `wait_room` first.
        """
        if self.full and not self._make_room():
            return False

        self.user.append(message)
        self.wake()
        return True

    def interrupt(self, system: System) -> None:
        """Have `system` run before the next user message."""
        self.urgent.append(system)
        self.wake()

    def stop(self, reason: Reason, *, drain: bool = False) -> None:
        """End the reader: next, or after the messages that are in now."""
        stopping = Stopping(reason)
        if drain:
            self.user.append((_stop, _STOP, (reason,), None))
        elif self.urgent and isinstance(self.urgent[0], Stopping):
            # The first to ask gives the reason.
            self.urgent.append(stopping)
        else:
            self.urgent.appendleft(stopping)

        self.wake()

    async def wait_room(self, loop: asyncio.AbstractEventLoop) -> None:
        """Return when a message has room, under the policy `block`."""
        while self.full and self.overflow == "block":
            writer = loop.create_future()
            self._writers.append(writer)
            try:
                await writer
            except asyncio.CancelledError:
                self._pass_on(writer)
                raise

    def take(self) -> Request:
        """Return the next user message, which makes room for another."""
        message = self.user.popleft()
        self._admit()
        return message

    def wake(self) -> None:
        """Wake the reader."""
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)

    def close(self, exc: Exception) -> None:
        """Refuse everybody who waits for room or for an answer."""
        while self._writers:
            fail(self._writers.popleft(), exc)

        while self.urgent:
            urgent = self.urgent.popleft()
            if isinstance(urgent, System):
                fail(urgent.future, exc)

        while self.user:
            fail(self.user.popleft()[3], exc)

    def _make_room(self) -> bool:
        if self.overflow == "drop_newest":
            return False

        error = MailboxFull(self._owner, self.maxsize or 0)
        if self.overflow != "drop_oldest":
            raise error

        fail(self.user.popleft()[3], error)
        return True

    def _admit(self) -> None:
        while self._writers:
            writer = self._writers.popleft()
            if not writer.done():
                writer.set_result(None)
                return

    def _pass_on(self, writer: asyncio.Future[Any]) -> None:
        # It may have been let in and cancelled in the same turn: the room is the next one's.
        if writer in self._writers:
            self._writers.remove(writer)
        elif writer.done() and not writer.cancelled():
            self._admit()
