"""A clock that moves when it is told to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from supervision.testing import FakeClock


def test_stands_still_until_told() -> None:
    """Reading the clock does not move it."""
    clock = FakeClock(start=5.0)
    assert (clock(), clock(), clock.now) == (5.0, 5.0, 5.0)


def test_starts_at_zero() -> None:
    """Zero is the reading that catches a policy which takes a false value for "never"."""
    assert FakeClock().now == 0.0


@given(st.lists(st.floats(min_value=0, max_value=1e6)))
def test_advances_by_what_it_is_given(steps: list[float]) -> None:
    """Each step returns the new reading, and the readings never fall."""
    clock = FakeClock()
    readings = [clock.advance(step) for step in steps]
    assert readings == sorted(readings)
    assert clock.now == (readings[-1] if readings else 0.0)


@pytest.mark.parametrize("seconds", [-1.0, -0.0001, math.inf, math.nan])
def test_refuses_what_no_clock_can_do(seconds: float) -> None:
    """A step that is negative or not finite is named in the error, and the clock stays put."""
    clock = FakeClock(start=3.0)
    with pytest.raises(ValueError, match=r"advance\(seconds=.*forward"):
        clock.advance(seconds)

    assert clock.now == 3.0


def test_shows_its_reading() -> None:
    """The representation of a clock tells the time."""
    assert repr(FakeClock(2.5)) == "FakeClock(now=2.5)"
