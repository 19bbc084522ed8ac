"""Growth per example, from samples of a run."""

from __future__ import annotations

import sys

import pytest

from benchmarks.p10_million import Sample, growth, sample_run


def test_growth_counts_from_the_settled_process() -> None:
    """What came before the first 50,000 does not count; both halves are shown."""
    grown = [0, 10**9, 0, 0, 0, 1_000_000, 1_000_000, 1_000_000]
    samples = [Sample(10_000 * (n + 1), size, float(n)) for n, size in enumerate(grown)]
    found = growth(samples)
    assert found.median == pytest.approx(1_000_000 / 30_000)
    assert (found.low, found.high) == (0.0, 1_000_000 / 20_000)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_short_run_is_sampled() -> None:
    """Every 10,000 examples, in order."""
    (sample,) = await sample_run(10_000)
    assert sample.examples == 10_000
    assert sample.resident_bytes > 10**6
