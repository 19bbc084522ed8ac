"""An average forgets, and what is not heard of is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.clients.routing.latency import DecayingAverage


def test_nothing_is_known_before_the_first() -> None:
    """Which is not the same as being fast."""
    assert DecayingAverage().read(5.0) is None


def test_the_first_counts_whole() -> None:
    """There is nothing to average it with."""
    average = DecayingAverage()
    average.add(2.0, 100.0)

    assert 2.0 == average.read(100.0)


def test_old_ones_are_forgotten() -> None:
    """After a minute of fast answers the slow hour before is over."""
    average = DecayingAverage()
    for second in range(100):
        average.add(10.0, float(second))

    for second in range(100, 160):
        average.add(1.0, float(second))

    assert average.read(160.0) == pytest.approx(1.0, abs=0.1)


def test_silence_makes_it_worth_another_try() -> None:
    """Whoever was slow once is not left out for ever."""
    average = DecayingAverage()
    average.add(10.0, 0.0)
    read = average.read(600.0)

    assert read is not None
    assert read < 0.01


@given(st.lists(st.tuples(st.floats(0.001, 100), st.floats(0, 10)), min_size=1, max_size=50))
def test_stays_between_the_smallest_and_the_largest(steps: list[tuple[float, float]]) -> None:
    """At the moment of the last one, whatever the times between them."""
    average, now = DecayingAverage(), 0.0
    for duration_s, pause_s in steps:
        now += pause_s
        average.add(duration_s, now)

    durations = [duration_s for duration_s, _ in steps]
    read = average.read(now)
    assert read is not None
    assert min(durations) * 0.999 <= read <= max(durations) * 1.001
