"""Pictures of numbers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from dspex.evaluation.reports.charts import Bin, histogram, interval_chart
from dspex.evaluation.statistics import Interval


def rectangles(markup: str) -> list[tuple[float, float, float, float]]:
    """Read x, y, width and height of all rectangles."""
    pattern = r'<rect x="([-\d.e]+)" y="([-\d.e]+)" width="([-\d.e]+)" height="([-\d.e]+)"'
    return [tuple(map(float, found)) for found in re.findall(pattern, markup)]  # type: ignore[misc]


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=30))
def test_bars_stay_in_the_picture(counts: list[int]) -> None:
    """Bars stand in order, inside, as high as their share of the highest."""
    bins = [Bin(n, n + 1, count) for n, count in enumerate(counts)]
    bars = rectangles(histogram(bins, str, describe="x", marks=[("p50", len(counts) / 2)]))
    assert len(bars) == len(counts)
    for x, y, width, height in bars:
        assert 0 <= x <= 520
        assert x + width <= 520.1
        assert 0 <= y <= 200
        assert height >= 0

    highest = max(range(len(counts)), key=counts.__getitem__)
    assert bars[highest][3] == max(bar[3] for bar in bars)


@pytest.mark.parametrize(
    ("value", "low", "high"), [(0.5, 0.4, 0.6), (1.0, 0.9, 1.0), (0.0, 0.0, 0.0), (-3.0, -9, 9)]
)
def test_interval_is_around_its_value(value: float, low: float, high: float) -> None:
    """The band holds the mark, and the numbers are written."""
    markup = interval_chart(
        value, Interval(low, high, "x"), min(0, low), max(1, high), describe="d"
    )
    _, band, mark = rectangles(markup)
    assert band[0] - 3 <= mark[0] <= band[0] + band[2] + 3
    assert f"{low:.3f}" in markup


def test_without_an_interval() -> None:
    """A number alone is a mark on a scale; what is described can be heard."""
    markup = interval_chart(0.5, None, 0, 1, describe="Score <0.5>", mark=0.2)
    assert len(rectangles(markup)) == 2
    assert "Score &lt;0.5&gt;" in markup
