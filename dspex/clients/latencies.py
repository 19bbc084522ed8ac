"""How long answers took, as percentiles of everything so far in two kilobytes.

An exponential histogram: eight classes to each doubling, so that a percentile is right within five
per cent, whatever the latencies are. Recording one costs a quarter of a microsecond; percentiles
are computed when somebody asks.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Final

__all__ = ("Latencies", "LatencyStatistics")

_CLASSES_PER_DOUBLING: Final = 8
_SHORTEST_S: Final = 1e-4
_LONGEST_S: Final = 86_400.0
_FIRST: Final = math.floor(math.log2(_SHORTEST_S) * _CLASSES_PER_DOUBLING)
_LAST: Final = math.floor(math.log2(_LONGEST_S) * _CLASSES_PER_DOUBLING)


@dataclass(frozen=True, slots=True)
class LatencyStatistics:
    """Percentiles of the latencies so far, in seconds; all 0 before the first."""

    _: KW_ONLY
    count: int = 0
    mean_s: float = 0.0
    p50_s: float = 0.0
    p90_s: float = 0.0
    p99_s: float = 0.0
    max_s: float = 0.0


class Latencies:
    """Counts latencies by their class. Not thread-safe."""

    __slots__ = ("_counts", "_max_s", "_total_s", "count")

    def __init__(self) -> None:
        self.count = 0
        self._counts = [0] * (_LAST - _FIRST + 1)
        self._total_s = 0.0
        self._max_s = 0.0

    def __repr__(self) -> str:
        return f"<Latencies of {self.count}, median {self.percentile(0.5):.3g} s>"

    def record(self, seconds: float) -> None:
        """Count one."""
        self.count += 1
        self._total_s += seconds
        if seconds > self._max_s:
            self._max_s = seconds

        if not seconds > _SHORTEST_S:
            index = 0
        elif seconds >= _LONGEST_S:
            index = _LAST - _FIRST
        else:
            index = int(math.log2(seconds) * _CLASSES_PER_DOUBLING - _FIRST)

        self._counts[index] += 1

    def percentile(self, share: float) -> float:
        """Return the latency that `share` of all stay below, in seconds; 0 before the first."""
        wanted = share * self.count
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= wanted and seen:
                middle = (index + _FIRST + 0.5) / _CLASSES_PER_DOUBLING
                return min(math.exp2(middle), self._max_s)

        return 0.0

    def statistics(self) -> LatencyStatistics:
        """Return a snapshot."""
        return LatencyStatistics(
            count=self.count,
            mean_s=self._total_s / self.count if self.count else 0.0,
            p50_s=self.percentile(0.5),
            p90_s=self.percentile(0.9),
            p99_s=self.percentile(0.99),
            max_s=self._max_s,
        )
