"""The limits of single users, and the waiting for them."""

from __future__ import annotations

import asyncio

from dspex.clients.limits.users import UserRates

__all__ = ("UserLimits",)


class UserLimits:
    """Requests and tokens per minute for each of many users.

    Who asks too much takes his next place and sleeps until it has come, so that he holds up nobody
    else and is served in the order he asked. Bound to one event loop; not thread-safe.

    Args:
        requests_per_min: of one user; None for no limit.
        tokens_per_min: of one user; None for no limit.
    """

    __slots__ = ("_requests", "_tokens", "waiting")

    def __init__(
        self, *, requests_per_min: float | None = None, tokens_per_min: float | None = None
    ) -> None:
        self._requests = None if requests_per_min is None else UserRates(requests_per_min)
        self._tokens = None if tokens_per_min is None else UserRates(tokens_per_min)
        self.waiting = 0

    def __len__(self) -> int:
        return max(len(rates or ()) for rates in (self._requests, self._tokens))

    def __repr__(self) -> str:
        return f"<UserLimits {self._requests!r} {self._tokens!r}>"

    def ready(self, user: str) -> bool:
        """Tell whether `user` need not wait."""
        now = asyncio.get_running_loop().time()
        return all(
            rates is None or rates.wait_s(user, now) == 0.0
            for rates in (self._requests, self._tokens)
        )

    def take(self, user: str, tokens: int) -> float:
        """Give `user` the next place; return how long to wait for it."""
        now = asyncio.get_running_loop().time()
        waits = [0.0]
        if self._requests is not None:
            waits.append(self._requests.take(user, 1, now))

        if self._tokens is not None:
            waits.append(self._tokens.take(user, tokens, now))

        return max(waits)

    async def wait(self, user: str, tokens: int) -> None:
        """Take the next place of `user` and wait for it; a cancelled wait gives it back."""
        wait_s = self.take(user, tokens)
        if wait_s <= 0:
            return

        self.waiting += 1
        try:
            await asyncio.sleep(wait_s)
        except BaseException:
            self.give_back(user, tokens)
            raise
        finally:
            self.waiting -= 1

    def give_back(self, user: str, tokens: int) -> None:
        """Return a place that was not used."""
        if self._requests is not None:
            self._requests.correct(user, -1)

        self.correct(user, -tokens)

    def correct(self, user: str, tokens: int) -> None:
        """Charge tokens that were used beyond the estimate, or give back."""
        if self._tokens is not None:
            self._tokens.correct(user, tokens)
