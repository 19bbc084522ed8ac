"""How many restarts a supervisor may make before it gives up."""

from __future__ import annotations

from collections import deque

__all__ = ("Intensity",)


class Intensity:
    """Allow at most `limit` restart attempts in any `period` seconds (sliding, inclusive).

    Pure: the caller passes the time. An attempt costs O(1); memory is `limit` + 1 floats.
    Source: OTP's supervisor, `add_restart`, with float seconds in place of whole ones.
    """

    __slots__ = ("_attempts", "limit", "period")

    def __init__(self, limit: int, period: float) -> None:
        self.limit = limit
        self.period = period
        self._attempts: deque[float] = deque(maxlen=limit + 1)

    def __repr__(self) -> str:
        return f"<Intensity {len(self._attempts)} of {self.limit} in {self.period:g} s>"

    def add(self, now: float) -> bool:
        """Record an attempt at `now`; return whether it is allowed."""
        # With `limit` + 1 places the oldest entry is the one that decides: if even that one
        # lies within the period, the window holds more than `limit` attempts.
        self._attempts.append(now)
        return len(self._attempts) <= self.limit or now - self._attempts[0] > self.period

    def count(self, now: float) -> int:
        """Return how many attempts the window holds at `now`."""
        return sum(now - attempt <= self.period for attempt in self._attempts)
