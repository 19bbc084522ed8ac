"""The numbers a breaker trips on: a failure rate over a sliding window, and failures in a row.

Counting only failures in a row, as aiobreaker's own storage does, is wrong at both ends: five in a
row are noise among a thousand concurrent calls, and an outage of four calls in five may never reach
fifty in a row. The rate needs a minimum of calls, because a few say little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex.clients.breaker.circuit import CircuitBreakerState, CircuitMemoryStorage
from dspex.clients.window import SlidingWindow

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("FailureWindow",)


class FailureWindow(CircuitMemoryStorage):
    """aiobreaker's storage, with a window of outcomes beside its counter of failures in a row.

    Args:
        window_s: how long an outcome counts.
        failure_rate: the share of failures in the window that trips.
        min_calls: fewer outcomes than this in the window never trip by rate.
        consecutive: failures in a row that trip, whatever the rate.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        window_s: float,
        failure_rate: float,
        min_calls: int,
        consecutive: int,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(CircuitBreakerState.CLOSED)
        self._rate = failure_rate
        self._min_calls = min_calls
        self._consecutive = consecutive
        self._clock = clock
        self._window_s: float = window_s
        self._outcomes = SlidingWindow(window_s, clock=clock)

    @property
    def calls(self) -> int:
        """Outcomes in the window."""
        return self._outcomes.events

    @property
    def failure_rate(self) -> float:
        """The share of failures in the window; 0 when it is empty."""
        calls = self._outcomes.events
        return self._outcomes.marks / calls if calls else 0.0

    @property
    def tripped(self) -> bool:
        """Whether the numbers call for opening."""
        if self.counter >= self._consecutive:
            return True

        return self.calls >= self._min_calls and self.failure_rate >= self._rate

    def retune(
        self, *, window_s: float, failure_rate: float, min_calls: int, consecutive: int
    ) -> None:
        """Take on other numbers; a window of another length begins empty."""
        self._rate = failure_rate
        self._min_calls = min_calls
        self._consecutive = consecutive
        if window_s != self._window_s:
            self._window_s = window_s
            self._outcomes = SlidingWindow(window_s, clock=self._clock)

    def increment_counter(self) -> None:
        """Count a failure."""
        super().increment_counter()
        self._outcomes.count()
        self._outcomes.mark()

    def reset_counter(self) -> None:
        """Count a success, which ends a row of failures."""
        super().reset_counter()
        self._outcomes.count()

    def clear(self) -> None:
        """Forget every outcome."""
        super().reset_counter()
        self._outcomes.clear()
