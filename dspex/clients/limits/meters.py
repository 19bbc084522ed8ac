"""The buckets of one endpoint: requests and tokens, taken from together or not at all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from dspex.clients.limits.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.usage import Usage

__all__ = ("Demand", "Meters")


class Demand(NamedTuple):
    """What one request takes of each limit, in the order of the buckets."""

    requests: int
    tokens: int
    input_tokens: int
    output_tokens: int

    @classmethod
    def used(cls, usage: Usage) -> Demand:
        """Return what a request has really taken."""
        return cls(1, usage.total_tokens, usage.input_tokens, usage.output_tokens)


_NAMES: Final = Demand._fields


class Meters:
    """A bucket for each limit that is set; a request takes from all or from none.

    Args:
        per_min: by name; None for no limit.
        burst_s: how many seconds of rate may go at once after a quiet time; one request always may.
    """

    __slots__ = ("_buckets", "_burst_s")

    def __init__(self, per_min: Mapping[str, float | None], *, burst_s: float) -> None:
        self._burst_s = burst_s
        self._buckets: list[tuple[int, Bucket]] = []
        self.set_rates(per_min)

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def set_rates(self, per_min: Mapping[str, float | None]) -> None:
        """Set limits anew; what is in their buckets stays, and those not named stay."""
        for name, rate in per_min.items():
            if rate is not None and not (rate > 0 and math.isfinite(rate)):
                raise ValueError(f"{name}_per_min must be a positive, finite number, got {rate!r}")

        found = dict(self._buckets)
        for name, rate in per_min.items():
            index = _NAMES.index(name)
            if rate is None:
                found.pop(index, None)
                continue

            burst = max(1.0, rate / 60.0 * self._burst_s)
            if index in found:
                found[index].set_rate(rate, burst=burst)
            else:
                found[index] = Bucket(rate, burst=burst)

        self._buckets = sorted(found.items(), key=lambda item: item[0])

    def take(self, demand: Demand) -> bool:
        """Take from every bucket, or from none if one of them has not enough."""
        for index, bucket in self._buckets:
            if not bucket.take(demand[index]):
                for done, other in self._buckets:
                    if done == index:
                        return False

                    other.charge(-demand[done])

        return True

    def give_back(self, demand: Demand) -> None:
        """Undo a `take`."""
        for index, bucket in self._buckets:
            bucket.charge(-demand[index])

    def correct(self, estimate: Demand, used: Demand) -> bool:
        """Charge what was used beyond the estimate, or less; tell if there was a difference."""
        changed = False
        for index, bucket in self._buckets:
            more = used[index] - estimate[index]
            if more:
                bucket.charge(more)
                changed = True

        return changed

    def wait_s(self, demand: Demand) -> float:
        """Return how long it takes until a `take` succeeds."""
        return max((bucket.wait_s(demand[index]) for index, bucket in self._buckets), default=0.0)

    def bucket(self, name: str) -> Bucket | None:
        """Return the bucket of one limit, None if it has none."""
        index = _NAMES.index(name)
        return next((bucket for found, bucket in self._buckets if found == index), None)
