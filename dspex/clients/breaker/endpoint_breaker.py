"""A circuit breaker for one endpoint and model, on aiobreaker's states, storage and listeners.

    closed ── too many failures ──> open ── recovery_s passed ──> half-open ── success ──> closed
                                      ^                               │
                                      └────────── failure ────────────┘

aiobreaker supplies the state machine and where it keeps its numbers; admission is ours, because its
own lets every waiting call through when half-open, reads the wall clock in two time zones, counts
outcomes of calls that began before the state changed, and takes what is excluded for a success.

- `admit` gives a `Permit` or raises; each permit has one outcome, and the first one given counts.
- Half-open admits one probe. One that never reports gives up its place after `probe_timeout_s`.
- The state object a call was admitted under is its generation: outcomes of older ones are ignored.
- There are three outcomes. `ignore` gives a probe's place back and judges nothing: the call was
  cancelled, rate-limited, or at fault itself.

The breaker is a plain object without tasks; it lives in a supervised child of its own, so that a
crash of the connection pool does not forget that the provider is down.
"""

from __future__ import annotations

import math
import time
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from dspex.clients.breaker.circuit import (
    CircuitBreaker,
    CircuitBreakerListener,
    CircuitBreakerState,
)
from dspex.clients.breaker.failure_window import FailureWindow
from dspex.clients.breaker.states import STATES, Closed, HalfOpen, Open
from dspex.errors import CircuitOpen, ErrorData, ErrorKind, to_exception

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from dspex.clients.failures.rules import Rule

__all__ = (
    "BreakerChange",
    "BreakerOpen",
    "BreakerState",
    "BreakerStatistics",
    "EndpointBreaker",
    "Permit",
)

BreakerState = Literal["closed", "open", "half_open"]

_PROBE_RETRY_S: Final = 1.0
"""When to come back while somebody else's probe is under way."""


class BreakerOpen(CircuitOpen):
    """Raised by `admit`: nothing was sent; `last_error` is what opened the breaker, if known."""

    def __init__(self, data: ErrorData, last_error: ErrorData | None = None) -> None:
        self.last_error = last_error
        super().__init__(data)

    @property
    def retry_after_s(self) -> float | None:
        """When it is worth asking again; None when somebody opened the breaker by hand for good."""
        return self.data.retry_after_s


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """A change of state, as the listener hears of it; `error` is the failure behind it."""

    name: str
    old: BreakerState
    new: BreakerState
    error: ErrorData | None
    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class BreakerStatistics:
    """One moment of a breaker; `calls` and `failure_rate` are of the window."""

    _: KW_ONLY
    state: BreakerState
    calls: int
    failure_rate: float
    consecutive_failures: int
    opened: int
    rejected: int
    retry_after_s: float | None
    last_error: ErrorData | None


class Permit:
    """The right to make one call, to be given back with one outcome; the first one counts.

    As a context manager it gives itself back with `ignore` when the block ends without an outcome,
    as it does when the call is cancelled.
    """

    __slots__ = ("_breaker", "_state")

    def __init__(self, breaker: EndpointBreaker, state: Closed | HalfOpen) -> None:
        self._breaker = breaker
        self._state: Closed | HalfOpen | None = state

    def success(self) -> None:
        """Say that the endpoint did its work."""
        state, self._state = self._state, None
        if state is not None and state is self._breaker.generation:
            self._breaker.window.reset_counter()
            state.on_success()

    def failure(self, error: ErrorData) -> None:
        """Say that the endpoint failed."""
        state, self._state = self._state, None
        if state is not None and state is self._breaker.generation:
            self._breaker.last_error = error
            self._breaker.window.increment_counter()
            state.on_failure(None)

    def ignore(self) -> None:
        """Say nothing about the endpoint; a probe's place is free again."""
        state, self._state = self._state, None
        if isinstance(state, HalfOpen) and state.probe is self:
            state.probe = None

    def trip(self, for_s: float, error: ErrorData) -> None:
        """Say that no call can succeed for a while: the quota is used up, the key is wrong."""
        state, self._state = self._state, None
        if state is not None and state is self._breaker.generation:
            self._breaker.trip(for_s, error)

    def judge(self, error: ErrorData, rule: Rule) -> None:
        """Give the outcome that `rule` has for `error`."""
        if rule.breaker == "success":
            self.success()
        elif rule.breaker == "failure":
            self.failure(error)
        elif rule.breaker == "trip":
            self.trip(rule.trip_s, error)
        else:
            self.ignore()

    def __enter__(self) -> Permit:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._state is not None:
            self.ignore()


