"""What must outlive a crash of an endpoint's connections: limiter, breakers and retry budget."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dspex.clients.breaker.endpoint_breaker import EndpointBreaker
from dspex.clients.failures.retry import RetryBudget
from dspex.clients.limits.limiter import RequestLimiter
from dspex.clients.limits.pressure import Pressure

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.clients.breaker.endpoint_breaker import BreakerChange
    from dspex.config import ProviderSettings

__all__ = ("EndpointState", "limits_child")

_PAUSE_S: Final = 1.0
"""How long everybody waits when the provider refuses many and does not say how long."""


class EndpointState:
    """What must outlive a crash of the connections: limiter, breakers and retry budget."""

    __slots__ = (
        "_announce",
        "_breakers",
        "_clock",
        "_name",
        "_settings",
        "counts_tokens",
        "pressure",
        "quota",
        "retries",
    )

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        announce: Callable[[BreakerChange], None],
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._clock = clock
        self._settings = settings
        self._announce = announce
        self._breakers: dict[str, EndpointBreaker] = {}
        self.quota = RequestLimiter(
            requests_per_min=settings.requests_per_minute,
            tokens_per_min=settings.tokens_per_minute,
            name=name,
        )
        self.retries = RetryBudget(ratio=settings.retry_budget, clock=clock)
        self.counts_tokens = settings.tokens_per_minute is not None
        self.pressure = Pressure()

    def __repr__(self) -> str:
        return f"<EndpointState {self._name} {self.quota!r} {list(self._breakers.values())!r}>"

    @property
    def breakers(self) -> dict[str, EndpointBreaker]:
        """The breakers so far, by model."""
        return self._breakers

    def breaker(self, model: str) -> EndpointBreaker:
        """Return the breaker of one model; the first call for a model makes it."""
        found = self._breakers.get(model)
        if found is None:
            settings = self._settings.breaker
            found = self._breakers[model] = EndpointBreaker(
                self._name,
                model,
                failure_rate=settings.failure_rate,
                window_s=settings.window_s,
                min_calls=settings.min_calls,
                consecutive=settings.consecutive_failures,
                recovery_s=settings.recovery_s,
                clock=self._clock,
                on_change=self._announce,
            )

        return found

    def note_limited(self, retry_after_s: float | None) -> None:
        """Note that the provider refused a request for its rate.

        A stray refusal concerns the call that met it, which waits by itself; many of them hold
        everybody back.
        """
        if self.pressure.refused(self._clock()):
            self.quota.pause(_PAUSE_S if retry_after_s is None else retry_after_s)


async def limits_child(
    name: str,
    settings: ProviderSettings,
    announce: Callable[[BreakerChange], None],
    *,
    ready: Callable[[object], None],
) -> None:
    """Own an EndpointState and grant its quota for as long as the child lives."""
    # The loop's clock, not the system's: what waits on one and is judged by the other drifts.
    state = EndpointState(name, settings, announce, asyncio.get_running_loop().time)
    ready(state)
    await state.quota.serve()
