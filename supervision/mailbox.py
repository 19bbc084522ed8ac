"""The queue in front of an actor: bounded if asked for, stop before system before user messages."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from supervision.errors import MailboxFull

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = (
    "Mailbox",
    "Message",
    "Overflow",
)

Overflow: TypeAlias = Literal["block", "raise", "drop_oldest", "drop_newest"]
"""What a full mailbox does: let callers wait, refuse, or drop a message."""


class Message(Protocol):
    """Something an actor can be sent."""

    @property
    def stale(self) -> bool:
        """Whether nobody waits for the answer any more."""
        ...

    def fail(self, exc: Exception) -> None:
        """Tell whoever waits that there will be no answer."""
        ...


class Mailbox:
    """User messages in the order they came, with system messages and stops before them.

    One reader, which waits on the future it puts in `reader`. Writers that must wait for room do
    so in the order in which they came.
    """

    __slots__ = ("_owner", "_writers", "maxsize", "overflow", "reader", "stops", "system", "user")

    def __init__(self, owner: object, maxsize: int | None, overflow: Overflow) -> None:
        if maxsize is not None and maxsize < 1:
            raise ValueError(f"maxsize is {maxsize!r}; use 1 or more, or None for no bound")

        self._owner = owner
        self.maxsize = maxsize
        self.overflow: Overflow = overflow
        self.stops: deque[Message] = deque()
        self.system: deque[Message] = deque()
        self.user: deque[Message] = deque()
        self.reader: asyncio.Future[None] | None = None
        self._writers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self.user) + len(self.system) + len(self.stops)

    def __repr__(self) -> str:
        return f"<Mailbox {len(self)} of {self.maxsize or 'unlimited'}>"

    @property
    def full(self) -> bool:
        """Whether a user message has no room."""
        return self.maxsize is not None and len(self.user) >= self.maxsize

    def put(self, message: Message) -> bool:
        """Add a user message; False if it was dropped.

        Raises MailboxFull if there is no room and the policy is to raise or to block: whoever
        may wait calls `wait_room` first.
        """
        user = self.user
        if self.maxsize is not None and len(user) >= self.maxsize and not self._make_room():
            return False

        user.append(message)
        # As `wake` does, without the call: this is the way of every message.
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)

        return True

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

    def take(self, *, system_only: bool = False) -> Message | None:
        """Return the next message: stops, then system messages, then, if wanted, the others."""
        urgent = self.stops or self.system
        if urgent:
            return urgent.popleft()

        if system_only or not self.user:
            return None

        message = self.user.popleft()
        if self._writers:
            self._admit()

        return message

    def wake(self) -> None:
        """Wake the reader."""
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)

    def drain(self) -> Iterator[Message]:
        """Take out everything, in no particular order."""
        for queue in (self.stops, self.system, self.user):
            while queue:
                yield queue.popleft()

    def close(self, exc: Exception) -> None:
        """Refuse everybody who waits for room."""
        while self._writers:
            writer = self._writers.popleft()
            if not writer.done():
                writer.set_exception(exc)

    def _make_room(self) -> bool:
        match self.overflow:
            case "drop_oldest":
                self.user.popleft().fail(MailboxFull(self._owner, self.maxsize or 0))
                return True
            case "drop_newest":
                return False
            case _:
                raise MailboxFull(self._owner, self.maxsize or 0)

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
