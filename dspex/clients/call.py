"""One call while it runs: its deadline, its tries so far, the step it is in, and its accounts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Final, Self

from dspex.clients.drawing import most_of
from dspex.clients.limits.estimates import estimate_usage, guess_unfinished
from dspex.clients.reports import (
    report_abandoned,
    report_answer,
    report_failure,
    report_start,
)
from dspex.errors import (
    Attempt,
    BudgetExceeded,
    DeadlineExceeded,
    ErrorData,
    ErrorKind,
    ProviderError,
)
from dspex.usage import Usage
from supervision.deadline import Timeout

if TYPE_CHECKING:
    from types import TracebackType

    from dspex.clients.endpoint import Endpoint
    from dspex.effects import BudgetSource, CallScope
    from dspex.messages import DroppedParam, Request, Response

__all__ = ("NOT_SENT", "Call")

NOT_SENT: Final = frozenset(
    {ErrorKind.CIRCUIT_OPEN, ErrorKind.ENDPOINT, ErrorKind.POOL, ErrorKind.BUDGET}
)
"""Failures of our own, after which the provider has not seen a request."""

_ON_THE_WIRE: Final = frozenset({"attempt", "first byte", "between chunks"})

_NOTHING: Final = Usage()


class Call(Timeout):
    """A call as a block: entering counts it in flight, leaving settles its accounts.

    The block's time limit is the call's deadline; it ends in `DeadlineExceeded`, which says in
    which step the time went. A stream has no such block around its consumer's work
    (`limits_block=False`) and asks `left_s` instead.

    `cut_short` says that a retry was left out for lack of time: the error is then this call's own,
    and not one that an equal call would have met. `bound` is the output bound that a budget added
    to the request. `heard` is how many characters of a stream were handed on: a call that is given
    up while the provider works on it counts what was asked and heard, as a guess.

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
        "bound",
        "cut_short",
        "endpoint",
        "heard",
        "limit_s",
        "request",
        "response",
        "scope",
        "stage",
        "try_began",
    )

    operation: ClassVar[str] = "chat"
    """What the conventions of telemetry call it."""

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

        if scope.budget is not None:
            limit_s = _within(scope.budget, self.began, limit_s)

        super().__init__(endpoint.deadlines, limit_s if limits_block else None)
        self.endpoint = endpoint
        self.request = request
        self.scope = scope
        self.limit_s = limit_s
        self.stage = "cache"
        self.attempts: list[Attempt] = []
        self.bound: DroppedParam | None = None
        self.cut_short = False
        self.heard = 0
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
            self._count_unanswered(given_up=True)

    def require_time(self) -> None:
        """Raise if the time is up before anything was asked, the budget's or the call's."""
        if self.limit_s > 0:
            return

        purse = self.scope.budget
        if purse is not None and purse.deadline is not None and purse.deadline <= self.began:
            raise self._out_of_time()

        raise self.late()

    def left_s(self) -> float:
        """Return the seconds until the call's deadline."""
        return self.began + self.limit_s - self.endpoint.clock()

    def block_s(self) -> float:
        """Return the seconds left for a block that ends with the call."""
        return _round_up(self.left_s())

    def estimate(self) -> Usage:
        """Guess what one try will use, for limits on tokens."""
        return estimate_usage(self.request)

    def most(self, limited: frozenset[str]) -> Usage:
        """Return the most that one try can use of what a budget bounds; see `most_of`."""
        return most_of(self, limited)

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

    def _out_of_time(self) -> BudgetExceeded:
        return BudgetExceeded(
            ErrorData(
                ErrorKind.BUDGET,
                "not sent: the time of its budget is up",
                provider=self.endpoint.name,
                model=self.request.model,
                stage="budget",
            )
        )

    def _succeed(self, response: Response) -> None:
        self.endpoint.succeeded += 1
        report_answer(self, response)
        if self.scope.meter is not None:
            self.scope.meter.add(response.usage, self.endpoint.name, self.request.model)

    def _was_sent(self) -> bool:
        return self.stage in _ON_THE_WIRE or any(
            tried.error.kind not in NOT_SENT for tried in self.attempts
        )

    def _fail(self, error: ProviderError) -> None:
        self.endpoint.failed += 1
        self.endpoint.tally.failed(error.data.kind)
        report_failure(self, error)
        self._count_unanswered(given_up=error.data.kind is ErrorKind.DEADLINE)

    def _count_unanswered(self, *, given_up: bool) -> None:
        meter = self.scope.meter
        if meter is None:
            return

        # Our own tries: who follows another's flight has that one's tries in its error. A call
        # that never left, because of a breaker, a budget or a limit, is none.
        own = Usage(calls=int(self._was_sent()), failed_attempts=len(self.attempts))
        used = sum((tried.usage for tried in self.attempts), own)
        if self.heard or (given_up and self.stage in _ON_THE_WIRE):
            price = self.endpoint.prices.get(self.request.model)
            used += guess_unfinished(self.estimate(), price, self.heard)

        if used != _NOTHING:
            meter.add(used, self.endpoint.name, self.request.model)


def _round_up(seconds: float) -> float:
    """Return a time limit from a few distinct ones, since each of them has a timer of its own."""
    return math.ceil(max(seconds, 0.0) * 10.0) / 10.0


def _within(purse: BudgetSource, now: float, limit_s: float) -> float:
    """Return the time limit of a call whose budget may end before."""
    ends = purse.deadline
    return limit_s if ends is None or ends - now >= limit_s else _round_up(ends - now)
