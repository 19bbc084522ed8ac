"""Budgets: what a run may use, drawn from before anything is sent.

A call sets aside the most it can use and settles with what it really used, so that ten thousand
calls at once cannot overshoot together. Where there is no room only because of what calls under
way have set aside, a call waits in line for it; where there never will be, it ends.

Purses nest: the run's inside the job's inside the day's. A call draws from all of them or from
none. The purse is asked through `BudgetSource`; this one lives in this process.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from dspex.clients.limits.account import Account
from dspex.errors import BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.usage import Usage

__all__ = ("Budget", "BudgetStatistics", "LocalBudget")

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper bounds; None means unbounded.

    `tokens` counts input and output together. `usd` is exact: give a Decimal or a string where a
    float is not. `wall_s` runs from the first call, or from the start of the `dspex.budget` block;
    when it is up, no call starts and those under way end.
    """

    _: KW_ONLY
    usd: Decimal | float | str | None = None
    tokens: int | None = None
    calls: int | None = None
    wall_s: float | None = None

    def __post_init__(self) -> None:
        if self.usd is not None:
            object.__setattr__(self, "usd", _exact(self.usd))

        for name in ("usd", "tokens", "calls", "wall_s"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"budget {name} must be 0 or more, got {value!r}")

    @property
    def limited(self) -> frozenset[str]:
        """The names of the bounds that are set."""
        names = ("usd", "tokens", "calls", "wall_s")
        return frozenset(name for name in names if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True)
class BudgetStatistics:
    """One moment of a purse: what was used, and what calls under way have set aside.

    `used_usd` is None once a price was not known, which a bound on dollars rules out. `left_s` is
    None without a wall time, and all of it until the first call.
    """

    budget: Budget
    _: KW_ONLY
    used_calls: int
    used_tokens: int
    reserved_calls: int
    reserved_tokens: int
    used_usd: Decimal | None = _ZERO
    reserved_usd: Decimal = _ZERO
    waiting: int = 0
    left_s: float | None = None


