"""What bounds calls before they are sent: rates, connections, budgets.

`RequestLimiter` keeps to requests and tokens per minute on aiolimiter's buckets behind a fair
queue; `ConnectionGate` bounds connections; `LocalBudget` is a purse; `Pressure` tells a stray
refusal from an endpoint that is pressed too hard. The pipeline asks them through `QuotaSource` and
`BudgetSource`, so that several processes can share one account later.

Invariants: whoever waits is served in order; a cancelled waiter holds nothing and takes constant
time to leave; what was taken is settled or given back once. A queue whose server dies fails
everybody in it at once.
"""

from __future__ import annotations

from dspex.clients.limits.account import Account
from dspex.clients.limits.bucket import Bucket
from dspex.clients.limits.budget import Budget, BudgetStatistics, LocalBudget
from dspex.clients.limits.estimates import (
    DEFAULT_OUTPUT_TOKENS,
    bound_output,
    bound_usage,
    estimate_usage,
)
from dspex.clients.limits.limiter import RequestLimiter
from dspex.clients.limits.pool import ConnectionGate, GateStatistics
from dspex.clients.limits.pressure import Pressure
from dspex.clients.limits.quota import QuotaLease, QuotaSource, QuotaStatistics

__all__ = (
    "DEFAULT_OUTPUT_TOKENS",
    "Account",
    "Bucket",
    "Budget",
    "BudgetStatistics",
    "ConnectionGate",
    "GateStatistics",
    "LocalBudget",
    "Pressure",
    "QuotaLease",
    "QuotaSource",
    "QuotaStatistics",
    "RequestLimiter",
    "bound_output",
    "bound_usage",
    "estimate_usage",
)
