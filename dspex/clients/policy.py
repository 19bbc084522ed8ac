"""The protection of a model call for anything else that is called: tools, retrievers, servers.

    retry ( rate limit -> place -> breaker -> time limit -> your function )

A `Policy` is a handle; what it counts is owned by a supervised child, under a runtime's tree
(`runtime.policy`) or under its own (`async with policy`).
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from dspex.clients.breaker.endpoint_breaker import EndpointBreaker
from dspex.clients.failures.retry import RetryBudget, RetryPolicy
from dspex.clients.failures.rules import Rule, rule_for
from dspex.clients.limits.limiter import RequestLimiter
from dspex.clients.limits.pool import ConnectionGate
from dspex.config import BreakerSettings
from dspex.errors import (
    DeadlineExceeded,
    EndpointUnavailable,
    ErrorData,
    ErrorKind,
    ProviderError,
    ProviderTimeout,
)
from supervision import ChildSpec, Ref, Supervisor
from supervision.errors import CallTimeout, NoProc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from dspex.clients.breaker.endpoint_breaker import BreakerStatistics
    from dspex.clients.limits.pool import GateStatistics
    from dspex.clients.limits.quota import QuotaLease, QuotaStatistics

__all__ = ("Policy", "PolicyState", "is_transient")

T = TypeVar("T")

_UNBOUNDED: Final = 1_000_000
_RESTART_WAIT_S: Final = 30.0
_BREAKER: Final = BreakerSettings()
_TRANSIENT: Final = Rule(retry="backoff", breaker="failure", failover=True)


def is_transient(exc: Exception) -> bool:
    """Tell whether an exception is the network's: what a policy takes for passing by default."""
    return isinstance(exc, (OSError, EOFError))


class PolicyState:
    """What the calls under one policy share: limiter, places, breaker and retry budget."""

    __slots__ = ("breaker", "gate", "limiter", "retries")

    def __init__(self, policy: Policy, clock: Callable[[], float]) -> None:
        numbers = policy.breaker
        self.limiter = RequestLimiter(
            requests_per_min=policy.requests_per_minute,
            max_waiting=policy.max_waiting,
            name=policy.name,
        )
        self.gate = ConnectionGate(
            policy.max_concurrency or _UNBOUNDED, max_waiting=policy.max_waiting, name=policy.name
        )
        self.retries = RetryBudget(clock=clock)
        self.breaker: EndpointBreaker | None = None
        if numbers is not None:
            self.breaker = EndpointBreaker(
                policy.name,
                "",
                failure_rate=numbers.failure_rate,
                window_s=numbers.window_s,
                min_calls=numbers.min_calls,
                consecutive=numbers.consecutive_failures,
                recovery_s=numbers.recovery_s,
                clock=clock,
            )

    def __repr__(self) -> str:
        return f"<PolicyState {self.limiter!r} {self.gate!r} {self.breaker!r}>"

    def statistics(self) -> tuple[QuotaStatistics, GateStatistics, BreakerStatistics | None]:
        """Return a snapshot of the limiter, the places and the breaker."""
        breaker = self.breaker
        return (
            self.limiter.statistics(),
            self.gate.statistics(),
            None if breaker is None else breaker.statistics(),
        )


