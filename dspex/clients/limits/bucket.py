"""A leaky bucket whose level can be corrected: aiolimiter's accounting without its queue."""

from __future__ import annotations

from typing import Final

from aiolimiter import AsyncLimiter

__all__ = ("Bucket",)

_MAX_DEBT_S: Final = 60.0
"""Usage can overfill a bucket by what leaks out in this time and no more: one nonsense figure from
a provider must not stop an endpoint for a day."""


class Bucket(AsyncLimiter):
    """A leaky bucket that can be corrected: amounts given back, charged later, another rate.

    Args:
        per_min: what leaks out in a minute.
        burst: what fits in.
    """

    __slots__ = ()

    def __init__(self, per_min: float, *, burst: float) -> None:
        super().__init__(burst, 60.0 * burst / per_min)

    def take(self, amount: float) -> bool:
        """Add `amount` if it fits in; what is larger than the bucket needs an empty one."""
        if amount > self.max_rate:
            if self.has_capacity(self.max_rate):
                self.charge(amount)
                return True

            return False

        if self.has_capacity(amount):
            self._level += amount
            return True

        return False

    def charge(self, amount: float) -> None:
        """Add `amount` whether it fits or not; a negative amount gives back."""
        self._leak()
        brim = self.max_rate + _MAX_DEBT_S * self._rate_per_sec
        self._level = min(max(0.0, self._level + amount), brim)

    def set_rate(self, per_min: float, *, burst: float) -> None:
        """Change the rate from now on; what is in the bucket stays."""
        self._leak()
        self.max_rate = burst
        self.time_period = 60.0 * burst / per_min
        self._rate_per_sec = per_min / 60.0

    def wait_s(self, amount: float) -> float:
        """Return how long it takes until `amount` fits in."""
        self._leak()
        excess = self._level + min(amount, self.max_rate) - self.max_rate
        return max(0.0, excess / self._rate_per_sec)

    @property
    def per_min(self) -> float:
        """What leaks out in a minute."""
        return self._rate_per_sec * 60.0

    @property
    def free(self) -> float:
        """What fits in now; negative is a debt."""
        self._leak()
        return self.max_rate - self._level
