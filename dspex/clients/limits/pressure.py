"""Tells a stray "too many requests" from an endpoint that is pressed too hard as a whole."""

from __future__ import annotations

from collections import deque
from dataclasses import KW_ONLY, dataclass, field

__all__ = ("Pressure",)


@dataclass(slots=True)
class Pressure:
    """Weighs refusals against answers over the last seconds; pure, its time is passed in.

    An answer costs one increment of `answers`; only refusals are looked at.

    Args:
        window_s: how long a refusal counts.
        share: of refusals among all that came back, from which on the endpoint is pressed.
        min_refusals: fewer than this say nothing.
    """

    _: KW_ONLY
    window_s: float = 5.0
    share: float = 0.3
    min_refusals: int = 10
    answers: int = 0
    _refusals: deque[tuple[float, int]] = field(
        default_factory=deque[tuple[float, int]], repr=False
    )

    def refused(self, now: float) -> bool:
        """Note a refusal; return whether everybody should slow down."""
        refusals = self._refusals
        refusals.append((now, self.answers))
        while refusals[0][0] < now - self.window_s:
            refusals.popleft()

        count = len(refusals)
        since = self.answers - refusals[0][1]
        return count >= self.min_refusals and count >= self.share * (count + since)
