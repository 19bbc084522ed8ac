"""Whether to try again, and when: pure functions of the failure, the time left and a random source.

Delays grow exponentially with full jitter (M. Brooker, "Exponential Backoff and Jitter", AWS
Architecture Blog, 2015): spread over the whole interval, because callers that failed together must
not come back together. `RetryBudget` bounds what retries add to the load of an endpoint that is
down (the idea of Finagle's RetryBudget): each call earns a fraction of a retry.
"""

from __future__ import annotations

import time
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from dspex.clients.failures.rules import Rule, rule_for
from dspex.clients.window import SlidingWindow

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from dspex.errors import ErrorData

__all__ = ("RetryBudget", "RetryBudgetStatistics", "RetryDecision", "RetryPolicy")


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """Whether to try again after `delay_s`; `reason` says why or why not, for logs and errors.

    `cut_short` says that only the caller's deadline stood against it.
    """

    retry: bool
    delay_s: float
    reason: str
    cut_short: bool = False


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how far apart one call is tried.

    Attributes:
        max_retries: tries after the first.
        base_s: the first delay is drawn from 0 to this, each following one from twice as much.
        cap_s: no delay of our own is longer.
        hint_cap_s: a provider that asks for more patience than this is not waited for.
    """

    _: KW_ONLY
    max_retries: int = 4
    base_s: float = 0.5
    cap_s: float = 8.0
    hint_cap_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("max_retries", "base_s", "cap_s", "hint_cap_s"):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(f"{name} must be 0 or more, got {value!r}")

    def decide(
        self, error: ErrorData, *, failures: int, time_left_s: float, rng: random.Random
    ) -> RetryDecision:
        """Decide what follows one failed try; about 2 us.

        Args:
            error: why it failed.
            failures: how many tries of this call have failed, this one included.
            time_left_s: until the call's deadline.
            rng: where jitter comes from.
        """
        rule = rule_for(error, failures=failures)
        refusal = self._refusal(error, rule, failures)
        if refusal is not None:
            return RetryDecision(False, 0.0, refusal)

        delay_s = self._delay_s(error, failures, rng)
        if delay_s >= time_left_s:
            return RetryDecision(
                False,
                0.0,
                f"the deadline passes in {time_left_s:.3g} s, before {delay_s:.3g} s",
                cut_short=True,
            )

        return RetryDecision(True, delay_s, f"{error.kind} on try {failures}")

    def _refusal(self, error: ErrorData, rule: Rule, failures: int) -> str | None:
        if error.delivered:
            return "part of the answer was handed on already"

        if error.should_retry is False:
            return "the provider said not to try again"

        if rule.retry == "no" and not error.should_retry:
            return f"{error.kind} does not pass by trying again"

        allowed = min(1, self.max_retries) if rule.retry == "once" else self.max_retries
        if failures > allowed:
            return f"tried {failures} times"

        hint_s = error.retry_after_s
        if hint_s is not None and hint_s > self.hint_cap_s:
            return f"asked to wait {hint_s:.3g} s, more than {self.hint_cap_s:.3g} s"

        return None

    def _delay_s(self, error: ErrorData, failures: int, rng: random.Random) -> float:
        if error.stale_socket and failures <= 1:
            return 0.0

        jitter_s = rng.uniform(0.0, min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 60)))
        return (error.retry_after_s or 0.0) + jitter_s


@dataclass(frozen=True, slots=True)
class RetryBudgetStatistics:
    """One moment of a retry budget: what its window holds, and what was ever refused."""

    calls: int
    retries: int
    available: float
    refused: int


class RetryBudget:
    """At most `ratio` retries for every call of the last `window_s` seconds, and `reserve` more.

    The window is as long as one try may take: calls that start together fail together, long after
    they earned what their retries cost. Not thread-safe. An operation costs less than 1 us.

    Args:
        ratio: retries per call.
        reserve: retries per window that need not be earned, so that a quiet endpoint gets some.
        window_s: how long a call counts.
        clock: monotonic, in seconds.
    """

    __slots__ = ("_ratio", "_refused", "_reserve", "_window")

    def __init__(
        self,
        *,
        ratio: float = 0.2,
        reserve: int = 20,
        window_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (ratio >= 0 and reserve >= 0):
            raise ValueError(f"ratio and reserve must be 0 or more, got {ratio!r} and {reserve!r}")

        self._ratio = ratio
        self._reserve = reserve
        self._window = SlidingWindow(window_s, clock=clock)
        self._refused = 0

    @property
    def available(self) -> float:
        """How many retries may be spent now."""
        return self._reserve + self._ratio * self._window.events - self._window.marks

    def set_ratio(self, ratio: float) -> None:
        """Change how much of a retry each call earns, for those counted already, too."""
        self._ratio = ratio

    def record_call(self) -> None:
        """Count a call; once, before its first try."""
        self._window.count()

    def spend(self) -> bool:
        """Take one retry out; False when there is none, and then there must be no retry."""
        if self.available < 1:
            self._refused += 1
            return False

        self._window.mark()
        return True

    def statistics(self) -> RetryBudgetStatistics:
        """Return a snapshot."""
        window = self._window
        return RetryBudgetStatistics(window.events, window.marks, self.available, self._refused)

    def __repr__(self) -> str:
        return (
            f"<RetryBudget {self._window.marks} retries for {self._window.events} calls, "
            f"{self._refused} refused>"
        )
