"""A clock that moves when it is told to."""

from __future__ import annotations

import math

__all__ = ("FakeClock",)


class FakeClock:
    """Give the time to a policy under test; it stands still until `advance`.

    An instance is a `Callable[[], float]`, so it goes wherever `time.monotonic` or a loop's `time`
    would. It starts at zero, so that a policy which takes a false value for "never" is caught.

    Args:
        start: the first reading, in seconds.
    """

    __slots__ = ("_now",)

    def __init__(self, start: float = 0.0) -> None:
        self._now = float(start)

    def __call__(self) -> float:
        """Read the clock, in seconds."""
        return self._now

    @property
    def now(self) -> float:
        """The current reading, in seconds."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Move the clock forward and return the new reading.

        Raises:
            ValueError: `seconds` is negative or not finite; a monotonic clock cannot do that.
        """
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(
                f"advance(seconds={seconds!r}): a monotonic clock moves forward by a finite time; "
                "pass zero or more seconds"
            )

        self._now += seconds
        return self._now

    def __repr__(self) -> str:
        return f"FakeClock(now={self._now!r})"
