"""Several endpoints behind one client: calls are spread over them, and fail over to the next.

Why: one provider is down, slow, dear or at its limits; another is not.

Objects: `Router` (a `ModelClient` over clients; what `Runtime.client` gives for several names),
`Candidate` (what a policy sees of one client), the policies, which are pure, and `Route` (one
call's way, in which each client is asked at most once).

Invariants: no client whose breaker is open is asked while one is closed. All clients together keep
within the call's deadline, each within a fair share of what is left. After a token was handed on
nobody else is asked.

Failure: the error of a call lists the tries of all clients. Where all breakers are open it is a
`CircuitOpen` with the time of the first that will let a call through.
"""

from __future__ import annotations

from dspex.clients.routing.candidate import Candidate, usable
from dspex.clients.routing.latency import DecayingAverage
from dspex.clients.routing.policies import (
    POLICIES,
    Cheapest,
    LeastLoaded,
    LowestLatency,
    Policy,
    PolicyName,
    RoundRobin,
    Weighted,
    policy_of,
)
from dspex.clients.routing.route import Route
from dspex.clients.routing.router import Router
from dspex.clients.routing.sticky import stick

__all__ = (
    "POLICIES",
    "Candidate",
    "Cheapest",
    "DecayingAverage",
    "LeastLoaded",
    "LowestLatency",
    "Policy",
    "PolicyName",
    "RoundRobin",
    "Route",
    "Router",
    "Weighted",
    "policy_of",
    "stick",
    "usable",
)
