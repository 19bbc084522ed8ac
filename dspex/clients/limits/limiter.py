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
- A user with a limit of his own waits for it first, so that he is in nobody's way.
- After a pause calls do not all go at once: a `Pace` finds the rate that the provider bears.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Never

from dspex.clients.limits.line import Line
from dspex.clients.limits.meters import Demand, Meters
from dspex.clients.limits.quota import QuotaLease, QuotaStatistics
from dspex.clients.limits.throttle import Throttle

if TYPE_CHECKING:
    from dspex.clients.limits.user_limits import UserLimits
    from dspex.usage import Usage

__all__ = ("RequestLimiter",)

_NO_TOKENS: Final = Demand(1, 0, 0, 0)
"""What most requests take: where tokens are not limited, nobody counts them."""


class RequestLimiter:
    """Grants calls in the order they ask, within the rates that are set and outside of pauses.

    Without rates it only honours pauses. Safe to use from any number of tasks of one event loop, to
    whose clock it binds; not thread-safe.

    Args:
        requests_per_min: None for no limit.
        tokens_per_min: of input and output together; None for no limit.
        input_tokens_per_min: None for no limit.
        output_tokens_per_min: None for no limit.
        users: the limits of each single user, if there are any.
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
        input_tokens_per_min: float | None = None,
        output_tokens_per_min: float | None = None,
        users: UserLimits | None = None,
        burst_s: float = 1.0,
        max_pause_s: float = 60.0,
        max_waiting: int = 100_000,
        name: str = "",
    ) -> None:
        if not (burst_s > 0 and math.isfinite(burst_s)):
            raise ValueError(f"burst_s must be a positive, finite number, got {burst_s!r}")

        self.name = name
        self._meters = Meters(
            {
                "requests": requests_per_min,
                "tokens": tokens_per_min,
                "input_tokens": input_tokens_per_min,
                "output_tokens": output_tokens_per_min,
            },
            burst_s=burst_s,
        )
        self._throttle = Throttle(self._meters, max_pause_s=max_pause_s)
        self._line = Line(self._throttle, self._undo, max_waiting=max_waiting, name=name)
        self._users = users
        self._granted = 0
        self._refunded = 0

    def try_acquire(
        self, *, key: str, tokens: int, output_tokens: int = 0, user: str = ""
    ) -> QuotaLease | None:
        """Return a lease if nobody waits and there is room; about 1 us a bucket."""
        if self._line:
            return None

        users = self._users
        if users is not None and user and not users.ready(user):
            return None

        demand = Demand(1, tokens, tokens - output_tokens, output_tokens) if tokens else _NO_TOKENS
        if not self._throttle.take(demand):
            return None

        if users is not None and user:
            users.take(user, tokens)

        self._granted += 1
        return _Lease(self, demand, user)

    async def acquire(
        self, *, key: str, tokens: int, output_tokens: int = 0, user: str = ""
    ) -> QuotaLease:
        """Wait for the right to send one request.

        Args:
            key: ignored: a limiter of one process serves one endpoint.
            tokens: an estimate of input and output together.
            output_tokens: the output's part of it.
            user: who asks, where each user has limits of his own.

        Raises:
            EndpointUnavailable: nobody serves the queue, or its server died meanwhile.
            PoolExhausted: `max_waiting` callers are waiting already.
        """
        lease = self.try_acquire(key=key, tokens=tokens, output_tokens=output_tokens, user=user)
        if lease is not None:
            return lease

        demand = Demand(1, tokens, tokens - output_tokens, output_tokens)
        if self._users is None or not user:
            await self._line.wait(demand)
        else:
            await self._wait_as(self._users, user, demand)

        self._granted += 1
        return _Lease(self, demand, user)

    def set_max_waiting(self, max_waiting: int) -> None:
        """Let another number wait, from now on."""
        self._line.max_waiting = max_waiting

    async def serve(self) -> Never:
        """Grant waiting calls until cancelled; the body of a supervised child.

        Whoever waits when it ends, for whatever reason, fails with `EndpointUnavailable`.
        """
        await self._line.serve()

    def pause(self, for_s: float, *, limit_per_min: float | None = None) -> None:
        """Grant nothing for `for_s` seconds from now; a pause under way only ever gets longer.

        After it calls go at a pace that is found out, from the limit that the provider named if it
        did. A time that is not positive, or not a number, is ignored; `max_pause_s` caps it.
        """
        self._throttle.pause(for_s, limit_per_min=limit_per_min)

    def refused(self) -> None:
        """Note that a request was refused for its rate."""
        self._throttle.refused()

    def set_rate(
        self,
        *,
        requests_per_min: float | None,
        tokens_per_min: float | None,
        input_tokens_per_min: float | None = None,
        output_tokens_per_min: float | None = None,
    ) -> None:
        """Set every limit anew, for those who wait too; None takes a limit away."""
        self._meters.set_rates(
            {
                "requests": requests_per_min,
                "tokens": tokens_per_min,
                "input_tokens": input_tokens_per_min,
                "output_tokens": output_tokens_per_min,
            }
        )
        self._line.wake()

    def set_users(self, users: UserLimits | None) -> None:
        """Set the limits of single users anew, for those who ask from now on."""
        self._users = users

    def statistics(self) -> QuotaStatistics:
        """Return a snapshot."""
        meters, users = self._meters, self._users
        requests, tokens = meters.bucket("requests"), meters.bucket("tokens")
        asked, answered = meters.bucket("input_tokens"), meters.bucket("output_tokens")
        return QuotaStatistics(
            waiting=len(self._line) + (0 if users is None else users.waiting),
            granted=self._granted,
            refunded=self._refunded,
            pauses=self._throttle.pauses,
            paused_s=self._throttle.pause_left_s(),
            requests_per_min=None if requests is None else requests.per_min,
            tokens_per_min=None if tokens is None else tokens.per_min,
            requests_free=None if requests is None else requests.free,
            tokens_free=None if tokens is None else tokens.free,
            input_tokens_per_min=None if asked is None else asked.per_min,
            output_tokens_per_min=None if answered is None else answered.per_min,
            pace_per_min=self._throttle.pace_per_min,
            users=0 if users is None else len(users),
        )

    def __repr__(self) -> str:
        state = "serving" if self._line.serving else "not served"
        return (
            f"<RequestLimiter {self.name!r} {state}, {len(self._line)} waiting, "
            f"{self._granted} granted>"
        )

    def give_back(self, demand: Demand, user: str) -> None:
        """Take back a grant that was not used; leases call it."""
        self._granted -= 1
        self._refunded += 1
        self._throttle.give_back(demand)
        if self._users is not None and user:
            self._users.give_back(user, demand.tokens)

        if self._line:
            self._line.wake()

    def correct(self, estimate: Demand, used: Demand, user: str) -> None:
        """Charge tokens that were used beyond the estimate, or fewer; leases call it."""
        if self._users is not None and user:
            self._users.correct(user, used.tokens - estimate.tokens)

        if self._meters.correct(estimate, used) and self._line:
            self._line.wake()

    def _undo(self, demand: Demand) -> None:
        self._granted += 1
        self.give_back(demand, "")

    async def _wait_as(self, users: UserLimits, user: str, demand: Demand) -> None:
        await users.wait(user, demand.tokens)
        try:
            if self._line or not self._throttle.take(demand):
                await self._line.wait(demand)
        except BaseException:
            users.give_back(user, demand.tokens)
            raise


class _Lease:
    __slots__ = ("_demand", "_limiter", "_user")

    def __init__(self, limiter: RequestLimiter, demand: Demand, user: str) -> None:
        self._limiter: RequestLimiter | None = limiter
        self._demand = demand
        self._user = user

    def settle(self, usage: Usage) -> None:
        limiter, self._limiter = self._limiter, None
        if limiter is not None and (usage.input_tokens or usage.output_tokens):
            limiter.correct(self._demand, Demand.used(usage), self._user)

    def refund(self) -> None:
        limiter, self._limiter = self._limiter, None
        if limiter is not None:
            limiter.give_back(self._demand, self._user)
