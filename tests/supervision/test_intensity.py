"""The sliding window of restarts."""

from __future__ import annotations

from hypothesis import given, strategies as st

from supervision import Intensity


def naive(limit: int, period: float, times: list[float]) -> list[bool]:
    """Decide as OTP's text says: drop what is older than the period, add, count."""
    kept: list[float] = []
    allowed: list[bool] = []
    for now in times:
        kept = [t for t in kept if now - t <= period]
        kept.append(now)
        allowed.append(len(kept) <= limit)

    return allowed


@given(
    limit=st.integers(0, 5),
    period=st.integers(1, 10),
    steps=st.lists(st.integers(0, 6), max_size=60),
)
def test_decides_as_the_plain_definition(limit: int, period: int, steps: list[int]) -> None:
    """I01, I02: the O(1) window decides exactly as the definition: sliding and inclusive."""
    now = 0
    times: list[float] = []
    for step in steps:
        now += step
        times.append(float(now))

    window = Intensity(limit, float(period))
    assert [window.add(t) for t in times] == naive(limit, period, times)


def test_exactly_the_limit_is_allowed() -> None:
    """I01: an intensity of 2 allows two restarts and refuses the third."""
    window = Intensity(2, 5.0)
    assert [window.add(t) for t in (0.0, 1.0, 5.0)] == [True, True, False]


def test_the_edge_of_the_window_counts() -> None:
    """I02: an attempt exactly one period ago still counts, one a moment older does not."""
    window = Intensity(1, 5.0)
    assert window.add(0.0)
    assert not window.add(5.0)
    assert window.add(10.001)


def test_zero_intensity_allows_nothing() -> None:
    """I01: with intensity 0 the first restart ends the supervisor."""
    assert not Intensity(0, 1.0).add(0.0)


def test_count_is_what_lies_in_the_window() -> None:
    """`count` tells how many attempts the window holds."""
    window = Intensity(5, 2.0)
    for t in (0.0, 1.0, 2.0):
        window.add(t)

    assert [window.count(now) for now in (2.0, 3.5, 9.0)] == [3, 1, 0]
    assert repr(window) == "<Intensity 3 of 5 in 2 s>"
