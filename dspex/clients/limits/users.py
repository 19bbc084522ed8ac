"""What each user of an endpoint may ask for: one rate, a level for each of them.

The generic cell rate algorithm (ITU-T I.371): of a user only one number is kept, the time at which
all that he has asked for would be worked off at his rate. So a user costs some hundred bytes, who
asks too much is told at once how long to wait, and waits in the order he asked.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ("UserRates",)

_MAX_USERS: Final = 10_000


class UserRates:
    """Amounts per minute for each of many users; pure: time is passed in.

    At most `max_users` are remembered. The one who was quiet for the longest is forgotten first,
    and may then ask for a burst again.

    Args:
        per_min: what one user may have.
        burst_s: how many seconds of it he may have at once after a quiet time.
        max_users: how many are remembered.
    """

    __slots__ = ("_burst_s", "_done_at", "_max_users", "_s_each")

    def __init__(
        self, per_min: float, *, burst_s: float = 1.0, max_users: int = _MAX_USERS
    ) -> None:
        self._s_each = 60.0 / per_min
        self._burst_s = burst_s
        self._max_users = max_users
        self._done_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._done_at)

    def __repr__(self) -> str:
        return f"<UserRates {60.0 / self._s_each:g}/min, {len(self)} users>"

    def wait_s(self, user: str, now: float) -> float:
        """Return how long `user` would have to wait if he asked now."""
        # One may always go when all before it is worked off.
        grace_s = max(0.0, self._burst_s - self._s_each)
        return max(0.0, self._done_at.get(user, now) - grace_s - now)

    def take(self, user: str, amount: float, now: float) -> float:
        """Give `user` the next place for `amount`; return how long to wait for it."""
        wait_s = self.wait_s(user, now)
        self._done_at[user] = max(self._done_at.get(user, now), now) + amount * self._s_each
        self._done_at.move_to_end(user)
        if len(self._done_at) > self._max_users:
            self._done_at.popitem(last=False)

        return wait_s

    def correct(self, user: str, amount: float) -> None:
        """Charge more to `user`, or give back a negative amount."""
        if user in self._done_at:
            self._done_at[user] += amount * self._s_each

    def set_rate(self, per_min: float) -> None:
        """Change the rate from now on; who waits keeps his place."""
        self._s_each = 60.0 / per_min
