"""One model call made resilient, tens of thousands of times at once.

Why: providers fail, slow down, limit and lie; programs should only see answers, or one kind of
error that says whose fault it was.

Objects: `Client` (an endpoint and a model; a value), `Endpoint` (the handle of one provider and its
two supervised children), `RequestLimiter`, `EndpointBreaker`, `RetryPolicy` and `RetryBudget`,
`ConnectionGate`, `LocalBudget`; in `wire`, how each provider speaks. `ModelClient` is what programs
ask for.

Invariants: a call runs in its caller's task and borrows what the children own; whatever it holds is
given back on every way out, cancellation included. Every wait ends with the call's deadline. A
retry costs at most a fifth of the traffic. Limits and breakers outlive a crash of the connections.

Failure: a call ends with an answer or with a `ProviderError` whose data tell an outage from a fault
of the request. A child that crashes under a call costs that call one try.
"""

from __future__ import annotations

from dspex.clients.client import Client
from dspex.clients.endpoint import Endpoint
from dspex.clients.limits.budget import Budget, BudgetStatistics, LocalBudget
from dspex.clients.limits.spending import budget
from dspex.clients.policy import Policy
from dspex.clients.protocol import CacheMode, ModelClient
from dspex.clients.tally import EndpointStatistics

__all__ = (
    "Budget",
    "BudgetStatistics",
    "CacheMode",
    "Client",
    "Endpoint",
    "EndpointStatistics",
    "LocalBudget",
    "ModelClient",
    "Policy",
    "budget",
)
