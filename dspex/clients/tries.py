"""Trying a call until it is answered or cannot be: admission, one try, and what follows a failure.

Each try is admitted on its own: budget first, then the limiter, and the breaker last, because it
may have opened during the wait. Whatever a try holds is settled or given back on every way out.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dspex.clients.attempt import NOT_ENCODED, attempt
from dspex.clients.budget import estimate_usage
from dspex.clients.prices import priced
from dspex.clients.reports import report_retry
from dspex.clients.rules import rule_for
from dspex.errors import ErrorData, ErrorKind, ProviderError, ProviderTimeout, to_exception
from dspex.messages import StreamEnd, fill
from dspex.usage import Usage
from supervision.deadline import Timeout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType

    from dspex.clients.breaker import Permit
    from dspex.clients.call import Call
    from dspex.clients.endpoint import EndpointState
    from dspex.clients.quota import QuotaLease
    from dspex.clients.transport import Transport
    from dspex.effects import BudgetLease
    from dspex.messages import Response, StreamEvent

__all__ = ("ask", "ask_streaming")

_NOT_SENT: Final = frozenset({ErrorKind.CIRCUIT_OPEN, ErrorKind.ENDPOINT, ErrorKind.POOL})
"""Failures of our own, after which the provider has not seen a request."""

_ONE_CALL: Final = Usage(calls=1)


async def ask(call: Call) -> Response:
    """Return the answer.

    Raises:
        ProviderError: the last try's, with all of them in it.
    """
    _check_time(call)
    while True:
        try:
            with await _admit(call, call.endpoint.settings.attempt_timeout_s) as this:
                async for event in _events(call, this.transport, stream=False):
                    if type(event) is StreamEnd:
                        this.response = _finish(call, event.response)

        except ProviderError as exc:
            await _recover(call, exc)
        else:
            assert this.response is not None, "a try without a failure has an answer"
            return this.response


async def ask_streaming(call: Call) -> AsyncGenerator[StreamEvent, None]:
    """Yield the answer as it comes; a try that failed before anything came is repeated.

    Raises:
        ProviderError: the last try's, with all of them in it.
    """
    _check_time(call)
    while True:
        try:
            with await _admit_in_time(call) as this:
                async with (
                    aclosing(_events(call, this.transport, stream=True)) as events,
                    aclosing(_in_time(call, events)) as timely,
                ):
                    async for event in timely:
                        if isinstance(event, StreamEnd):
                            this.response = call.response = _finish(call, event.response)

                        yield event

        except ProviderError as exc:
            with _Deadline(call):
                await _recover(call, exc)
        else:
            return


def _check_time(call: Call) -> None:
    """Refuse a call whose scope had no time left: it would be sent, and billed, for nothing."""
    if call.limit_s <= 0.0:
        raise call.late()


def _events(call: Call, transport: Transport, *, stream: bool) -> AsyncGenerator[StreamEvent, None]:
    endpoint = call.endpoint
    return attempt(
        transport,
        endpoint.wire,
        endpoint.compat,
        call.request,
        provider=endpoint.name,
        stream=stream,
    )


async def _in_time(
    call: Call, events: AsyncGenerator[StreamEvent, None]
) -> AsyncGenerator[StreamEvent, None]:
    """Yield events that come in time. No deadline runs while the consumer works on one."""
    settings = call.endpoint.settings
    stage, limit_s = "first byte", settings.first_byte_timeout_s
    while True:
        call.stage = stage
        left_s = call.left_s()
        block = call.endpoint.deadlines.timeout(min(limit_s, max(left_s, 0.0)))
        try:
            with block:
                event = await anext(events, None)
        except TimeoutError as exc:
            late = call.late() if left_s < limit_s else _too_slow(call, limit_s)
            raise _delivered(late) if stage == "between chunks" else late from exc

        if event is None:
            return

        yield event
        stage, limit_s = "between chunks", settings.idle_timeout_s


class _Try(Timeout):
    """The right to try once, as a block with the time limit of one try (None: no limit)."""

    __slots__ = (
        "_call",
        "_estimate",
        "_permit",
        "_placed",
        "_purse",
        "_quota",
        "_state",
        "response",
        "transport",
    )

    def __init__(
        self, call: Call, state: EndpointState, transport: Transport, limit_s: float | None
    ) -> None:
        super().__init__(call.endpoint.deadlines, limit_s)
        self.transport = transport
        self._call = call
        self._state = state
        self._placed = False
        self._estimate = _ONE_CALL
        self._purse: BudgetLease | None = None
        self._quota: QuotaLease | None = None
        self._permit: Permit | None = None
        self.response: Response | None = None

    def take(self) -> bool:
        """Take what the try needs, if nobody has to be waited for."""
        self._reserve()
        state, gate = self._state, self.transport.gate
        self._quota = state.quota.try_acquire(
            key=self._call.endpoint.name, tokens=self._estimate.total_tokens
        )
        if self._quota is None or not gate.try_acquire():
            return False

        self._placed = True
        self._pass_breaker()
        return True

    async def wait(self) -> None:
        """Wait in line for what `take` did not get."""
        call = self._call
        try:
            if self._quota is None:
                call.stage = "limiter"
                self._quota = await self._state.quota.acquire(
                    key=call.endpoint.name, tokens=self._estimate.total_tokens
                )

            call.stage = "pool"
            await self.transport.gate.acquire()
            self._placed = True
            if self.transport.closed:
                raise call.endpoint.unavailable("session", "its connections were closed meanwhile")

        except BaseException:
            self._give_back()
            raise

        self._pass_breaker()

    def _reserve(self) -> None:
        call = self._call
        budget = call.scope.budget
        if budget is None and not self._state.counts_tokens:
            return

        self._estimate = estimate_usage(call.request)
        if budget is not None:
            self._purse = budget.reserve(self._estimate)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        late: ProviderTimeout | None = None
        try:
            super().__exit__(exc_type, exc, traceback)
        except TimeoutError:
            late = _too_slow(self._call, self.seconds or 0.0)

        self._close(late or exc)
        if late is not None:
            raise late from exc

    def _close(self, exc: BaseException | None) -> None:
        permit = self._permit
        assert permit is not None
        self._leave_pool()
        if self.response is not None:
            permit.success()
            self._state.pressure.answers += 1
            self._settle(self.response.usage)
        elif isinstance(exc, ProviderError):
            self._judge(permit, exc.data)
        else:
            permit.ignore()
            self._settle(self._estimate)

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

        if error.kind in _NOT_SENT or error.stage == NOT_ENCODED:
            self._give_back()
        else:
            self._settle(self._estimate if _may_have_cost(error) else _ONE_CALL)

    def _settle(self, usage: Usage) -> None:
        if self._quota is not None:
            self._quota.settle(usage)

        if self._purse is not None:
            self._purse.settle(usage)

    def _leave_pool(self) -> None:
        if self._placed:
            self._placed = False
            self.transport.gate.release()

    def _give_back(self) -> None:
        self._leave_pool()
        if self._quota is not None:
            self._quota.refund()

        if self._purse is not None:
            self._purse.release()


class _Deadline(Timeout):
    """A block within a streamed call's deadline, where its consumer is not at work."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        super().__init__(call.endpoint.deadlines, max(call.left_s(), 0.0))
        self._call = call

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(exc_type, exc, traceback)
        except TimeoutError as late:
            raise self._call.late() from late


