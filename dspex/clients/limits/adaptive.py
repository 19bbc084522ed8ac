"""How many calls an endpoint bears in flight: cut when it refuses many, grown back afterwards."""

from __future__ import annotations

from typing import Final

__all__ = ("AdaptiveConcurrency",)

_CUT: Final = 0.7
_LEAST: Final = 4


class AdaptiveConcurrency:
    """A ceiling on calls in flight; pure: time is passed in.

    There is none until many are refused within a window. Then it is seven tenths of what was in
    flight, and falls again at the earliest after `cooldown_s`, since what comes back before was
    sent under the old one. It grows by one for each answer up to where the last cut began, then
    ever more slowly, and vanishes at twice of that.

    Args:
        cooldown_s: how long to wait after a cut before the next.
    """

    __slots__ = ("_before", "_cooldown_s", "_cut_at", "_level")

    def __init__(self, *, cooldown_s: float = 10.0) -> None:
        self._cooldown_s = cooldown_s
        self._cut_at = float("-inf")
        self._before = 0
        self._level: float | None = None

    def __repr__(self) -> str:
        return f"<AdaptiveConcurrency {self.limit}>"

    @property
    def limit(self) -> int | None:
        """The ceiling; None while there is none."""
        return None if self._level is None else int(self._level)

    def cut(self, now: float, in_flight: int) -> bool:
        """Lower the ceiling, because many of `in_flight` are refused; return whether it fell."""
        if now - self._cut_at < self._cooldown_s:
            return False

        self._cut_at = now
        self._before = max(in_flight, _LEAST)
        self._level = max(self._before * _CUT, float(_LEAST))
        return True

    def answered(self) -> int | None:
        """Grow by one answer; return the ceiling, None once it is gone."""
        level = self._level
        if level is None:
            return None

        level += 1.0 if level < self._before else self._before / (level * 4.0)
        self._level = None if level >= 2.0 * self._before else level
        return self.limit
