"""Costs of repeated work, always measured in pairs: reference, subject, reference, subject.

What else runs on the machine then falls on both sides alike. CPU time is the process's own, kernel
time included; the load server is another process and does not count.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

__all__ = ("Cost", "Pairs", "Span", "drive", "interleave", "measure", "span_of")

T = TypeVar("T")

Work = Callable[[int], Awaitable["Cost"]]
"""Does one round of work, given the round's number, and says what it took."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a number of calls took together."""

    calls: int
    cpu_s: float
    wall_s: float

    @property
    def cpu_us_per_call(self) -> float:
        """Microseconds of CPU per call."""
        return self.cpu_s / self.calls * 1e6


@dataclass(frozen=True, slots=True)
class Span:
    """The middle of several measurements, and how far apart they lay."""

    median: float
    low: float
    high: float


def span_of(values: Iterable[float]) -> Span:
    """Return median, minimum and maximum."""
    ordered = sorted(values)
    return Span(median(ordered), ordered[0], ordered[-1])


@dataclass(frozen=True, slots=True)
class Pairs:
    """Measurements in the order they were made: `reference[i]` just before `subject[i]`."""

    reference: tuple[float, ...]
    subject: tuple[float, ...]

    @property
    def ratio(self) -> Span:
        """The ratio of the medians; its spread is that of the ratios of each pair."""
        each = span_of(own / other for other, own in zip(self.reference, self.subject, strict=True))
        return Span(median(self.subject) / median(self.reference), each.low, each.high)


async def measure(calls: int, work: Callable[[], Awaitable[object]]) -> Cost:
    """Run `work`, which makes so many calls, and return what it took."""
    gc.collect()  # each round pays for its own garbage only
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    await work()
    return Cost(calls, time.process_time() - cpu_s, time.perf_counter() - wall_s)


async def interleave(
    reference: Work, subject: Work, *, pairs: int, value: Callable[[Cost], float]
) -> Pairs:
    """Measure both in turns, after one round of each that does not count."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(pairs + 1):
        other, own = await reference(number), await subject(number)
        if number:
            theirs.append(value(other))
            ours.append(value(own))

    return Pairs(tuple(theirs), tuple(ours))


async def drive(
    call: Callable[[T], Awaitable[object]], items: Iterable[T], *, in_flight: int
) -> None:
    """Call with every item, `in_flight` at a time, with as little around it as asyncio allows."""
    source = iter(items)
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(_work_off(call, source))


async def _work_off(call: Callable[[T], Awaitable[object]], source: Iterator[T]) -> None:
    for item in source:
        await call(item)