def _may_have_cost(error: ErrorData) -> bool:
    """Tell whether the model may have worked on a try that failed: it broke off in the middle.

    A refusal costs nothing, and where there was no connection nothing was asked.
    """
    match error.kind:
        case ErrorKind.TIMEOUT:
            return error.stage != "connect"
        case ErrorKind.TRANSPORT:
            return error.stage == "body"
        case ErrorKind.PROTOCOL:
            return True
        case _:
            return False


async def _admit_in_time(call: Call) -> _Try:
    with _Deadline(call):
        return await _admit(call, None)


async def _admit(call: Call, limit_s: float | None) -> _Try:
    endpoint = call.endpoint
    call.stage = "endpoint"
    state = endpoint.live_state or await endpoint.state()
    transport = endpoint.live_transport or await endpoint.transport()
    if not call.attempts:
        state.retries.record_call()

    this = _Try(call, state, transport, limit_s)
    if not this.take():
        await this.wait()

    call.stage = "attempt"
    return this


async def _recover(call: Call, exc: ProviderError) -> None:
    """Wait for the next try of `call`, or raise `exc` with all its tries."""
    endpoint, error = call.endpoint, exc.data
    call.failed_try(error)
    failures = len(call.attempts)
    decision = endpoint.policy.decide(
        error, failures=failures, time_left_s=call.left_s(), rng=endpoint.rng
    )
    call.cut_short = decision.cut_short
    # The budget is there to spare the provider. A try that never reached it costs nothing; nor does
    # the first one on a connection that had gone stale, as thousands may at once.
    free = error.kind in _NOT_SENT or (error.stale_socket and failures == 1)
    state = endpoint.live_state
    if not decision.retry or not (free or state is None or state.retries.spend()):
        raise exc.with_attempts(tuple(call.attempts)) from exc

    endpoint.retries += 1
    report_retry(call, error, decision.delay_s)
    call.stage = "backoff"
    await asyncio.sleep(decision.delay_s)
    call.try_began = endpoint.clock()


def _finish(call: Call, response: Response) -> Response:
    endpoint = call.endpoint
    fill(response, endpoint=endpoint.name, latency_s=endpoint.clock() - call.began)
    # Without a price and without failures the wire's own count stands.
    if endpoint.price is not None or call.attempts:
        usage = priced(response.usage, endpoint.price, failed_attempts=len(call.attempts))
        fill(response, usage=usage, attempts=tuple(call.attempts))

    return response


def _delivered(error: ProviderError) -> ProviderError:
    """Mark an error as having come after part of the answer had been handed on."""
    return to_exception(replace(error.data, delivered=True))


def _too_slow(call: Call, limit_s: float) -> ProviderTimeout:
    return ProviderTimeout(
        ErrorData(
            ErrorKind.TIMEOUT,
            f"took longer than {limit_s:g} s",
            provider=call.endpoint.name,
            model=call.request.model,
            stage=call.stage,
        )
    )
