"""Whether one more request may go now: the rates, a pause, and the pace after it. Never waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dspex.clients.limits.bucket import Bucket
from dspex.clients.limits.pace import Pace

if TYPE_CHECKING:
    from dspex.clients.limits.meters import Demand, Meters

__all__ = ("Throttle",)

_FIRST_PACE_PER_S: Final = 50.0
"""After a wave of refusals, where nothing is known of the provider's limit."""

_PACE_BURST_S: Final = 0.05


class Throttle:
    """Lets requests go within their rates and outside of pauses; bound to its event loop's clock.

    Args:
        meters: the rates that are set.
        max_pause_s: no pause lasts longer, whatever a provider asks for.
    """

    __slots__ = (
        "_bucket",
        "_max_pause_s",
        "_pace",
        "_paused_until",
        "_refusals",
        "_sent",
        "meters",
        "pauses",
    )

    def __init__(self, meters: Meters, *, max_pause_s: float) -> None:
        self.meters = meters
        self.pauses = 0
        self._max_pause_s = max_pause_s
        self._paused_until: float | None = None
        self._pace: Pace | None = None
        self._bucket: Bucket | None = None
        self._sent = 0
        self._refusals = 0

    def __repr__(self) -> str:
        return f"<Throttle {self.pauses} pauses, {self._pace!r}>"

    @property
    def pace_per_min(self) -> float | None:
        """The rate that was found after a pause; None while there is none."""
        return None if self._pace is None else self._pace.per_s * 60.0

    def take(self, demand: Demand) -> bool:
        """Let a request go, if it may."""
        if self._paused_until is not None and self.pause_left_s() > 0:
            return False

        if self._bucket is not None and not self._keep_pace(self._bucket):
            return False

        if not self.meters.take(demand):
            if self._bucket is not None:
                self._bucket.charge(-1)

            return False

        self._sent += 1
        return True

    def give_back(self, demand: Demand) -> None:
        """Undo a `take`: the request was not sent."""
        self._sent -= 1
        self.meters.give_back(demand)
        if self._bucket is not None:
            self._bucket.charge(-1)

    def wait_s(self, demand: Demand) -> float:
        """Return how long it takes until a `take` succeeds."""
        paced_s = 0.0 if self._bucket is None else self._bucket.wait_s(1)
        return max(self.pause_left_s(), paced_s, self.meters.wait_s(demand))

    def refused(self) -> None:
        """Note that a request was refused for its rate."""
        self._refusals += 1

    def pause(self, for_s: float, *, limit_per_min: float | None) -> None:
        """Let nothing go for `for_s` seconds from now, and then a pace of requests.

        A pause under way only ever gets longer. A time that is not positive, or not a number, is
        ignored.
        """
        if not for_s > 0:
            return

        now = asyncio.get_running_loop().time()
        until = now + min(for_s, self._max_pause_s)
        if self._paused_until is None:
            self.pauses += 1

        if self._paused_until is None or until > self._paused_until:
            self._paused_until = until

        if self._pace is None:
            self._set_pace(now, limit_per_min)

    def pause_left_s(self) -> float:
        """Return how long the pause still lasts; 0 outside of one."""
        if self._paused_until is None:
            return 0.0

        now = asyncio.get_running_loop().time()
        left_s = self._paused_until - now
        if left_s > 0:
            return left_s

        self._paused_until = None
        if self._pace is not None:
            self._pace.resume(now, sent=self._sent, refused=self._refusals)

        return 0.0

    def _keep_pace(self, bucket: Bucket) -> bool:
        pace, now = self._pace, asyncio.get_running_loop().time()
        assert pace is not None, "a pace has its bucket and a bucket its pace"
        if pace.advance(now, sent=self._sent, refused=self._refusals):
            _set_per_s(bucket, pace.per_s)
        elif pace.over(now):
            self._pace = self._bucket = None
            return True

        return bucket.take(1)

    def _set_pace(self, now: float, limit_per_min: float | None) -> None:
        requests = self.meters.bucket("requests")
        own_per_min = None if requests is None else requests.per_min
        known = [per_min for per_min in (limit_per_min, own_per_min) if per_min]
        per_s = min(known) / 60.0 if known else _FIRST_PACE_PER_S
        self._pace = Pace(per_s, now=now, sent=self._sent, refused=self._refusals)
        self._bucket = Bucket(60.0, burst=1.0)
        _set_per_s(self._bucket, self._pace.per_s)


def _set_per_s(bucket: Bucket, per_s: float) -> None:
    bucket.set_rate(per_s * 60.0, burst=max(1.0, per_s * _PACE_BURST_S))
