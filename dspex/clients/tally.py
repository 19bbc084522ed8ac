"""What an endpoint has done so far, as plain counters that calls add to."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

from dspex.clients.latencies import Latencies, LatencyStatistics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.clients.breaker.endpoint_breaker import BreakerStatistics
    from dspex.clients.limits.pool import GateStatistics
    from dspex.clients.limits.quota import QuotaStatistics
    from dspex.errors import ErrorKind
    from dspex.usage import Usage

__all__ = ("EndpointStatistics", "Tally")


_NO_LATENCY = LatencyStatistics()


@dataclass(frozen=True, slots=True)
class EndpointStatistics:
    """One moment of an endpoint.

    Latency and tokens are those of answers of the provider, and not of the cache. `errors` counts
    the calls that failed for good, by kind. `connections` is None while there are none.
    """

    _: KW_ONLY
    calls: int
    succeeded: int
    failed: int
    retries: int
    in_flight: int
    breaker_trips: int
    quota: QuotaStatistics | None
    breakers: dict[str, BreakerStatistics]
    latency: LatencyStatistics = _NO_LATENCY
    input_tokens: int = 0
    output_tokens: int = 0
    errors: Mapping[str, int] = field(default_factory=dict[str, int])
    connections: GateStatistics | None = None


class Tally:
    """Latencies, tokens and errors of one endpoint. Not thread-safe; half a microsecond a call."""

    __slots__ = ("errors", "input_tokens", "latencies", "output_tokens")

    def __init__(self) -> None:
        self.latencies = Latencies()
        self.input_tokens = 0
        self.output_tokens = 0
        self.errors: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Tally {self.latencies!r}, errors {self.errors}>"

    def answered(self, latency_s: float, usage: Usage) -> None:
        """Count an answer of the provider."""
        self.latencies.record(latency_s)
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens

    def failed(self, kind: ErrorKind) -> None:
        """Count a call that failed for good."""
        self.errors[kind.value] = self.errors.get(kind.value, 0) + 1