class LocalBudget:
    """A purse in this process. Not thread-safe; about a microsecond a call while there is room.

    Args:
        budget: its bounds.
        parent: the purse around it, which every call draws from as well.
        clock: in seconds; the running loop's when None.
    """

    __slots__ = ("_chain", "_line", "account", "limited")

    def __init__(
        self,
        budget: Budget,
        *,
        parent: LocalBudget | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.account = Account(budget, clock)
        above = () if parent is None else parent._chain
        self._chain: tuple[LocalBudget, ...] = (self, *above)
        self.limited: frozenset[str] = budget.limited.union(*(purse.limited for purse in above))
        # Ordered, so that a cancelled waiter leaves from the middle in constant time. Whoever
        # stands first lacks room here, so that there are leases whose end will serve the line.
        self._line: OrderedDict[_Waiter, None] = OrderedDict()

    def __repr__(self) -> str:
        account = self.account
        used = f"{account.used_calls} calls, {account.used_tokens} tokens"
        return f"<LocalBudget {account.budget}, {used}>"

    @property
    def deadline(self) -> float | None:
        """When the wall time is up, on the loop's clock; the first look starts it."""
        if "wall_s" not in self.limited:
            return None

        return min(purse.account.start() for purse in self._chain)

    def reserve(self, estimate: Usage) -> _Lease:
        """Set `estimate` aside, here and in every purse around, without waiting.

        Raises:
            BudgetExceeded: it does not fit; nothing is set aside.
        """
        lease = self.try_reserve(estimate)
        if lease is None:
            raise self._obstacle(estimate).account.refusal(estimate)

        return lease

    def try_reserve(self, estimate: Usage) -> _Lease | None:
        """Set `estimate` aside; None if there may be room once calls under way have settled.

        Raises:
            BudgetExceeded: there will never be room; nothing is set aside.
        """
        chain = self._chain
        for purse in chain:
            purse.account.require(estimate)

        for purse in chain:
            if purse._line or not purse.account.fits(estimate):
                return None

        return self._take(estimate)

    async def acquire(self, estimate: Usage) -> _Lease:
        """Set `estimate` aside, waiting in line for what calls under way give back.

        Raises:
            BudgetExceeded: there will never be room; nothing is set aside.
        """
        lease = self.try_reserve(estimate)
        if lease is not None:
            return lease

        waiter = _Waiter(self, estimate, asyncio.get_running_loop().create_future())
        self._obstacle(estimate)._queue(waiter)
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            waiter.leave()
            raise

    def statistics(self) -> BudgetStatistics:
        """Return a snapshot."""
        account = self.account
        return BudgetStatistics(
            account.budget,
            used_calls=account.used_calls,
            used_tokens=account.used_tokens,
            reserved_calls=account.reserved_calls,
            reserved_tokens=account.reserved_tokens,
            used_usd=account.used_usd,
            reserved_usd=account.reserved_usd,
            waiting=len(self._line),
            left_s=account.left_s(),
        )

    def close_lease(self, estimate: Usage, actual: Usage | None) -> None:
        """Give an estimate back and count `actual`; leases call it."""
        for purse in self._chain:
            purse.account.settle(estimate, actual)

        for purse in self._chain:
            purse._serve()

    def discard(self, waiter: _Waiter) -> None:
        """Let a waiter leave the line; whoever stood behind it may fit."""
        self._line.pop(waiter, None)
        self._serve()

    def _obstacle(self, estimate: Usage) -> LocalBudget:
        return next(
            purse for purse in self._chain if purse._line or not purse.account.fits(estimate)
        )

    def _take(self, estimate: Usage) -> _Lease:
        for purse in self._chain:
            purse.account.reserve(estimate)

        return _Lease(self, estimate)

    def _queue(self, waiter: _Waiter) -> None:
        waiter.line = self
        self._line[waiter] = None

    def _serve(self) -> None:
        while self._line:
            waiter = next(iter(self._line))
            if waiter.granted.done():  # cancelled, and about to leave by itself
                del self._line[waiter]
                continue

            full = waiter.purse._answer(waiter, at=self)
            if full is self:
                return

            del self._line[waiter]
            if full is not None:
                full._queue(waiter)

    def _answer(self, waiter: _Waiter, *, at: LocalBudget) -> LocalBudget | None:
        """Answer the first in the line of `at`, or return the purse it must wait for."""
        estimate = waiter.estimate
        try:
            for purse in self._chain:
                purse.account.require(estimate)
        except BudgetExceeded as exc:
            waiter.granted.set_exception(exc)
            return None

        for purse in self._chain:
            if not purse.account.fits(estimate) or (purse._line and purse is not at):
                return purse

        waiter.granted.set_result(self._take(estimate))
        return None


class _Waiter:
    """One call in line; `line` is the purse it waits at."""

    __slots__ = ("estimate", "granted", "line", "purse")

    def __init__(
        self, purse: LocalBudget, estimate: Usage, granted: asyncio.Future[_Lease]
    ) -> None:
        self.purse = purse
        self.estimate = estimate
        self.granted = granted
        self.line = purse

    def leave(self) -> None:
        """Hold nothing, whether still in line or granted in the turn of the cancellation."""
        if self.granted.cancelled():
            self.line.discard(self)
        elif self.granted.exception() is None:
            self.granted.result().release()


class _Lease:
    __slots__ = ("_estimate", "_source")

    def __init__(self, source: LocalBudget, estimate: Usage) -> None:
        self._source: LocalBudget | None = source
        self._estimate = estimate

    def settle(self, actual: Usage) -> None:
        """Count what was used in place of the estimate."""
        self._close(actual)

    def release(self) -> None:
        """Give everything back."""
        self._close(None)

    def _close(self, actual: Usage | None) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close_lease(self._estimate, actual)


def _exact(usd: Decimal | float | str) -> Decimal:
    try:
        exact = Decimal(str(usd))
    except InvalidOperation as exc:
        raise ValueError(f"budget usd must be a number, got {usd!r}") from exc

    if not exact.is_finite():
        raise ValueError(f"budget usd must be finite, got {usd!r}; None is unbounded")

    return exact
