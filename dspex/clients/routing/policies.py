"""How a router spreads calls: pure functions of one view of its candidates."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, Protocol

from dspex.errors import ConfigError

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from dspex.clients.routing.candidate import Candidate

__all__ = (
    "POLICIES",
    "Cheapest",
    "LeastLoaded",
    "LowestLatency",
    "Policy",
    "PolicyName",
    "RoundRobin",
    "Weighted",
    "policy_of",
)

PolicyName = Literal["round_robin", "weighted", "least_loaded", "lowest_latency", "cheapest"]

_GOLDEN: Final = 0.6180339887498949
_UNKNOWN: Final = Decimal("Infinity")


class Policy(Protocol):
    """Chooses among candidates, of which there is at least one."""

    def choose(self, candidates: Sequence[Candidate], turn: int, rng: random.Random) -> Candidate:
        """Return one of `candidates`.

        Args:
            candidates: those worth asking.
            turn: how many calls the router has had before.
            rng: for policies that toss.
        """
        ...


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """One after the other."""

    def choose(self, candidates: Sequence[Candidate], turn: int, rng: random.Random) -> Candidate:
        """Return the one whose turn it is."""
        return candidates[turn % len(candidates)]


@dataclass(frozen=True, slots=True)
class Weighted:
    """In proportion to the weights, evenly mixed.

    Multiples of the golden ratio fall evenly between 0 and 1, however many are taken (H. Weyl,
    1916), so that neither chance nor a memory of past turns is needed.
    """

    def choose(self, candidates: Sequence[Candidate], turn: int, rng: random.Random) -> Candidate:
        """Return the one in whose part of the whole this turn falls."""
        left = (turn * _GOLDEN) % 1.0 * sum(candidate.weight for candidate in candidates)
        for candidate in candidates:
            left -= candidate.weight
            if left < 0:
                return candidate

        return candidates[-1]


@dataclass(frozen=True, slots=True)
class LeastLoaded:
    """The fewest calls in flight for its weight; of equals, the one whose turn it is."""

    def choose(self, candidates: Sequence[Candidate], turn: int, rng: random.Random) -> Candidate:
        """Return the least loaded."""
        least = min(candidate.load for candidate in candidates)
        equals = [candidate for candidate in candidates if candidate.load == least]
        return equals[turn % len(equals)]


@dataclass(frozen=True, slots=True)
class LowestLatency:
    """The faster of two taken at random, which keeps all calls from running to the fastest.

    One that has never answered is tried with one call at a time. See M. Mitzenmacher, "The power of
    two choices in randomized load balancing", IEEE TPDS 12 (2001).
    """

    def choose(self, candidates: Sequence[Candidate], turn: int, rng: random.Random) -> Candidate:
        """Return the faster of two."""
        if len(candidates) == 1:
            return candidates[0]

        return min(rng.sample(candidates, 2), key=_expected_s)


@dataclass(frozen=True, slots=True)
class Cheapest:
    """The lowest price for the request, unknown ones last; of equals, the least loaded."""

    def choose(self, candidates: Sequence[Candidate], turn: int, rng: random.Random) -> Candidate:
        """Return the cheapest."""
        return min(candidates, key=_price)


POLICIES: Final[dict[PolicyName, Policy]] = {
    "cheapest": Cheapest(),
    "least_loaded": LeastLoaded(),
    "lowest_latency": LowestLatency(),
    "round_robin": RoundRobin(),
    "weighted": Weighted(),
}
"""The policies by name; all of them are values without state."""


def policy_of(name: str) -> Policy:
    """Return the policy of a name.

    Raises:
        ConfigError: there is none.
    """
    for known, policy in POLICIES.items():
        if known == name:
            return policy

    raise ConfigError(
        f"no such policy; there are {', '.join(sorted(POLICIES))}",
        source="code",
        key="policy",
        value=name,
    )


def _expected_s(candidate: Candidate) -> tuple[float, float]:
    latency_s = candidate.latency_s
    if latency_s is None:
        latency_s = float("inf") if candidate.in_flight else 0.0

    return latency_s, candidate.load


def _price(candidate: Candidate) -> tuple[Decimal, float]:
    price_usd = candidate.price_usd
    return _UNKNOWN if price_usd is None else price_usd, candidate.load
