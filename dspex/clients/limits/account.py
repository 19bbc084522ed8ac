"""The numbers of one purse: what was used, what is set aside, and what still fits."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from dspex.errors import BudgetExceeded, ErrorData, ErrorKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.clients.limits.budget import Budget
    from dspex.usage import Usage

__all__ = ("Account",)

_ZERO: Final = Decimal(0)

_HINT: Final = "; a smaller max_tokens sets less aside"


class Account:
    """One purse's numbers. Not thread-safe.

    Args:
        budget: its bounds.
        clock: in seconds; the running loop's when None.
    """

    __slots__ = (
        "_clock",
        "_ends",
        "_usd",
        "budget",
        "reserved_calls",
        "reserved_tokens",
        "reserved_usd",
        "used_calls",
        "used_tokens",
        "used_usd",
    )

    def __init__(self, budget: Budget, clock: Callable[[], float] | None) -> None:
        self.budget = budget
        self.used_calls = self.used_tokens = 0
        self.used_usd: Decimal | None = _ZERO
        self.reserved_calls = self.reserved_tokens = 0
        self.reserved_usd = _ZERO
        self._usd = None if budget.usd is None else Decimal(budget.usd)
        self._clock = clock
        self._ends: float | None = None

    def start(self) -> float:
        """Start the wall time if it does not run yet; return when it is up."""
        if self._ends is None:
            wall_s = self.budget.wall_s
            self._ends = math.inf if wall_s is None else self._now() + wall_s

        return self._ends

    def left_s(self) -> float | None:
        """Return what is left of the wall time; None without one."""
        wall_s = self.budget.wall_s
        return (
            wall_s if wall_s is None or self._ends is None else max(0.0, self._ends - self._now())
        )

    def require(self, estimate: Usage) -> None:
        """Raise `BudgetExceeded` if there is no room even with nothing under way."""
        budget = self.budget
        calls = self.used_calls + estimate.calls
        if budget.calls is not None and calls > budget.calls:
            raise _exceeded("calls", budget.calls, calls)

        tokens = self.used_tokens + estimate.total_tokens
        if budget.tokens is not None and tokens > budget.tokens:
            raise _exceeded("tokens", budget.tokens, tokens, _HINT)

        if self._usd is not None:
            usd = (self.used_usd or _ZERO) + _known(estimate.cost_usd)
            if usd > self._usd:
                raise _exceeded("USD", self._usd, usd, _HINT)

        if budget.wall_s is not None and self._now() >= self.start():
            raise _refusal(f"the budget's {budget.wall_s:g} s are over")

    def fits(self, estimate: Usage) -> bool:
        """Tell whether there is room beside what calls under way have set aside."""
        budget = self.budget
        calls = self.used_calls + self.reserved_calls + estimate.calls
        if budget.calls is not None and calls > budget.calls:
            return False

        tokens = self.used_tokens + self.reserved_tokens + estimate.total_tokens
        if budget.tokens is not None and tokens > budget.tokens:
            return False

        if self._usd is None:
            return True

        usd = (self.used_usd or _ZERO) + self.reserved_usd + _known(estimate.cost_usd)
        return usd <= self._usd

    def reserve(self, estimate: Usage) -> None:
        """Set `estimate` aside."""
        self.reserved_calls += estimate.calls
        self.reserved_tokens += estimate.total_tokens
        if estimate.cost_usd:
            self.reserved_usd += estimate.cost_usd

    def settle(self, estimate: Usage, actual: Usage | None) -> None:
        """Give `estimate` back and count `actual`; None: nothing was used."""
        self.reserved_calls -= estimate.calls
        self.reserved_tokens -= estimate.total_tokens
        if estimate.cost_usd:
            self.reserved_usd -= estimate.cost_usd

        if actual is None:
            return

        self.used_calls += actual.calls
        self.used_tokens += actual.total_tokens
        paid, used = actual.cost_usd, self.used_usd
        if paid is None and self._usd is not None:
            paid = estimate.cost_usd  # what is not known is taken for the most it can be

        self.used_usd = None if used is None or paid is None else used + paid

    def refusal(self, estimate: Usage) -> BudgetExceeded:
        """Return the error of a call that fits only once calls under way have settled."""
        return _refusal(
            f"no room for a call of up to {estimate.total_tokens:,} tokens while "
            f"{self.reserved_calls} calls are under way, of {self.budget}"
        )

    def _now(self) -> float:
        return (self._clock or asyncio.get_running_loop().time)()


def _known(cost_usd: Decimal | None) -> Decimal:
    if cost_usd is None:
        raise ValueError("a budget in dollars cannot count a call whose price is not known")

    return cost_usd


def _exceeded(
    name: str, limit: int | Decimal, wanted: int | Decimal, hint: str = ""
) -> BudgetExceeded:
    return _refusal(
        f"the budget of {limit:,} {name} leaves no room for this call "
        f"(it would reach {wanted:,}{hint})"
    )


def _refusal(message: str) -> BudgetExceeded:
    return BudgetExceeded(ErrorData(ErrorKind.BUDGET, message, stage="budget"))
