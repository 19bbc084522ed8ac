"""What must outlive a crash of an endpoint's connections: limiter, breakers and retry budget."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from dspex.clients.breaker.endpoint_breaker import EndpointBreaker
from dspex.clients.failures.retry import RetryBudget
from dspex.clients.limits.adaptive import AdaptiveConcurrency
from dspex.clients.limits.limiter import RequestLimiter
from dspex.clients.limits.pressure import Pressure
from dspex.clients.limits.user_limits import UserLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.clients.breaker.endpoint_breaker import BreakerChange
    from dspex.clients.limits.pool import ConnectionGate
    from dspex.config import ProviderSettings
    from dspex.errors import ErrorData

__all__ = ("EndpointState", "limits_child")

_PAUSE_S: Final = 1.0
"""How long everybody waits when the provider refuses many and does not say how long."""

_BEARS: Final = "refusals"
_OF_USERS: Final = ("per_user_requests_per_minute", "per_user_tokens_per_minute")
_OF_TOKENS: Final = (
    "tokens_per_minute",
    "input_tokens_per_minute",
    "output_tokens_per_minute",
    "per_user_tokens_per_minute",
)


class EndpointState:
    """What must outlive a crash of the connections: limiter, breakers and retry budget.

    `slowed` says that answers are to be noted, because refusals lowered the calls in flight.
    """

    __slots__ = (
        "_announce",
        "_breakers",
        "_clock",
        "_name",
        "_settings",
        "concurrency",
        "counts_tokens",
        "pressure",
        "quota",
        "retries",
        "slowed",
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
            input_tokens_per_min=settings.input_tokens_per_minute,
            output_tokens_per_min=settings.output_tokens_per_minute,
            users=_user_limits(settings),
            max_waiting=settings.max_waiting,
            name=name,
        )
        self.retries = RetryBudget(ratio=settings.retry_budget, clock=clock)
        self.counts_tokens = _counts_tokens(settings)
        self.pressure = Pressure()
        self.concurrency = AdaptiveConcurrency()
        self.slowed = False

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
            found = self._breakers[model] = EndpointBreaker(
                self._name,
                model,
                **_breaker_numbers(self._settings),
                clock=self._clock,
                on_change=self._announce,
            )

        return found

    def retune(self, settings: ProviderSettings) -> None:
        """Take on other limits, for those who wait too; breakers keep their state."""
        old, self._settings = self._settings, settings
        self.quota.set_rate(
            requests_per_min=settings.requests_per_minute,
            tokens_per_min=settings.tokens_per_minute,
            input_tokens_per_min=settings.input_tokens_per_minute,
            output_tokens_per_min=settings.output_tokens_per_minute,
        )
        self.quota.set_max_waiting(settings.max_waiting)
        if any(getattr(old, name) != getattr(settings, name) for name in _OF_USERS):
            self.quota.set_users(_user_limits(settings))

        self.retries.set_ratio(settings.retry_budget)
        self.counts_tokens = _counts_tokens(settings)
        for breaker in self._breakers.values():
            breaker.retune(**_breaker_numbers(settings))

    def note_limited(self, error: ErrorData, gate: ConnectionGate) -> float | None:
        """Note that the provider refused a request for its rate; return how long all wait, if so.

        A stray refusal concerns the call that met it, which waits by itself; many of them hold
        everybody back.
        """
        self.quota.refused()
        now = self._clock()
        if not self.pressure.refused(now):
            return None

        hint_s = error.retry_after_s
        pause_s = _PAUSE_S if hint_s is None else hint_s
        self.quota.pause(pause_s, limit_per_min=error.limit_per_min)
        if self._settings.adaptive_concurrency and self.concurrency.cut(now, gate.in_use):
            self.slowed = True
            gate.set_limit(self.concurrency.limit or 1, why=_BEARS)

        return pause_s

    def note_answer(self, gate: ConnectionGate) -> None:
        """Note an answer while fewer calls are let in than might be."""
        limit = self.concurrency.answered()
        if limit is None:
            self.slowed = False
            gate.lift_limit(_BEARS)
        else:
            gate.set_limit(limit, why=_BEARS)


def _user_limits(settings: ProviderSettings) -> UserLimits | None:
    if all(getattr(settings, name) is None for name in _OF_USERS):
        return None

    return UserLimits(
        requests_per_min=settings.per_user_requests_per_minute,
        tokens_per_min=settings.per_user_tokens_per_minute,
    )


def _counts_tokens(settings: ProviderSettings) -> bool:
    return any(getattr(settings, name) is not None for name in _OF_TOKENS)


def _breaker_numbers(settings: ProviderSettings) -> dict[str, Any]:
    numbers = settings.breaker
    return {
        "failure_rate": numbers.failure_rate,
        "window_s": numbers.window_s,
        "min_calls": numbers.min_calls,
        "consecutive": numbers.consecutive_failures,
        "recovery_s": numbers.recovery_s,
    }


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
