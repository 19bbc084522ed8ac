"""What a policy sees of one client, and which of several are worth asking at all."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

__all__ = ("Candidate", "usable")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One moment of one client of a router; `index` is its place there.

    `open` says that its breaker would reject the call; `quota_free` that nobody waits for its rate
    limits. `latency_s` is the decaying average of its answers, None before the first. `price_usd`
    is what the request would cost, None where nobody knows. `context_tokens` is the length of its
    context, None where nobody knows.
    """

    index: int
    _: KW_ONLY
    weight: float = 1.0
    open: bool = False
    quota_free: bool = True
    in_flight: int = 0
    latency_s: float | None = None
    price_usd: Decimal | None = None
    context_tokens: int | None = None

    @property
    def load(self) -> float:
        """Calls in flight for each unit of weight."""
        return self.in_flight / self.weight


def usable(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Return the closed ones whose quota is free; else the closed ones; else all."""
    closed = [candidate for candidate in candidates if not candidate.open]
    free = [candidate for candidate in closed if candidate.quota_free]
    return free or closed or candidates
