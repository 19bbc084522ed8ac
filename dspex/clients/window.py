"""Counts over the last so many seconds, in constant memory and nearly constant time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("SlidingWindow",)

_SLOTS: Final = 30


class SlidingWindow:
    """Counts events and, beside them, marks; both are forgotten after `window_s`.

    The window moves in thirtieths of its length. An operation costs about 0.3 us. Not thread-safe.

    Args:
        window_s: how long an event counts.
        clock: monotonic, in seconds.
    """

    __slots__ = ("_clock", "_epoch", "_events", "_marks", "_slot_s", "_sum_events", "_sum_marks")

    def __init__(self, window_s: float, *, clock: Callable[[], float]) -> None:
        if not window_s > 0:
            raise ValueError(f"window_s must be positive, got {window_s!r}")

        self._clock = clock
        self._slot_s = window_s / _SLOTS
        self.clear()

    @property
    def events(self) -> int:
        """Events in the window."""
        self._slot()
        return self._sum_events

    @property
    def marks(self) -> int:
        """Marks in the window."""
        self._slot()
        return self._sum_marks

    def count(self) -> None:
        """Add an event."""
        self._events[self._slot()] += 1
        self._sum_events += 1

    def mark(self) -> None:
        """Add a mark."""
        self._marks[self._slot()] += 1
        self._sum_marks += 1

    def clear(self) -> None:
        """Forget everything."""
        self._events = [0] * _SLOTS
        self._marks = [0] * _SLOTS
        self._sum_events = 0
        self._sum_marks = 0
        self._epoch = int(self._clock() / self._slot_s)

    def _slot(self) -> int:
        epoch = int(self._clock() / self._slot_s)
        if epoch > self._epoch:
            self._forget(epoch)

        return self._epoch % _SLOTS

    def _forget(self, epoch: int) -> None:
        for passed in range(max(self._epoch + 1, epoch - _SLOTS + 1), epoch + 1):
            slot = passed % _SLOTS
            self._sum_events -= self._events[slot]
            self._sum_marks -= self._marks[slot]
            self._events[slot] = self._marks[slot] = 0

        self._epoch = epoch
