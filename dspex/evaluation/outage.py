"""How long a run holds still while a provider is down, so that no dataset is burnt in seconds.

While a circuit breaker is open every call fails at once, and an evaluation would be through with
its examples before the provider is back; so it would while an endpoint restarts. So no example is
begun until a call may get through. Then one is, as a probe, and two more after a second, four after
the next, and so on: until one of them gets an answer, which ends the outage, or fails, which
prolongs it. Results are taken and kept all the time. A router says that it is down only when every
endpoint of it is open: as long as one takes calls, nothing is held up.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from dspex.errors import ErrorKind
from dspex.evaluation.outcome import Status

if TYPE_CHECKING:
    from dspex.evaluation.outcome import Outcome

__all__ = ("Outage",)

_DEFAULT_PAUSE_S: Final = 1.0
"""For a breaker that does not say when it lets a call through, because one is under way."""

_MAX_PAUSE_S: Final = 60.0

_WAVE_S: Final = 1.0
"""A probe without bad news for so long is followed by more: calls that fail at once fail sooner."""

_LEAST_WAIT_S: Final = 0.001

_AT_ONCE: Final = frozenset({ErrorKind.CIRCUIT_OPEN, ErrorKind.ENDPOINT})
"""Outages in which calls fail without having been sent, as fast as they can be made."""


class Outage:
    """What the outcomes of one run tell about its providers. No clock of its own.

    `reason` is the last bad news.

    Args:
        max_s: an outage that lasts longer ends the run.
    """

    __slots__ = ("_held_until_s", "_left", "_max_s", "_since_s", "_wave", "_wave_until_s", "reason")

    def __init__(self, max_s: float) -> None:
        self._max_s = max_s
        self._since_s: float | None = None
        self._held_until_s = -math.inf
        self._wave = 0
        self._wave_until_s = -math.inf
        self._left = 0
        self.reason = ""

    @property
    def is_on(self) -> bool:
        """Whether there was bad news and no sign of life since."""
        return self._since_s is not None

    def hear(self, outcome: Outcome, ended_s: float) -> None:
        """Take note of what became of an example, and when."""
        data = None if outcome.failure is None else outcome.failure.data
        if data is not None and data.kind in _AT_ONCE:
            self.reason = str(outcome.failure)
            self._hold(ended_s, data.retry_after_s or _DEFAULT_PAUSE_S)
        elif self._since_s is not None and _got_through(outcome):
            # One begun before may have had its answers before, too: it opens nothing.
            is_probe = ended_s - outcome.latency_s >= self._held_until_s
            self._since_s = None if is_probe else max(self._since_s, ended_s)

    def _hold(self, ended_s: float, wanted_s: float) -> None:
        if self._since_s is not None and ended_s < self._held_until_s:
            return  # it was begun before this outage, or with the last probe: no news

        if self._since_s is None:
            self._since_s = ended_s

        self._held_until_s = ended_s + min(wanted_s, _MAX_PAUSE_S)
        self._wave = 0

    def wait_s(self, now_s: float) -> float:
        """Return how long the next example is to wait; 0: it may begin, and is taken to do so."""
        since_s = self._since_s
        if since_s is None:
            return 0.0

        if now_s < self._held_until_s:
            left_s = min(self._held_until_s, since_s + self._max_s) - now_s
            return max(left_s, _LEAST_WAIT_S)

        if now_s >= self._wave_until_s or not self._wave:
            self._wave = self._left = 2 * self._wave or 1
            self._wave_until_s = now_s + _WAVE_S

        if self._left:
            self._left -= 1
            return 0.0

        return self._wave_until_s - now_s

    def too_long(self, now_s: float) -> bool:
        """Tell whether there has been no sign of life for so long that the run is to end.

        As long as there is no bad news of a probe it is not.
        """
        return self._since_s is not None and not self._wave and now_s - self._since_s >= self._max_s


def _got_through(outcome: Outcome) -> bool:
    """Tell whether a provider has answered; one whose program is not metered is taken to have."""
    usage = outcome.usage
    return outcome.status is not Status.UNAVAILABLE and (usage.calls > 0 or not usage.cache_hits)
