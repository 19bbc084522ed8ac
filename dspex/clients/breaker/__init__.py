"""Circuit breakers: an endpoint that fails is left alone until one probe finds it working.

`EndpointBreaker` is aiobreaker's state machine, storage and listeners inside our own admission, one
for each endpoint and model. `admit` gives a `Permit` or raises `BreakerOpen`; the permit's outcome
is success, failure, or nothing to judge by.

Invariants: half-open admits one probe at a time; outcomes of calls that were admitted before the
state changed are ignored; a permit that is never given back loses its place in time. No task, no
lock, no wall clock.
"""

from __future__ import annotations

from dspex.clients.breaker.endpoint_breaker import (
    BreakerChange,
    BreakerOpen,
    BreakerState,
    BreakerStatistics,
    EndpointBreaker,
    Permit,
)
from dspex.clients.breaker.failure_window import FailureWindow

__all__ = (
    "BreakerChange",
    "BreakerOpen",
    "BreakerState",
    "BreakerStatistics",
    "EndpointBreaker",
    "FailureWindow",
    "Permit",
)
