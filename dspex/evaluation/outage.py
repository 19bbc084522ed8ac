"""How long a run holds still while a provider is down, so that no dataset is burnt in seconds.

While a circuit breaker is open every call fails at once, and an evaluation would be through with
its examples before the provider is back; so it would while an endpoint restarts. So the run takes
no further result until a call may get through; finished examples keep their places meanwhile, and
no new ones are started. A router says so only when every endpoint of it is open: as long as one
takes calls, nothing is held up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dspex.errors import ErrorKind
from dspex.evaluation.outcome import Status

if TYPE_CHECKING:
    from dspex.evaluation.outcome import Outcome

__all__ = ("Outage",)

_DEFAULT_PAUSE_S: Final = 1.0
"""For a breaker that does not say when it lets a call through, because one is under way."""

_MAX_PAUSE_S: Final = 60.0

_AT_ONCE: Final = frozenset({ErrorKind.CIRCUIT_OPEN, ErrorKind.ENDPOINT})
"""Outages in which calls fail without having been sent, as fast as they can be made."""


class Outage:
    """What the outcomes of one run tell about its providers. No clock of its own.

    Args:
        max_s: an outage that lasts longer ends the run.
    """

    __slots__ = ("_max_s", "_resumed_s", "_since_s")

    def __init__(self, max_s: float) -> None:
        self._max_s = max_s
        self._since_s: float | None = None
        self._resumed_s = float("-inf")

    def pause_s(self, outcome: Outcome, ended_s: float, now_s: float) -> float:
        """Return how long the run holds still after an outcome; 0: not at all.

        Args:
            outcome: what became of an example.
            ended_s: when that was, on the same clock as `now_s`.
            now_s: when it is looked at, which a pause may have put off.
        """
        data = None if outcome.failure is None else outcome.failure.data
        if data is None or data.kind not in _AT_ONCE:
            if outcome.status is not Status.UNAVAILABLE and ended_s > self._resumed_s:
                self._since_s = None

            return 0.0

        if ended_s < self._resumed_s:
            return 0.0  # it ended before or during the last pause: no news

        if self._since_s is None:
            self._since_s = ended_s

        wanted_s = data.retry_after_s or _DEFAULT_PAUSE_S
        left_s = max(0.0, self._since_s + self._max_s - now_s)
        pause_s = min(wanted_s, _MAX_PAUSE_S, left_s)
        self._resumed_s = now_s + pause_s
        return pause_s

    def too_long(self, now_s: float) -> bool:
        """Tell whether there has been no sign of life for so long that the run is to end."""
        return self._since_s is not None and now_s - self._since_s >= self._max_s
