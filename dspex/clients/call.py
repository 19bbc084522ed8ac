"""One call while it runs, and the admission of each of its tries: budget, limiter, breaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dspex.clients.budget import estimate_usage
from dspex.clients.rules import rule_for
from dspex.errors import Attempt, ErrorData, ErrorKind, ProviderError
from dspex.usage import Usage

if TYPE_CHECKING:
    from types import TracebackType

    from dspex.clients.breaker import Permit
    from dspex.clients.endpoint import Endpoint, EndpointState
    from dspex.clients.quota import QuotaLease
    from dspex.effects import BudgetLease, CallScope
    from dspex.messages import Request

__all__ = ("NOT_SENT", "Admission", "Call")

NOT_SENT: Final = frozenset({ErrorKind.CIRCUIT_OPEN, ErrorKind.ENDPOINT, ErrorKind.POOL})
"""Failures of our own, after which the provider has not seen a request."""


class Call:
    """What one call knows about itself: the request, the tries so far, and the step it is in."""

    __slots__ = ("attempts", "began", "limit_s", "request", "scope", "stage", "try_began")

    def __init__(self, request: Request, scope: CallScope, began: float, limit_s: float) -> None:
        self.request = request
        self.scope = scope
        self.began = began
        self.limit_s = limit_s
        self.try_began = began
        self.stage = "cache"
        self.attempts: list[Attempt] = []

    def left_s(self, now: float) -> float:
        """Return the seconds until the call's deadline."""
        return self.began + self.limit_s - now

    def failed(self, endpoint: str, error: ErrorData, now: float) -> None:
        """Note that the current try has failed."""
        self.attempts.append(Attempt(endpoint, error, latency_s=now - self.try_began))


class Admission:
    """The right to try once: first `take` or, if that says no, `wait`; then a `with` block.

    Budget is reserved first, then the limiter waited for, and the breaker asked last, because it
    may have opened during the wait. Leaving the block settles or gives back all of it, whatever
    happened: an answer (`usage` was set), an error, or a cancellation. Nothing here is a coroutine
    but `wait`, which nearly no call needs.
    """

    __slots__ = ("_call", "_endpoint", "_permit", "_purse", "_quota", "_state", "_tokens", "usage")

    def __init__(self, endpoint: Endpoint, state: EndpointState, call: Call) -> None:
        self._endpoint = endpoint
        self._state = state
        self._call = call
        self._tokens = 0
        self._purse: BudgetLease | None = None
        self._quota: QuotaLease | None = None
        self._permit: Permit | None = None
        self.usage: Usage | None = None

    def take(self) -> bool:
        """Take what the try needs if that is to be had at once.

        Raises:
            BudgetExceeded: the purse is empty.
            CircuitOpen: the breaker is open.
        """
        call, state = self._call, self._state
        budget = call.scope.budget
        if budget is not None or state.counts_tokens:
            estimate = estimate_usage(call.request)
            self._tokens = estimate.total_tokens
            if budget is not None:
                self._purse = budget.reserve(estimate)

        self._quota = state.quota.try_acquire(key=self._endpoint.name, tokens=self._tokens)
        if self._quota is None:
            return False

        self._pass_breaker()
        return True

    async def wait(self) -> None:
        """Wait for the limiter in line, then pass the breaker; raises as `take` does."""
        self._call.stage = "limiter"
        try:
            self._quota = await self._state.quota.acquire(
                key=self._endpoint.name, tokens=self._tokens
            )
        except BaseException:
            self._give_back()
            raise

        self._pass_breaker()

    def __enter__(self) -> Admission:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        permit = self._permit
        assert permit is not None
        if self.usage is not None:
            permit.success()
            self._state.pressure.answers += 1
            self._settle(self.usage)
        elif isinstance(exc, ProviderError):
            self._judge(permit, exc.data)
        else:
            permit.ignore()
            self._settle(Usage(calls=1))

    def _pass_breaker(self) -> None:
        try:
            self._permit = self._state.breaker(self._call.request.model).admit()
        except BaseException:
            self._give_back()
            raise

    def _judge(self, permit: Permit, error: ErrorData) -> None:
        permit.judge(error, rule_for(error, failures=len(self._call.attempts) + 1))
        if error.kind is ErrorKind.RATE_LIMIT:
            self._state.note_limited(error.retry_after_s)

        if error.kind in NOT_SENT:
            self._give_back()
        else:
            self._settle(Usage(calls=1))

    def _settle(self, usage: Usage) -> None:
        if self._quota is not None:
            self._quota.settle(usage)

        if self._purse is not None:
            self._purse.settle(usage)

    def _give_back(self) -> None:
        if self._quota is not None:
            self._quota.refund()

        if self._purse is not None:
            self._purse.release()
