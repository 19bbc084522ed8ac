"""Whether a read may run in the event loop: as long as reads are quick."""

from __future__ import annotations

from typing import Final

__all__ = ("Warmth",)

_SLOW_S: Final = 0.002
_REST: Final = 200


class Warmth:
    """Sends reads to the reader thread for a while after one was slow.

    A page that the system holds in memory is read in microseconds; from a busy disk it may take a
    hundred thousand times as long. One read in a few hundred finds out whether that has passed.
    """

    __slots__ = ("_resting",)

    def __init__(self) -> None:
        self._resting = 0

    def allows(self) -> bool:
        """Tell whether the next read may run in the loop."""
        if not self._resting:
            return True

        self._resting -= 1
        return False

    def note(self, took_s: float) -> None:
        """Take in how long a read in the loop took."""
        if took_s > _SLOW_S:
            self._resting = _REST
