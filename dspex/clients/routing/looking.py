"""What can be seen of a client from outside: the candidate it makes at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dspex.clients.limits.estimates import estimate_usage
from dspex.clients.routing.candidate import Candidate

if TYPE_CHECKING:
    from decimal import Decimal

    from dspex.clients.client import Client
    from dspex.clients.limits.quota import QuotaStatistics
    from dspex.messages import Request

__all__ = ("look_at", "price_of")

_TYPICAL_ANSWER_TOKENS: Final = 256


def look_at(
    index: int,
    client: Client,
    request: Request,
    *,
    weight: float,
    latency_s: float | None,
    price_usd: Decimal | None,
) -> Candidate:
    """Return one moment of a client, as a policy sees it."""
    endpoint = client.endpoint
    state = endpoint.live_state
    breaker = None if state is None else state.breakers.get(request.model or client.model)
    return Candidate(
        index,
        weight=weight,
        open=breaker is not None and breaker.refuses,
        quota_free=state is None or _is_free(state.quota.statistics()),
        in_flight=endpoint.in_flight,
        latency_s=latency_s,
        price_usd=price_usd,
        context_tokens=endpoint.compat.context_tokens,
    )


def _is_free(quota: QuotaStatistics) -> bool:
    """Tell whether a call would be granted at once, for all that can be seen from outside."""
    return (
        not quota.waiting
        and not quota.paused_s
        and (quota.requests_free is None or quota.requests_free >= 1)
        and (quota.tokens_free is None or quota.tokens_free > 0)
    )


def price_of(client: Client, request: Request) -> Decimal | None:
    """Return what the request would cost there, with an answer of usual length."""
    price = client.endpoint.prices.get(request.model or client.model)
    if price is None:
        return None

    guess = estimate_usage(request)
    answer = guess.output_tokens or _TYPICAL_ANSWER_TOKENS * request.sampling.n
    return guess.input_tokens * price.input_usd + answer * price.output_usd
