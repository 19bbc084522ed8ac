"""Admission: what one try needs before it may be sent, and what becomes of it afterwards.

Budget first, then the limiter, then a place among the connections, and the breaker last, because it
may have opened during the waits. Who has to wait for a place gives his share of the rate back
meanwhile: it would be used later than it was counted. Whatever a try holds is settled or given back
on every way out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dspex.clients.attempt import NOT_ENCODED
from dspex.clients.call import NOT_SENT, Call
from dspex.clients.failures.rules import rule_for
from dspex.clients.reports import report_pause, report_wait
from dspex.errors import ErrorData, ErrorKind, PoolExhausted, ProviderError, ProviderTimeout
from dspex.usage import Usage
from supervision.deadline import Timeout

if TYPE_CHECKING:
    from types import TracebackType

    from dspex.clients.breaker.endpoint_breaker import Permit
    from dspex.clients.endpoint_state import EndpointState
    from dspex.clients.limits.pool import ConnectionGate
    from dspex.clients.limits.quota import QuotaLease
    from dspex.clients.transport import Transport
    from dspex.effects import BudgetLease
    from dspex.messages import Response

__all__ = ("Try", "admit", "too_slow")

_ONE_CALL: Final = Usage(calls=1)


async def admit(call: Call, limit_s: float | None) -> Try:
    """Return a try that may be sent, limited to `limit_s` seconds from then (None: unlimited).

    Raises:
        ProviderError: it may not; nothing is held.
    """
    endpoint = call.endpoint
    call.stage = "endpoint"
    state = endpoint.live_state or await endpoint.state()
    transport = endpoint.live_transport or await endpoint.transport()
    if not call.attempts:
        state.retries.record_call()

    this = Try(call, state, transport, limit_s)
    if not this.take():
        began = endpoint.clock()
        await this.wait()
        report_wait(call, endpoint.clock() - began)

    call.stage = "attempt"
    return this


class Try(Timeout):
    """The right to try once, as a block with the time limit of one try (None: no limit)."""

    __slots__ = (
        "_call",
        "_estimate",
        "_most",
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
        self._estimate = self._most = _ONE_CALL
        self._purse: BudgetLease | None = None
        self._quota: QuotaLease | None = None
        self._permit: Permit | None = None
        self.response: Response | None = None

    def take(self) -> bool:
        """Take what the try needs, if nobody has to be waited for."""
        if not self._reserve():
            return False

        if not self._take_share() or not self.transport.gate.try_acquire():
            return False

        self._placed = True
        self._pass_breaker()
        return True

    async def wait(self) -> None:
        """Wait in line for what `take` did not get."""
        call = self._call
        try:
            purse = call.scope.budget
            if purse is not None and self._purse is None:
                call.stage = "budget"
                self._purse = await purse.acquire(self._most)

            if self._quota is None:
                await self._wait_for_share()

            if not self.transport.gate.try_acquire():
                await self._wait_for_place()

            self._placed = True
            if self._quota is None and not self._take_share():
                await self._wait_for_share()

            if self.transport.closed:
                raise call.endpoint.unavailable("session", "its connections were closed meanwhile")

        except BaseException:
            self._give_back()
            raise

        self._pass_breaker()

    def _take_share(self) -> bool:
        """Take a share of the rates if nobody has to be waited for."""
        call, estimate = self._call, self._estimate
        self._quota = self._state.quota.try_acquire(
            key=call.endpoint.name,
            tokens=estimate.total_tokens,
            output_tokens=estimate.output_tokens,
            user=call.scope.user,
        )
        return self._quota is not None

    async def _wait_for_share(self) -> None:
        call, estimate = self._call, self._estimate
        call.stage = "limiter"
        self._quota = await self._state.quota.acquire(
            key=call.endpoint.name,
            tokens=estimate.total_tokens,
            output_tokens=estimate.output_tokens,
            user=call.scope.user,
        )

    async def _wait_for_place(self) -> None:
        call, quota, gate = self._call, self._quota, self.transport.gate
        self._quota = None
        if quota is not None:
            quota.refund()

        call.stage = "pool"
        limit_s = call.endpoint.settings.pool_timeout_s
        try:
            with call.endpoint.deadlines.timeout(limit_s):
                await gate.acquire()
        except TimeoutError as exc:
            raise _no_place(call, gate, limit_s or 0.0) from exc

    def _reserve(self) -> bool:
        """Draw from the budget, if there is one; tell whether that needed no waiting."""
        call = self._call
        purse = call.scope.budget
        if purse is not None:
            self._most = call.most(purse.limited)

        if self._state.counts_tokens:
            self._estimate = call.estimate()

        if purse is not None:
            self._purse = purse.try_reserve(self._most)

        return purse is None or self._purse is not None

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
            late = too_slow(self._call, self.seconds or 0.0)

        self._close(late or exc)
        if late is not None:
            raise late from exc

    def _close(self, exc: BaseException | None) -> None:
        permit = self._permit
        assert permit is not None
        self._leave_pool()
        if self.response is not None:
            permit.success()
            state = self._state
            state.pressure.answers += 1
            if state.slowed:
                state.note_answer(self.transport.gate)

            usage = self.response.usage
            # A server that does not count its tokens has not told that it used none.
            self._settle(usage, usage if usage.total_tokens else self._most)
        elif isinstance(exc, ProviderError):
            self._judge(permit, exc.data)
        else:
            permit.ignore()
            self._settle(self._estimate, self._most)

    def _pass_breaker(self) -> None:
        try:
            self._permit = self._state.breaker(self._call.request.model).admit()
        except BaseException:
            self._give_back()
            raise

    def _judge(self, permit: Permit, error: ErrorData) -> None:
        permit.judge(error, rule_for(error, failures=len(self._call.attempts) + 1))
        if error.kind is ErrorKind.RATE_LIMIT:
            pause_s = self._state.note_limited(error, self.transport.gate)
            if pause_s is not None:
                report_pause(self._call, pause_s)

        if error.kind in NOT_SENT or error.stage == NOT_ENCODED:
            self._give_back()
        else:
            self._settle_failed(error)

    def _settle_failed(self, error: ErrorData) -> None:
        if _may_have_cost(error):
            self._settle(self._estimate, self._most)
        else:
            self._settle(_ONE_CALL)

    def _settle(self, usage: Usage, spent: Usage | None = None) -> None:
        """Settle at `usage`, and the budget at `spent` if that is given."""
        if self._quota is not None:
            self._quota.settle(usage)

        if self._purse is not None:
            self._purse.settle(usage if spent is None else spent)

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


def _no_place(call: Call, gate: ConnectionGate, limit_s: float) -> PoolExhausted:
    return PoolExhausted(
        ErrorData(
            ErrorKind.POOL,
            f"no connection became free in {limit_s:g} s: {gate.in_use} of {gate.limit} are in use "
            f"and {gate.waiting} calls wait for one; raise max_connections or pool_timeout_s, or "
            f"start fewer calls at a time",
            provider=call.endpoint.name,
            model=call.request.model,
            stage="pool",
            # It has waited as long as it may.
            should_retry=False,
        )
    )


def too_slow(call: Call, limit_s: float) -> ProviderTimeout:
    """Return the error of a step that took longer than `limit_s`."""
    return ProviderTimeout(
        ErrorData(
            ErrorKind.TIMEOUT,
            f"took longer than {limit_s:g} s",
            provider=call.endpoint.name,
            model=call.request.model,
            stage=call.stage,
        )
    )
