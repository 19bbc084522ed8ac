"""How fast a client has been lately."""

from __future__ import annotations

import math
from typing import Final

__all__ = ("DecayingAverage",)

_TAU_S: Final = 10.0
_IDLE_TAU_S: Final = 60.0


class DecayingAverage:
    """An average in which a duration weighs less the older it is.

    What has not been heard of for a while counts as faster and faster, so that it is asked again:
    without that, whoever was slow once would stay so for ever.
    """

    __slots__ = ("_at_s", "_average_s")

    def __init__(self) -> None:
        self._average_s: float | None = None
        self._at_s = 0.0

    def __repr__(self) -> str:
        return f"<DecayingAverage {self._average_s}>"

    def add(self, duration_s: float, now_s: float) -> None:
        """Count one more duration."""
        old = self._average_s
        if old is None:
            self._average_s = duration_s
        else:
            kept = math.exp(-max(0.0, now_s - self._at_s) / _TAU_S)
            # However close together they come, each counts for something.
            kept = min(kept, 0.99)
            self._average_s = old * kept + duration_s * (1.0 - kept)

        self._at_s = now_s

    def read(self, now_s: float) -> float | None:
        """Return the average; None before the first duration."""
        if self._average_s is None:
            return None

        return self._average_s * math.exp(-max(0.0, now_s - self._at_s) / _IDLE_TAU_S)
