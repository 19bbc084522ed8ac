"""What went wrong with a try, and what follows from it.

`classify_response` and `classify_exception` turn an answer or an exception into an `ErrorData`; one
table, `RULES`, says what its kind means for retries, the breaker and failing over; `RetryPolicy`
and `RetryBudget` decide whether and when to try again.

All of it is pure. Nothing a server sends raises anything here: what cannot be read is read as
missing, and keys that a server repeats in its error are left out.
"""

from __future__ import annotations

from dspex.clients.failures.classify import classify_response
from dspex.clients.failures.faults import NETWORK_ERRORS, classify_exception
from dspex.clients.failures.retry import (
    RetryBudget,
    RetryBudgetStatistics,
    RetryDecision,
    RetryPolicy,
)
from dspex.clients.failures.rules import RULES, Rule, rule_for

__all__ = (
    "NETWORK_ERRORS",
    "RULES",
    "RetryBudget",
    "RetryBudgetStatistics",
    "RetryDecision",
    "RetryPolicy",
    "Rule",
    "classify_exception",
    "classify_response",
    "rule_for",
)
