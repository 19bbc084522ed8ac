"""What one call draws from its budget: the most it can use, made sure of by an output bound."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dspex.clients.limits.estimates import bound_output, bound_usage
from dspex.usage import Usage

if TYPE_CHECKING:
    from dspex.clients.call import Call
    from dspex.effects import BudgetLease

__all__ = ("draw", "most_of")

_ONE_CALL: Final = Usage(calls=1)
_NEED_A_BOUND: Final = frozenset({"tokens", "usd"})


def most_of(call: Call, limited: frozenset[str]) -> Usage:
    """Return the most that a call can use; its request gets an output bound if it has none.

    Args:
        call: whose request is about to be sent.
        limited: what its budget bounds.

    Raises:
        ConfigError: dollars are bounded, and nobody knows the model's price.
    """
    if not limited & _NEED_A_BOUND:
        return _ONE_CALL

    endpoint = call.endpoint
    price = endpoint.prices.require(call.request.model) if "usd" in limited else None
    if call.bound is None:
        call.request, call.bound = bound_output(call.request, endpoint.compat.max_output_tokens)

    most = bound_usage(call.request)
    return most if price is None else replace(most, cost_usd=price.most(most))


async def draw(call: Call) -> tuple[BudgetLease | None, Usage]:
    """Set aside the most that a call can use, waiting in line for it; return that, too.

    Raises:
        BudgetExceeded: there will never be room.
        ConfigError: as `most_of` says.
    """
    purse = call.scope.budget
    if purse is None:
        return None, _ONE_CALL

    call.stage = "budget"
    most = call.most(purse.limited)
    return purse.try_reserve(most) or await purse.acquire(most), most
