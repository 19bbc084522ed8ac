"""The line of those who wait for the limiter, and the pump that lets them go in their order."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Never

from dspex.errors import EndpointUnavailable, ErrorData, ErrorKind, PoolExhausted

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.clients.limits.meters import Demand
    from dspex.clients.limits.throttle import Throttle

__all__ = ("Line",)

_GRAIN_S: Final = 0.001
"""Waits are rounded up to this: the clock of some loops is no finer."""

_REST_S: Final = 0.002
"""The pump rests at least this long, so that a high rate is granted in batches."""

_LONGEST_REST_S: Final = 60.0
"""And at most this long, so that no rate is too low for a timer."""

_BATCH: Final = 1_000
"""At most this many are granted in one go, so that the end of a pause does not hold up the loop."""


class Line:
    """Waiters in the order they came; one pump lets the first go when the throttle does.

    Bound to one event loop; not thread-safe.

    Args:
        throttle: says who may go.
        undo: takes back a grant whose waiter was cancelled before he learnt of it.
        max_waiting: one more than this is refused.
        name: of the endpoint, for messages.
    """

    __slots__ = ("_nap", "_throttle", "_undo", "_waiters", "max_waiting", "name", "serving")

    def __init__(
        self,
        throttle: Throttle,
        undo: Callable[[Demand], None],
        *,
        max_waiting: int,
        name: str,
    ) -> None:
        self.name = name
        self.max_waiting = max_waiting
        self.serving = False
        self._throttle = throttle
        self._undo = undo
        # Ordered, so that a cancelled waiter leaves from the middle in constant time; and not a
        # dict, whose first key takes longer to find with every key that was taken from its front.
        self._waiters: OrderedDict[asyncio.Future[bool], Demand] = OrderedDict()
        self._nap: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._waiters)

    def __repr__(self) -> str:
        return f"<Line {'serving' if self.serving else 'not served'}, {len(self)} waiting>"

    async def serve(self) -> Never:
        """Grant until cancelled; then everybody in line fails."""
        if self.serving:
            raise RuntimeError(f"{self!r} is served already: one pump for one queue")

        self.serving = True
        try:
            while True:
                await self._sleep(self._grant())
        finally:
            self.serving = False
            self._dismiss()

    async def wait(self, demand: Demand) -> None:
        """Wait to be let go with `demand`.

        Raises:
            EndpointUnavailable: nobody serves the line, or its server died meanwhile.
            PoolExhausted: it is full.
        """
        if not self.serving:
            raise self._not_served()

        if len(self._waiters) >= self.max_waiting:
            raise self._full()

        granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters[granted] = demand
        if len(self._waiters) == 1:
            self.wake()

        try:
            served = await granted
        except asyncio.CancelledError:
            self._leave(granted, demand)
            raise

        if not served:
            raise self._not_served()

    def wake(self) -> None:
        """Let the pump look again: something has changed."""
        if self._nap is not None and not self._nap.done():
            self._nap.set_result(None)

    def _leave(self, granted: asyncio.Future[bool], demand: Demand) -> None:
        # Granted and cancelled in the same turn of the loop: the grant must not be lost.
        self._waiters.pop(granted, None)
        if granted.done() and not granted.cancelled() and granted.result():
            self._undo(demand)

        self.wake()

    def _grant(self) -> float | None:
        """Grant whom it can; return how long to rest, None for until something happens."""
        for _ in range(_BATCH):
            if not self._waiters:
                return None

            granted, demand = next(iter(self._waiters.items()))
            if not granted.cancelled():
                if not self._throttle.take(demand):
                    return self._throttle.wait_s(demand)

                granted.set_result(True)

            del self._waiters[granted]

        return 0.0

    async def _sleep(self, rest_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._nap = loop.create_future()
        timer = None
        if rest_s is not None:
            grains = math.ceil(min(rest_s, _LONGEST_REST_S) / _GRAIN_S)
            timer = loop.call_later(max(_REST_S, grains * _GRAIN_S), self.wake)

        try:
            await self._nap
        finally:
            self._nap = None
            if timer is not None:
                timer.cancel()

    def _dismiss(self) -> None:
        waiters = list(self._waiters)
        self._waiters.clear()
        for granted in waiters:
            if not granted.done():
                granted.set_result(False)

    def _not_served(self) -> EndpointUnavailable:
        return EndpointUnavailable(
            ErrorData(
                ErrorKind.ENDPOINT,
                "not sent: the rate limiter's process is restarting or has ended",
                provider=self.name,
                stage="limiter",
            )
        )

    def _full(self) -> PoolExhausted:
        return PoolExhausted(
            ErrorData(
                ErrorKind.POOL,
                f"not sent: {len(self._waiters)} calls wait for the rate limit already; start "
                f"fewer at a time",
                provider=self.name,
                stage="limiter",
            )
        )