class Policy:
    """Limits, retries and breaks the calls of any coroutine function.

    Safe to use from any number of tasks of one event loop. Its numbers do not change.

    Args:
        name: for errors, and in the tree.
        requests_per_minute: calls wait in order for their turn; None for no limit.
        max_concurrency: calls at a time, the others wait in order; None for no limit.
        timeout_s: of one try; None for no limit.
        total_timeout_s: of everything, waiting and retries included.
        retries: tries after the first, with growing pauses, and for at most a fifth of all calls.
        breaker: when to stop calling; None never.
        transient: tells which exceptions may pass by trying again, and count as failures of what
            is called; all others are the caller's own, and are raised at once. A `ProviderError`
            is classified by itself. By default, exceptions of the network.
        max_waiting: more than so many calls are not let in to wait.
        start: starts the child that owns the state; None for `async with policy`.
        rng: for jitter.
    """

    def __init__(
        self,
        name: str,
        *,
        requests_per_minute: float | None = None,
        max_concurrency: int | None = None,
        timeout_s: float | None = None,
        total_timeout_s: float = 300.0,
        retries: int = 2,
        breaker: BreakerSettings | None = _BREAKER,
        transient: Callable[[Exception], bool] = is_transient,
        max_waiting: int = 100_000,
        start: Callable[[ChildSpec], Awaitable[Ref[Any]]] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.requests_per_minute = requests_per_minute
        self.max_concurrency = max_concurrency
        self.timeout_s = timeout_s
        self.total_timeout_s = total_timeout_s
        self.breaker = breaker
        self.max_waiting = max_waiting
        self._transient = transient
        self._retry = RetryPolicy(max_retries=retries)
        self._start = start
        self._rng = rng or random.Random()
        self._ref: Ref[PolicyState] | None = None
        self._own: Supervisor | None = None
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Policy {self.name!r} {'running' if self._ref is not None else 'not running'}>"

    async def __aenter__(self) -> Self:
        if self._ref is not None:
            raise RuntimeError(f"{self!r} is in use already")

        own = Supervisor([self.spec()], name=f"policy {self.name}")
        await own.__aenter__()
        self._own = own
        self._ref = own.ref(self.spec().id, PolicyState)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        own, self._own, self._ref = self._own, None, None
        return None if own is None else await own.__aexit__(exc_type, exc, traceback)

    def spec(self) -> ChildSpec:
        """Describe the child that owns the state."""
        return ChildSpec(f"policy-{self.name}", self._own_state)

    async def run(self, fn: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Return what `fn(*args, **kwargs)` gives, called once or several times.

        Raises:
            CircuitOpen: not called: it has failed too often lately.
            ProviderTimeout: a try took longer than `timeout_s`.
            DeadlineExceeded: everything took longer than `total_timeout_s`.
            PoolExhausted: not called: too many wait already.
            Exception: what `fn` raised, with the last try.
        """
        limit = asyncio.timeout(self.total_timeout_s)
        try:
            async with limit:
                return await self._try_until_done(fn, args, kwargs)
        except TimeoutError as exc:
            if not limit.expired():
                raise

            late = f"took longer than {self.total_timeout_s:g} s, waiting and retries included"
            raise DeadlineExceeded(self._data(ErrorKind.DEADLINE, late)) from exc

    async def state(self) -> PolicyState:
        """Return what the calls share; start its owner if this is the first use.

        Raises:
            EndpointUnavailable: nobody owns it, or its owner is restarting for too long.
        """
        if self._ref is None:
            await self._ensure_started()

        assert self._ref is not None
        try:
            return await self._ref.wait_ready(_RESTART_WAIT_S)
        except (NoProc, CallTimeout) as exc:
            raise EndpointUnavailable(self._data(ErrorKind.ENDPOINT, str(exc))) from exc

    async def _ensure_started(self) -> None:
        async with self._lock:
            if self._ref is not None:
                return

            if self._start is None:
                raise EndpointUnavailable(
                    self._data(
                        ErrorKind.ENDPOINT,
                        f"nobody owns it: use it inside `async with`, or make it by "
                        f"`runtime.policy({self.name!r}, ...)`",
                    )
                )

            self._ref = await self._start(self.spec())

    async def _own_state(self, *, ready: Callable[[object], None]) -> None:
        state = PolicyState(self, asyncio.get_running_loop().time)
        ready(state)
        await state.limiter.serve()

    async def _try_until_done(
        self, fn: Callable[..., Awaitable[T]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> T:
        state, failures = await self.state(), 0
        loop = asyncio.get_running_loop()
        ends = loop.time() + self.total_timeout_s
        state.retries.record_call()
        while True:
            try:
                return await self._try(state, fn, args, kwargs, failures)
            except Exception as exc:
                error = self._error_of(exc)
                if error is None:
                    raise

                failures += 1
                decision = self._retry.decide(
                    error, failures=failures, time_left_s=ends - loop.time(), rng=self._rng
                )
                if not decision.retry or not state.retries.spend():
                    if failures > 1:
                        exc.add_note(f"policy {self.name!r} tried {failures} times")

                    raise

            await asyncio.sleep(decision.delay_s)

    async def _try(
        self,
        state: PolicyState,
        fn: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        failures: int,
    ) -> T:
        lease = await state.limiter.acquire(key=self.name, tokens=0)
        try:
            await state.gate.acquire()
        except BaseException:
            lease.refund()
            raise

        try:
            return await self._call(state, lease, fn, args, kwargs, failures)
        finally:
            state.gate.release()

    async def _call(
        self,
        state: PolicyState,
        lease: QuotaLease,
        fn: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        failures: int,
    ) -> T:
        if state.breaker is None:
            return await self._in_time(fn, args, kwargs)

        try:
            permit = state.breaker.admit()
        except BaseException:
            lease.refund()
            raise

        with permit:
            try:
                result = await self._in_time(fn, args, kwargs)
            except Exception as exc:
                error = self._error_of(exc)
                if error is not None:
                    permit.judge(error, self._rule(exc, error, failures + 1))

                raise

            permit.success()
            return result

    async def _in_time(
        self, fn: Callable[..., Awaitable[T]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> T:
        limit = asyncio.timeout(self.timeout_s)
        try:
            async with limit:
                return await fn(*args, **kwargs)
        except TimeoutError as exc:
            if not limit.expired():
                raise

            late = f"took longer than {self.timeout_s:g} s"
            raise ProviderTimeout(self._data(ErrorKind.TIMEOUT, late, stage="attempt")) from exc

    def _error_of(self, exc: Exception) -> ErrorData | None:
        """Return the failure as data; None for one of the caller's own."""
        if isinstance(exc, ProviderError):
            return exc.data

        if not self._transient(exc):
            return None

        return self._data(ErrorKind.SERVER, f"{type(exc).__name__}: {exc}")

    def _rule(self, exc: Exception, error: ErrorData, failures: int) -> Rule:
        return rule_for(error, failures=failures) if isinstance(exc, ProviderError) else _TRANSIENT

    def _data(self, kind: ErrorKind, message: str, *, stage: str | None = None) -> ErrorData:
        return ErrorData(kind, message, provider=self.name, stage=stage)
