"""Finds the rate that an endpoint bears, once it has refused many calls for theirs.

A provider that answers "too many requests" rarely says how many are not. Whoever just waits and
sends all of it again is refused again: of five thousand calls at once against five hundred a second
each would be sent six times. So after a wave of refusals calls go out at a rate that starts low and
grows quickly (slow start) until some are refused again, falls to what was accepted, and from then
on grows slowly (V. Jacobson, "Congestion Avoidance and Control", 1988).
"""

from __future__ import annotations

from typing import Final

__all__ = ("Pace",)

_SEEK_S: Final = 0.25
_SEEK_GROWTH: Final = 1.5
_HOLD_S: Final = 1.0
_HOLD_GROWTH: Final = 1.06
_ENOUGH: Final = 20
"""So many calls tell a share of refusals; at a low rate they are waited for."""

_LONGEST_S: Final = 10.0
_TOLERATED: Final = 0.04
_BACK_OFF: Final = 0.97
_LEAST_PER_S: Final = 0.05
_QUIET_S: Final = 60.0
"""After so long without a refusal the provider's trouble is over."""


class Pace:
    """A rate that follows what is accepted; pure: time and counts are passed in.

    Args:
        per_s: the rate to start from.
        now: the time, in seconds.
        sent: how many requests were sent so far.
        refused: how many of them were refused.
    """

    __slots__ = ("_last_refusal", "_refused", "_seeking", "_sent", "_since", "per_s")

    def __init__(self, per_s: float, *, now: float, sent: int, refused: int) -> None:
        self.per_s = max(per_s, _LEAST_PER_S)
        self._seeking = True
        self._last_refusal = now
        self._begin(now, sent, refused)

    def __repr__(self) -> str:
        return f"<Pace {self.per_s:.3g}/s, {'seeking' if self._seeking else 'holding'}>"

    def resume(self, now: float, *, sent: int, refused: int) -> None:
        """Count from now on: what came back during a pause says nothing about the rate."""
        self._begin(now, sent, refused)
        self._last_refusal = now

    def advance(self, now: float, *, sent: int, refused: int) -> bool:
        """Look at what became of the rate; return whether it has changed.

        `over` tells afterwards whether a rate is needed at all.
        """
        took_s = now - self._since
        if took_s < (_SEEK_S if self._seeking else _HOLD_S):
            return False

        tried, turned_away = sent - self._sent, refused - self._refused
        if turned_away:
            self._last_refusal = now

        share = turned_away / max(tried, turned_away, 1)
        if share > _TOLERATED and turned_away > 1:
            self._seeking = False
            accepted_per_s = max(tried - turned_away, 0) / took_s
            self.per_s = max(min(self.per_s, accepted_per_s * _BACK_OFF), _LEAST_PER_S)
        elif tried < _ENOUGH and took_s < _LONGEST_S:
            return False
        elif tried >= 0.7 * self.per_s * took_s:
            # Only a rate that was used up has shown that it is borne.
            self.per_s *= _SEEK_GROWTH if self._seeking else _HOLD_GROWTH

        self._begin(now, sent, refused)
        return True

    def over(self, now: float) -> bool:
        """Tell whether the last refusal is so long ago that no rate is needed."""
        return now - self._last_refusal > _QUIET_S

    def _begin(self, now: float, sent: int, refused: int) -> None:
        self._since = now
        self._sent = sent
        self._refused = refused
