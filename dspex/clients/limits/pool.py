"""A gate in front of the connection pool: at most so many in use, first come, first served.

The HTTP library's own queue can lose a wake-up when a waiter is cancelled in the turn it is woken,
and its general-purpose cousin, `asyncio.Semaphore`, takes quadratic time to cancel many waiters.
Here a freed place is handed to the first waiter directly, so nobody barges in, and a waiter that is
cancelled with a place in its hands passes it on.

The number of places is the least of several ceilings, each set by who knows of it: the connections
that may be open, those that are open so far and may be opened beside them, what the provider bears.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex.errors import ErrorData, ErrorKind, PoolExhausted

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("ConnectionGate", "GateStatistics")


@dataclass(frozen=True, slots=True)
class GateStatistics:
    """One moment of a gate; `limit` is the places there are now, `peak` the most in use at once."""

    limit: int
    in_use: int
    waiting: int
    peak: int


class ConnectionGate:
    """At most `limit` holders at a time; the others wait in the order they came.

    A ceiling that is lowered takes nobody's place: those above it are not given on.

    Safe to use from any number of tasks of one event loop; not thread-safe. How long to wait is the
    caller's matter: cancelling a waiter is cheap and loses no place.

    Args:
        limit: places.
        max_waiting: a caller who would be one more than this is refused with `PoolExhausted`; None
            for no bound.
        name: of the endpoint, for messages.
    """

    __slots__ = ("_ceilings", "_in_use", "_limit", "_peak", "_waiters", "max_waiting", "name")

    def __init__(self, limit: int, *, max_waiting: int | None = None, name: str = "") -> None:
        if limit < 1:
            raise ValueError(f"a gate needs at least 1 place, got limit={limit!r}")

        self.name = name
        self._limit = limit
        self._ceilings = {"": limit}
        self.max_waiting = max_waiting
        self._in_use = 0
        self._peak = 0
        self._waiters: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def limit(self) -> int:
        """How many places there are now."""
        return self._limit

    @property
    def in_use(self) -> int:
        """How many places are taken."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """How many callers wait for one."""
        return len(self._waiters)

    def set_limit(self, limit: int, *, why: str = "") -> None:
        """Set one ceiling, named by `why`, at least 1; the least of all of them holds."""
        self._ceilings[why] = max(1, limit)
        self._apply()

    def lift_limit(self, why: str) -> None:
        """Take the ceiling away that was set for `why`."""
        if self._ceilings.pop(why, None) is not None:
            self._apply()

    def try_acquire(self) -> bool:
        """Take a place if one is free, which implies that nobody waits."""
        if self._in_use >= self._limit:
            return False

        self._in_use += 1
        if self._in_use > self._peak:
            self._peak = self._in_use

        return True

    async def acquire(self) -> None:
        """Take a place, when there is none free after those who came before.

        Raises:
            PoolExhausted: `max_waiting` callers are waiting already.
        """
        if not self.try_acquire():
            await self._wait()

    def release(self) -> None:
        """Give a place back: to the first who waits, or to whoever comes next."""
        if self._in_use < 1:
            raise RuntimeError(f"{self!r} was released more often than it was acquired")

        if self._in_use > self._limit or not self._hand_over():
            self._in_use -= 1

    def statistics(self) -> GateStatistics:
        """Return a snapshot."""
        return GateStatistics(self._limit, self._in_use, len(self._waiters), self._peak)

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return (
            f"<ConnectionGate {self.name!r} {self._in_use} of {self._limit} in use, "
            f"{len(self._waiters)} waiting>"
        )

    def _apply(self) -> None:
        self._limit = min(self._ceilings.values())
        while self._in_use < self._limit and self._hand_over():
            self._in_use += 1
            self._peak = max(self._peak, self._in_use)

    def _hand_over(self) -> bool:
        while self._waiters:
            place, _ = self._waiters.popitem(last=False)
            if not place.done():
                place.set_result(None)
                return True

        return False

    async def _wait(self) -> None:
        if self.max_waiting is not None and len(self._waiters) >= self.max_waiting:
            raise self._full()

        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[place] = None
        try:
            await place
        except asyncio.CancelledError:
            self._waiters.pop(place, None)
            # Handed over and cancelled in the same turn of the loop: the place goes on to the next.
            if not place.cancelled():
                self.release()

            raise

    def _full(self) -> PoolExhausted:
        return PoolExhausted(
            ErrorData(
                ErrorKind.POOL,
                f"not sent: all {self._limit} connections are in use and {len(self._waiters)} "
                f"calls wait for one; raise max_connections or max_waiting, or start fewer calls "
                f"at a time",
                provider=self.name,
                stage="pool",
            )
        )
