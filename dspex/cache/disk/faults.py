"""What goes wrong with the disk: always counted, and told once in a while."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Faults",)

_QUIET_S: Final = 60.0


class Faults:
    """Counts faults and tells of them at most once a minute. Safe to use from any thread.

    Args:
        tell: called with the last fault's words and the number of faults since it was called last;
            in the thread that met the fault, so it must be quick and must not raise.
        clock: seconds.
    """

    __slots__ = ("_clock", "_lock", "_quiet_until", "_tell", "_untold", "count")

    def __init__(self, tell: Callable[[str, int], None], clock: Callable[[], float]) -> None:
        self.count = 0
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._quiet_until = float("-inf")
        self._untold = 0

    def note(self, words: str) -> None:
        """Count a fault, and tell of it unless one was told of just now."""
        with self._lock:
            self.count += 1
            self._untold += 1
            now = self._clock()
            if now < self._quiet_until:
                return

            self._quiet_until = now + _QUIET_S
            untold, self._untold = self._untold, 0

        self._tell(words, untold)