class EndpointBreaker(CircuitBreaker):
    """Stops calls to an endpoint that fails, and probes it until it works again.

    Admission and outcomes are synchronous and cost about a microsecond. Belongs to one event loop;
    not thread-safe.

    Args:
        provider: for errors and events.
        model: for errors and events.
        failure_rate: the share of failures in the window that opens the breaker.
        window_s: how long an outcome counts.
        min_calls: with fewer outcomes in the window the rate says nothing.
        consecutive: this many failures in a row open it whatever the rate.
        recovery_s: how long it stays open before a probe.
        probe_timeout_s: a probe that has not reported by then gives up its place.
        clock: monotonic, in seconds.
        on_change: hears of each change of state, after it; must not block.
    """

    def __init__(
        self,
        provider: str,
        model: str,
        *,
        failure_rate: float = 0.5,
        window_s: float = 30.0,
        min_calls: int = 50,
        consecutive: int = 20,
        recovery_s: float = 30.0,
        probe_timeout_s: float = 150.0,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[BreakerChange], None] | None = None,
    ) -> None:
        self.provider = provider
        self.model = model
        self.window = FailureWindow(
            window_s=window_s,
            failure_rate=failure_rate,
            min_calls=min_calls,
            consecutive=consecutive,
            clock=clock,
        )
        self.last_error: ErrorData | None = None
        self._clock = clock
        self._probe_timeout_s = probe_timeout_s
        self._open_until = -math.inf
        self._opened = 0
        self._rejected = 0
        super().__init__(
            fail_max=consecutive,
            timeout_duration=timedelta(seconds=recovery_s),
            listeners=[] if on_change is None else [_Announcer(on_change)],
            state_storage=self.window,
            name=f"{provider}/{model}",
        )

    def admit(self) -> Permit:
        """Return the right to make one call.

        Raises:
            BreakerOpen: the endpoint is down, or a probe is finding out whether it still is.
        """
        state = self._state
        if type(state) is Closed:
            return Permit(self, state)

        return self._admit_probe()

    def open(self, for_s: float | None = None) -> None:
        """Reject calls for `for_s` seconds, the recovery time when None, then probe.

        An open breaker stays open for the longer of the two times; `math.inf` is until `close`.
        """
        until = self._clock() + (self._recovery_s if for_s is None else for_s)
        if type(self._state) is Open:
            self._open_until = max(self._open_until, until)
            return

        self._open_until = until
        self._opened += 1
        self._move(CircuitBreakerState.OPEN)

    def half_open(self) -> None:
        """Let one probe through now."""
        self._move(CircuitBreakerState.HALF_OPEN)

    def close(self) -> None:
        """Let every call through and forget past failures."""
        self.last_error = None
        self._move(CircuitBreakerState.CLOSED)

    def trip(self, for_s: float, error: ErrorData) -> None:
        """Open for `for_s` seconds because of `error`, whatever the failure rate."""
        self.last_error = error
        self.open(for_s)

    def retune(
        self,
        *,
        failure_rate: float,
        window_s: float,
        min_calls: int,
        consecutive: int,
        recovery_s: float,
    ) -> None:
        """Take on other numbers; the state stays, and outcomes so far unless the window changes."""
        self.timeout_duration = timedelta(seconds=recovery_s)
        self.window.retune(
            window_s=window_s,
            failure_rate=failure_rate,
            min_calls=min_calls,
            consecutive=consecutive,
        )

    @property
    def generation(self) -> object:
        """What changes identity with each change of state."""
        return self._state

    @property
    def refuses(self) -> bool:
        """Whether `admit` would raise now: to choose by, without taking a probe's place."""
        state = self._state
        if type(state) is Closed:
            return False

        now = self._clock()
        if type(state) is Open:
            return now < self._open_until

        return state.probe is not None and now < state.probe_ends

    @property
    def retry_after_s(self) -> float | None:
        """How long calls are rejected for now; 0 when they are not, None until `close`."""
        if type(self._state) is not Open:
            return 0.0

        left_s = max(0.0, self._open_until - self._clock())
        return left_s if math.isfinite(left_s) else None

    def statistics(self) -> BreakerStatistics:
        """Return a snapshot."""
        return BreakerStatistics(
            state=self._state.name,
            calls=self.window.calls,
            failure_rate=self.window.failure_rate,
            consecutive_failures=self.window.counter,
            opened=self._opened,
            rejected=self._rejected,
            retry_after_s=self.retry_after_s,
            last_error=self.last_error,
        )

    def __repr__(self) -> str:
        return (
            f"<EndpointBreaker {self.name!r} {self._state.name}, {self.window.calls} calls, "
            f"{self.window.failure_rate:.0%} failed, {self._rejected} rejected>"
        )

    def call(self, func: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: aiobreaker's own way in goes round the single probe."""
        raise TypeError(f"{self!r} does not call functions: use `with breaker.admit() as permit`")

    async def call_async(self, func: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse, as `call` does."""
        self.call(func)

    @property
    def opens_at(self) -> datetime | None:
        """When the next probe may go, by the wall clock: to show, not to decide by."""
        left = self.time_until_open
        return None if left is None else datetime.now(UTC) + left

    @property
    def time_until_open(self) -> timedelta | None:
        """How long until the next probe may go; None when nothing need be waited for."""
        left_s = self.retry_after_s
        return timedelta(seconds=left_s) if left_s else None

    @property
    def _recovery_s(self) -> float:
        return self.timeout_duration.total_seconds()

    def _admit_probe(self) -> Permit:
        now, state = self._clock(), self._state
        if type(state) is Open:
            if now < self._open_until:
                raise self._rejection(self.retry_after_s)

            self.half_open()
            state = self._state

        if state.probe is not None and now < state.probe_ends:
            raise self._rejection(_PROBE_RETRY_S)

        state.probe = permit = Permit(self, state)
        state.probe_ends = now + self._probe_timeout_s
        return permit

    def _rejection(self, retry_after_s: float | None) -> BreakerOpen:
        self._rejected += 1
        last = self.last_error
        because = "by hand" if last is None else f"after {last.kind}: {last.message}"
        data = ErrorData(
            ErrorKind.CIRCUIT_OPEN,
            f"not sent: the circuit breaker is {self._state.name} {because}",
            provider=self.provider,
            model=self.model,
            retry_after_s=retry_after_s,
            stage="breaker",
        )
        rejection = BreakerOpen(data, last)
        rejection.__cause__ = None if last is None else to_exception(last)
        return rejection

    def _move(self, new: CircuitBreakerState) -> None:
        old = self._state
        self.window.state = new
        self._state = self._create_new_state(new)
        if new is CircuitBreakerState.CLOSED:
            self.window.clear()

        for listener in self.listeners:
            listener.state_change(self, old, self._state)

    def _create_new_state(
        self, new_state: CircuitBreakerState, prev_state: Any = None, notify: bool = False
    ) -> Closed | Open | HalfOpen:
        return STATES[new_state](self, prev_state=prev_state, notify=notify)


class _Announcer(CircuitBreakerListener):
    def __init__(self, on_change: Callable[[BreakerChange], None]) -> None:
        self._on_change = on_change

    def state_change(self, breaker: EndpointBreaker, old: Any, new: Any) -> None:
        self._on_change(
            BreakerChange(
                breaker.name, old.name, new.name, breaker.last_error, breaker.retry_after_s
            )
        )
