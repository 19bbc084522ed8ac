"""The states of a breaker, as state objects of aiobreaker; each is one generation of calls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from dspex.clients.breaker.circuit import (
    CircuitBreakerState,
    CircuitClosedState,
    CircuitHalfOpenState,
    CircuitOpenState,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.clients.breaker.endpoint_breaker import Permit

__all__ = ("STATES", "Closed", "HalfOpen", "Open")


class Closed(CircuitClosedState):
    """Calls go through, and their outcomes are counted."""

    name: Final = "closed"

    def on_failure(self, exception: Exception | None) -> None:
        """Open when the numbers call for it."""
        if self._breaker.window.tripped:
            self._breaker.open()


class Open(CircuitOpenState):
    """Calls are rejected until the breaker's time has come."""

    name: Final = "open"


class HalfOpen(CircuitHalfOpenState):
    """One call finds out; `probe` is its permit, and keeps the place until `probe_ends`."""

    name: Final = "half_open"
    probe: Permit | None = None
    probe_ends: float = -math.inf

    def on_failure(self, exception: Exception | None) -> None:
        """Open again; success closes, as aiobreaker has it."""
        self._breaker.open()


STATES: Final[Mapping[CircuitBreakerState, type[Closed | Open | HalfOpen]]] = {
    CircuitBreakerState.CLOSED: Closed,
    CircuitBreakerState.OPEN: Open,
    CircuitBreakerState.HALF_OPEN: HalfOpen,
}
