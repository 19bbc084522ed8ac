"""One call while it runs: its deadline, its tries so far, the step it is in, and its accounts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Self

from dspex.clients.reports import (
    report_abandoned,
    report_answer,
    report_failure,
    report_start,
)
from dspex.errors import Attempt, DeadlineExceeded, ErrorData, ErrorKind, ProviderError
from dspex.usage import Usage
from supervision.deadline import Timeout

if TYPE_CHECKING:
    from types import TracebackType

    from dspex.clients.endpoint import Endpoint
    from dspex.effects import CallScope
    from dspex.messages import Request, Response

__all__ = ("NOT_SENT", "Call")

NOT_SENT: Final = frozenset(
    {ErrorKind.CIRCUIT_OPEN, ErrorKind.ENDPOINT, ErrorKind.POOL, ErrorKind.BUDGET}
)
"""Failures of our own, after which the provider has not seen a request."""

_ON_THE_WIRE: Final = frozenset({"attempt", "first byte", "between chunks"})


class Call(Timeout):
    """A call as a block: entering counts it in flight, leaving settles its accounts.

    The block's time limit is the call's deadline; it ends in `DeadlineExceeded`, which says in
    which step the time went. A stream has no such block around its consumer's work
    (`limits_block=False`) and asks `left_s` instead.

    `cut_short` says that a retry was left out for lack of time: the error is then this call's own,
    and not one that an equal call would have met.

    Args:
        endpoint: who is asked.
        request: the question.
        scope: where the call stands.
        timeout_s: the call's deadline; None takes the endpoint's.
        limits_block: whether the deadline ends the block.
    """

    __slots__ = (
        "attempts",
        "began",
        "cut_short",
        "endpoint",
        "limit_s",
        "request",
        "response",
        "scope",
        "stage",
        "try_began",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        request: Request,
        scope: CallScope,
        timeout_s: float | None,
        *,
        limits_block: bool = True,
    ) -> None:
        self.began = self.try_began = endpoint.clock()
        limit_s = endpoint.settings.call_timeout_s if timeout_s is None else timeout_s
        if scope.deadline is not None and scope.deadline - self.began < limit_s:
            limit_s = _round_up(scope.deadline - self.began)

        super().__init__(endpoint.deadlines, limit_s if limits_block else None)
        self.endpoint = endpoint
        self.request = request
        self.scope = scope
        self.limit_s = limit_s
        self.stage = "cache"
        self.attempts: list[Attempt] = []
        self.cut_short = False
        self.response: Response | None = None

    def __enter__(self) -> Self:
        endpoint, meter = self.endpoint, self.scope.meter
        endpoint.calls += 1
        endpoint.in_flight += 1
        if meter is not None:
            meter.enter_call()

        report_start(self)
        return super().__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        endpoint, meter = self.endpoint, self.scope.meter
        endpoint.in_flight -= 1
        if meter is not None:
            meter.leave_call()

        try:
            super().__exit__(exc_type, exc, traceback)
        except TimeoutError as late:
            error = self.late()
            self._fail(error)
            raise error from late

        # An answer that is there counts, whatever ends the block: a consumer may stop at the end.
        if self.response is not None:
            self._succeed(self.response)
        elif isinstance(exc, ProviderError):
            self._fail(exc)
        elif exc is not None:
            report_abandoned(self)

    def require_time(self) -> None:
        """Raise `DeadlineExceeded` if the time is up before anything was asked."""
        if self.limit_s <= 0:
            raise self.late()

    def left_s(self) -> float:
        """Return the seconds until the call's deadline."""
        return self.began + self.limit_s - self.endpoint.clock()

    def block_s(self) -> float:
        """Return the seconds left for a block that ends with the call."""
        return _round_up(self.left_s())

    def failed_try(self, error: ErrorData) -> None:
        """Note that the current try has failed."""
        latency_s = self.endpoint.clock() - self.try_began
        self.attempts.append(Attempt(self.endpoint.name, error, latency_s=latency_s))

    def late(self) -> DeadlineExceeded:
        """Return the error of a call whose deadline has passed."""
        return DeadlineExceeded(
            ErrorData(
                ErrorKind.DEADLINE,
                f"the call's deadline of {self.limit_s:g} s passed",
                provider=self.endpoint.name,
                model=self.request.model,
                stage=self.stage,
                attempts=tuple(self.attempts),
            )
        )

    def _succeed(self, response: Response) -> None:
        self.endpoint.succeeded += 1
        report_answer(self, response)
        if self.scope.meter is not None:
            self.scope.meter.add(response.usage)

    def _was_sent(self) -> bool:
        return self.stage in _ON_THE_WIRE or any(
            tried.error.kind not in NOT_SENT for tried in self.attempts
        )

    def _fail(self, error: ProviderError) -> None:
        self.endpoint.failed += 1
        report_failure(self, error)
        if self.scope.meter is not None:
            # Our own tries: who follows another's flight has that one's tries in its error. A call
            # that never left, because of a breaker, a budget or a limit, is none.
            own = Usage(calls=int(self._was_sent()), failed_attempts=len(self.attempts))
            self.scope.meter.add(sum((tried.usage for tried in self.attempts), own))


def _round_up(seconds: float) -> float:
    """Return a time limit from a few distinct ones, since each of them has a timer of its own."""
    return math.ceil(max(seconds, 0.0) * 10.0) / 10.0
