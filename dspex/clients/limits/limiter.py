"""Requests and tokens per minute: a first-in first-out queue over aiolimiter's leaky buckets.

aiolimiter keeps the level of a bucket right; its own queue is not used. That one lets small amounts
overtake large ones for ever, lets newcomers barge in, and fires timers below a millisecond, which
spin on loops whose clock is coarser. Here callers wait in the order they came and one pump grants.

- A call that finds nobody waiting and room in the buckets goes on without touching the pump.
- The pump, `serve`, is the body of a supervised child. While it does not run, a call that would
  have to wait fails at once with `EndpointUnavailable`, and so does everyone who was waiting: a
  retry meets the next incarnation, and nobody hangs on a dead one.
- A bucket holds a few seconds of rate, not a minute of it: a full minute's burst followed by the
  steady rate would be twice the limit in the first minute.
- A request larger than the bucket goes when the bucket is empty, and those behind it wait longer.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Never

from dspex.clients.limits.bucket import Bucket
from dspex.clients.limits.quota import QuotaLease, QuotaStatistics
from dspex.errors import EndpointUnavailable, ErrorData, ErrorKind, PoolExhausted

if TYPE_CHECKING:
    from dspex.usage import Usage

__all__ = ("RequestLimiter",)

_GRAIN_S: Final = 0.001
"""Waits are rounded up to this: the clock of some loops is no finer."""

_REST_S: Final = 0.002
"""The pump rests at least this long, so that a high rate is granted in batches."""

_LONGEST_REST_S: Final = 60.0
"""And at most this long, so that no rate is too low for a timer."""

_BATCH: Final = 1_000
"""At most this many are granted in one go, so that the end of a pause does not hold up the loop."""


class RequestLimiter:
    """Grants calls in the order they ask, within the rates that are set and outside of pauses.

    Without rates it only honours pauses. Safe to use from any number of tasks of one event loop, to
    whose clock it binds; not thread-safe.

    Args:
        requests_per_min: None for no limit.
        tokens_per_min: None for no limit.
        burst_s: how many seconds of rate may go at once after a quiet time; one request always may.
        max_pause_s: no pause lasts longer, whatever a provider asks for.
        max_waiting: a caller who would be one more than this is refused with `PoolExhausted`.
        name: of the endpoint, for messages.
    """

    def __init__(
        self,
        *,
        requests_per_min: float | None = None,
        tokens_per_min: float | None = None,
        burst_s: float = 1.0,
        max_pause_s: float = 60.0,
        max_waiting: int = 100_000,
        name: str = "",
    ) -> None:
        self.name = name
        self._burst_s = _positive("burst_s", burst_s)
        self._max_pause_s = max_pause_s
        self._max_waiting = max_waiting
        self._requests: Bucket | None = None
        self._tokens: Bucket | None = None
        # Ordered, so that a cancelled waiter leaves from the middle in constant time; and not a
        # dict, whose first key takes longer to find with every key that was taken from its front.
        self._waiters: OrderedDict[asyncio.Future[bool], int] = OrderedDict()
        self._paused_until: float | None = None
        self._serving = False
        self._nap: asyncio.Future[None] | None = None
        self._granted = 0
        self._refunded = 0
        self._pauses = 0
        self.set_rate(requests_per_min=requests_per_min, tokens_per_min=tokens_per_min)

    def try_acquire(self, *, key: str, tokens: int) -> QuotaLease | None:
        """Return a lease if nobody waits and there is room; about 1 us a bucket."""
        if self._waiters or not self._take(tokens):
            return None

        self._granted += 1
        return _Lease(self, tokens)

    async def acquire(self, *, key: str, tokens: int) -> QuotaLease:
        """Wait for the right to send one request.

        Args:
            key: ignored: a limiter of one process serves one endpoint and model.
            tokens: an estimate of input and output together.

        Raises:
            EndpointUnavailable: nobody serves the queue, or its server died meanwhile.
            PoolExhausted: `max_waiting` callers are waiting already.
        """
        lease = self.try_acquire(key=key, tokens=tokens)
        if lease is not None:
            return lease

        await self._wait(tokens)
        self._granted += 1
        return _Lease(self, tokens)

    async def serve(self) -> Never:
        """Grant waiting calls until cancelled; the body of a supervised child.

        Whoever waits when it ends, for whatever reason, fails with `EndpointUnavailable`.
        """
        if self._serving:
            raise RuntimeError(f"{self!r} is served already: one pump for one queue")

        self._serving = True
        try:
            while True:
                await self._sleep(self._grant())
        finally:
            self._serving = False
            self._dismiss()

    def pause(self, for_s: float) -> None:
        """Grant nothing for `for_s` seconds from now; a pause under way only ever gets longer.

        A time that is not positive, or not a number, is ignored; `max_pause_s` caps it.
        """
        if not for_s > 0:
            return

        until = asyncio.get_running_loop().time() + min(for_s, self._max_pause_s)
        if self._paused_until is None or until > self._paused_until:
            self._paused_until = until
            self._pauses += 1

    def set_rate(self, *, requests_per_min: float | None, tokens_per_min: float | None) -> None:
        """Set both limits anew, for those who wait too; None takes a limit away."""
        for name, per_min in (
            ("requests_per_min", requests_per_min),
            ("tokens_per_min", tokens_per_min),
        ):
            if per_min is not None:
                _positive(name, per_min)

        self._requests = self._adjust(self._requests, requests_per_min)
        self._tokens = self._adjust(self._tokens, tokens_per_min)
        self._wake()

    def statistics(self) -> QuotaStatistics:
        """Return a snapshot; call it on the loop whose clock the limiter uses."""
        requests, tokens = self._requests, self._tokens
        return QuotaStatistics(
            waiting=len(self._waiters),
            granted=self._granted,
            refunded=self._refunded,
            pauses=self._pauses,
            paused_s=self._pause_left_s(),
            requests_per_min=None if requests is None else requests.per_min,
            tokens_per_min=None if tokens is None else tokens.per_min,
            requests_free=None if requests is None else requests.free,
            tokens_free=None if tokens is None else tokens.free,
        )

    def __repr__(self) -> str:
        state = "serving" if self._serving else "not served"
        return (
            f"<RequestLimiter {self.name!r} {state}, {len(self._waiters)} waiting, "
            f"{self._granted} granted>"
        )

    def _take(self, tokens: int) -> bool:
        if self._paused_until is not None and self._pause_left_s() > 0:
            return False

        if self._tokens is not None and not self._tokens.take(tokens):
            return False

        if self._requests is not None and not self._requests.take(1):
            if self._tokens is not None:
                self._tokens.charge(-tokens)

            return False

        return True

    def give_back(self, tokens: int) -> None:
        """Take back a grant that was not used; leases call it."""
        self._granted -= 1
        self._refunded += 1
        if self._requests is not None:
            self._requests.charge(-1)

        self.correct(-tokens)

    def correct(self, tokens: int) -> None:
        """Charge tokens that were used beyond the estimate, or fewer; leases call it."""
        if self._tokens is not None and tokens:
            self._tokens.charge(tokens)

        if self._waiters:
            self._wake()

    async def _wait(self, tokens: int) -> None:
        if not self._serving:
            raise self._not_served()

        if len(self._waiters) >= self._max_waiting:
            raise PoolExhausted(
                ErrorData(
                    ErrorKind.POOL,
                    f"not sent: {self._max_waiting} calls wait for the rate limit already; start "
                    f"fewer at a time",
                    provider=self.name,
                    stage="limiter",
                )
            )

        granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters[granted] = tokens
        if len(self._waiters) == 1:
            self._wake()

        try:
            served = await granted
        except asyncio.CancelledError:
            self._leave(granted, tokens)
            raise

        if not served:
            raise self._not_served()

    def _leave(self, granted: asyncio.Future[bool], tokens: int) -> None:
        # Granted and cancelled in the same turn of the loop: the grant must not be lost.
        self._waiters.pop(granted, None)
        if granted.done() and not granted.cancelled() and granted.result():
            self._granted += 1
            self.give_back(tokens)

        self._wake()

    def _grant(self) -> float | None:
        """Grant whom it can; return how long to rest, None for until something happens."""
        for _ in range(_BATCH):
            if not self._waiters:
                return None

            granted, tokens = next(iter(self._waiters.items()))
            if not granted.cancelled():
                if not self._take(tokens):
                    return self._wait_s(tokens)

                granted.set_result(True)

            del self._waiters[granted]

        return 0.0

    def _wait_s(self, tokens: int) -> float:
        waits = [self._pause_left_s()]
        if self._requests is not None:
            waits.append(self._requests.wait_s(1))

        if self._tokens is not None:
            waits.append(self._tokens.wait_s(tokens))

        return max(waits)

    async def _sleep(self, rest_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._nap = loop.create_future()
        timer = None
        if rest_s is not None:
            grains = math.ceil(min(rest_s, _LONGEST_REST_S) / _GRAIN_S)
            timer = loop.call_later(max(_REST_S, grains * _GRAIN_S), self._wake)

        try:
            await self._nap
        finally:
            self._nap = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._nap is not None and not self._nap.done():
            self._nap.set_result(None)

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

    def _pause_left_s(self) -> float:
        if self._paused_until is None:
            return 0.0

        left_s = self._paused_until - asyncio.get_running_loop().time()
        if left_s <= 0:
            self._paused_until = None
            return 0.0

        return left_s

    def _adjust(self, bucket: Bucket | None, per_min: float | None) -> Bucket | None:
        if per_min is None:
            return None

        burst = max(1.0, per_min / 60.0 * self._burst_s)
        if bucket is None:
            return Bucket(per_min, burst=burst)

        bucket.set_rate(per_min, burst=burst)
        return bucket


class _Lease:
    __slots__ = ("_limiter", "_tokens")

    def __init__(self, limiter: RequestLimiter, tokens: int) -> None:
        self._limiter: RequestLimiter | None = limiter
        self._tokens = tokens

    def settle(self, usage: Usage) -> None:
        limiter, self._limiter = self._limiter, None
        used = usage.input_tokens + usage.output_tokens
        if limiter is not None and used:
            limiter.correct(used - self._tokens)

    def refund(self) -> None:
        limiter, self._limiter = self._limiter, None
        if limiter is not None:
            limiter.give_back(self._tokens)


def _positive(name: str, value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a positive, finite number, got {value!r}")

    return value
