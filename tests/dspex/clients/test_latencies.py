"""Percentiles of latencies in constant memory."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.clients.latencies import Latencies, LatencyStatistics


def test_without_any_everything_is_zero() -> None:
    """Nothing was measured."""
    assert Latencies().statistics() == LatencyStatistics()


def test_percentiles_are_near() -> None:
    """Within five per cent, over five orders of magnitude."""
    latencies = Latencies()
    for value in range(1, 10_001):
        latencies.record(value / 1_000.0)

    found = latencies.statistics()
    assert found.p50_s == pytest.approx(5.0, rel=0.05)
    assert found.p90_s == pytest.approx(9.0, rel=0.05)
    assert found.p99_s == pytest.approx(9.9, rel=0.05)
    assert (10_000, 10.0) == (found.count, found.max_s)
    assert found.mean_s == pytest.approx(5.0005)


@given(st.lists(st.floats(0.0, 1e9), min_size=1), st.floats(0.0, 1.0))
def test_any_latency_is_taken(values: list[float], share: float) -> None:
    """Zero and years too; a percentile is never above the largest."""
    latencies = Latencies()
    for value in values:
        latencies.record(value)

    assert 0.0 <= latencies.percentile(share) <= max(values)
    assert len(values) == latencies.statistics().count
