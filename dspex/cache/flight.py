"""Single flight: of equal calls under way, one asks and the others wait for its answer.

No task is made: the leader asks in its own task. A leader that leaves without an answer that holds
for everybody (it was cancelled, or its own deadline struck) hands over to the first follower still
waiting; a cancelled follower just leaves.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ("Flights",)

T = TypeVar("T")


class _Lead:
    """Handed to a follower: the leader is gone, ask yourself."""


_LEAD = _Lead()


class Flights(Generic[T]):
    """The calls under way, by key. Bound to one event loop; not thread-safe.

    Who may `lead` asks, and then must `land` the answer or `fail`; everybody else `follow`s. These
    are steps and not one call around the asking, which would be a frame more in every call.

    Args:
        shared: tells whether an error of the leader holds for its followers too; if not, the next
            follower asks again.
    """

    __slots__ = ("_shared", "_waiting")

    def __init__(self, shared: Callable[[Exception], bool]) -> None:
        self._shared = shared
        # A leader alone has no queue: most flights have no followers, and a deque weighs 600 bytes.
        self._waiting: dict[str, deque[asyncio.Future[T | _Lead]] | None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __repr__(self) -> str:
        followers = sum(len(queue) for queue in self._waiting.values() if queue)
        return f"<Flights {len(self)} under way, {followers} following>"

    def lead(self, key: str) -> bool:
        """Tell whether nobody asks for `key` yet. If so the caller must: then `land` or `fail`."""
        if key in self._waiting:
            return False

        self._waiting[key] = None
        return True

    async def follow(self, key: str) -> T | None:
        """Wait for the leader's answer; None makes the caller the leader."""
        answer = await self._follow(key)
        return None if isinstance(answer, _Lead) else answer

    def land(self, key: str, answer: T) -> None:
        """Give the leader's answer to all who wait."""
        for follower in self._waiting.pop(key) or ():
            if not follower.done():
                follower.set_result(answer)

    def fail(self, key: str, exc: BaseException, *, own: bool = False) -> None:
        """Give the leader's error to all who wait, or the lead to the next if it was its `own`."""
        if not own and isinstance(exc, Exception) and self._shared(exc):
            _fail(self._waiting.pop(key) or (), exc)
        else:
            self._hand_over(key)

    async def _follow(self, key: str) -> T | _Lead:
        place: asyncio.Future[T | _Lead] = asyncio.get_running_loop().create_future()
        waiting = self._waiting[key]
        if waiting is None:
            waiting = self._waiting[key] = deque()

        waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if _told_to_lead(place):  # in the same turn in which it was cancelled
                self._hand_over(key)

            raise

    def _hand_over(self, key: str) -> None:
        waiting = self._waiting[key]
        while waiting:
            follower = waiting.popleft()
            if not follower.done():
                follower.set_result(_LEAD)
                return

        del self._waiting[key]


def _told_to_lead(place: asyncio.Future[T | _Lead]) -> bool:
    if not place.done() or place.cancelled() or place.exception() is not None:
        return False

    return isinstance(place.result(), _Lead)


def _fail(waiting: Iterable[asyncio.Future[T | _Lead]], exc: Exception) -> None:
    for follower in waiting:
        if not follower.done():
            # One copy each: a shared exception would collect the frames of every follower.
            own = copy.copy(exc)
            own.__cause__ = exc
            follower.set_exception(own)
            follower.exception()  # marks it as seen: a follower cancelled meanwhile never looks
