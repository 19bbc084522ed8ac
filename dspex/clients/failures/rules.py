"""What each kind of failure means to retries, the breaker, failing over and concurrency: one table.

Everything that decides after a failed try reads it here, so that two policies never disagree.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from dspex.errors import ErrorData, ErrorKind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("FOREIGN", "RULES", "BreakerVerdict", "Pressure", "RetryMode", "Rule", "rule_for")

RetryMode = Literal["no", "backoff", "after_hint", "once"]
"""`after_hint` waits as long as the provider asked for; `once` backs off a single time."""

BreakerVerdict = Literal["success", "failure", "ignore", "trip"]
"""What the breaker makes of it; `trip` opens it at once, because more calls cannot do better."""

Pressure = Literal["none", "hold", "cut"]
"""What adaptive concurrency makes of it: go on, do not grow, or shrink."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of failure is answered.

    `failover` says that another endpoint may do better; `trip_s` is how long a tripped breaker
    stays open before it probes.
    """

    _: KW_ONLY
    retry: RetryMode = "no"
    breaker: BreakerVerdict = "ignore"
    failover: bool = False
    pressure: Pressure = "none"
    trip_s: float = 0.0


RULES: Final[Mapping[ErrorKind, Rule]] = MappingProxyType(
    {
        ErrorKind.RATE_LIMIT: Rule(retry="after_hint", failover=True, pressure="cut"),
        ErrorKind.QUOTA_EXHAUSTED: Rule(breaker="trip", failover=True, trip_s=300.0),
        ErrorKind.SERVER: Rule(retry="backoff", breaker="failure", failover=True, pressure="hold"),
        ErrorKind.TRANSPORT: Rule(
            retry="backoff", breaker="failure", failover=True, pressure="hold"
        ),
        # A second timeout in a row is paid for with minutes; a third tells nothing new.
        ErrorKind.TIMEOUT: Rule(retry="once", breaker="failure", failover=True, pressure="hold"),
        ErrorKind.AUTH: Rule(breaker="trip", failover=True, trip_s=60.0),
        ErrorKind.INVALID_REQUEST: Rule(),
        ErrorKind.CONTEXT_WINDOW: Rule(),
        ErrorKind.TOO_LARGE: Rule(),
        # The endpoint did its work; it is the content that it will not answer.
        ErrorKind.CONTENT_FILTER: Rule(breaker="success"),
        ErrorKind.PROTOCOL: Rule(
            retry="backoff", breaker="failure", failover=True, pressure="hold"
        ),
        ErrorKind.CIRCUIT_OPEN: Rule(failover=True),
        ErrorKind.ENDPOINT: Rule(retry="backoff", failover=True),
        ErrorKind.DEADLINE: Rule(),
        ErrorKind.POOL: Rule(retry="backoff", failover=True, pressure="hold"),
        ErrorKind.BUDGET: Rule(),
        ErrorKind.BATCH: Rule(failover=True),
    }
)
"""One rule for every kind. Failing over is for the caller to choose when waiting takes too long."""

_CONFLICT: Final = 409

FOREIGN: Final = "not_the_provider"
"""The code of an answer that is not JSON: something on the way gave it."""

_FOREIGN_REFUSAL: Final = Rule(retry="once", breaker="failure", failover=True)
"""A proxy's page may be a matter of one request; many of them in a row open the breaker."""


def rule_for(error: ErrorData, *, failures: int = 1) -> Rule:
    """Return the rule for one failure, with the exceptions that its facts make.

    Args:
        error: what happened.
        failures: how many tries of this call have failed, this one included. The first broken
            connection that had been idle says nothing about the server; a second one does.
    """
    rule = RULES[error.kind]
    if error.stale_socket and failures <= 1:
        return replace(rule, breaker="ignore", pressure="none")

    if error.kind is ErrorKind.AUTH and error.code == FOREIGN:
        return _FOREIGN_REFUSAL

    if error.status == _CONFLICT:
        return replace(rule, breaker="ignore", failover=False)

    return rule
