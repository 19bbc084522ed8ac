"""Costs in pairs."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.measuring import Cost, Pairs, drive, interleave, measure, span_of


def cost(value: float) -> Cost:
    """Make the cost of one call that took `value` seconds of CPU."""
    return Cost(1, value, 0.0)


class TestSpan:
    def test_is_the_middle_and_the_ends(self) -> None:
        """The order of the measurements does not matter."""
        span = span_of([3.0, 1.0, 2.0])
        assert (span.median, span.low, span.high) == (2.0, 1.0, 3.0)


class TestPairs:
    def test_ratio_is_that_of_the_medians(self) -> None:
        """The spread is that of each pair's own ratio, so noise common to a pair cancels."""
        ratio = Pairs(reference=(1.0, 2.0, 4.0), subject=(2.0, 6.0, 8.0)).ratio
        assert (ratio.median, ratio.low, ratio.high) == (3.0, 2.0, 3.0)


class TestCost:
    def test_is_given_per_call(self) -> None:
        """CPU time is shared out over the calls, in microseconds."""
        assert Cost(4, cpu_s=0.002, wall_s=9.0).cpu_us_per_call == pytest.approx(500.0)


class TestInterleave:
    async def test_measures_in_turns_and_leaves_the_first_pair_out(self) -> None:
        """The reference comes just before the subject, and the warm-up does not count."""
        order: list[str] = []

        async def reference(number: int) -> Cost:
            order.append(f"reference {number}")
            return cost(number)

        async def subject(number: int) -> Cost:
            order.append(f"subject {number}")
            return cost(10 * number)

        pairs = await interleave(reference, subject, pairs=2, value=lambda each: each.cpu_s)

        assert order == [
            f"{side} {number}" for number in (0, 1, 2) for side in ("reference", "subject")
        ]
        assert pairs == Pairs(reference=(1.0, 2.0), subject=(10.0, 20.0))


class TestMeasure:
    async def test_counts_cpu_and_not_waiting(self) -> None:
        """A wait is in the wall time alone."""
        took = await measure(1, lambda: asyncio.sleep(0.05))
        assert took.wall_s >= 0.05
        assert took.cpu_s < took.wall_s


class TestDrive:
    async def test_calls_with_every_item_so_many_at_a_time(self) -> None:
        """Each item is taken once, and never more are in flight than asked."""
        seen: list[int] = []
        running = most = 0

        async def call(item: int) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            seen.append(item)
            running -= 1

        await drive(call, range(20), in_flight=3)

        assert sorted(seen) == list(range(20))
        assert most == 3
