"""A rate that is found by trying: pure, so the provider is a few lines."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.clients.limits.pace import Pace


class Provider:
    """Accepts so many a second from a bucket of a second, and refuses the rest at once."""

    def __init__(self, per_s: float, *, full: float = 0.0) -> None:
        self.per_s = per_s
        self.level = full
        self.sent = 0
        self.refused = 0

    def offer(self, count: float, took_s: float) -> None:
        self.level = min(self.per_s, self.level + self.per_s * took_s)
        self.sent += round(count)
        accepted = min(round(count), int(self.level))
        self.level -= accepted
        self.refused += round(count) - accepted


def run(pace: Pace, provider: Provider, *, for_s: float, demand: float = 1e9) -> list[float]:
    """Let so many seconds pass in steps of a twentieth; return the rate at each."""
    rates: list[float] = []
    for step in range(round(for_s * 20)):
        now = step / 20
        pace.advance(now, sent=provider.sent, refused=provider.refused)
        provider.offer(min(pace.per_s, demand) / 20, 1 / 20)
        rates.append(pace.per_s)

    return rates


def start(per_s: float = 50.0) -> Pace:
    return Pace(per_s, now=0.0, sent=0, refused=0)


class TestPace:
    @pytest.mark.parametrize("limit", [100.0, 500.0, 3_000.0])
    def test_finds_what_is_borne(self, limit: float) -> None:
        """Within seconds it is near the limit, and little is refused on the way."""
        pace, provider = start(), Provider(limit)
        rates = run(pace, provider, for_s=20.0)

        assert all(0.7 * limit <= rate <= 1.25 * limit for rate in rates[160:])
        assert provider.refused <= 0.1 * provider.sent

    def test_what_is_not_used_does_not_grow(self) -> None:
        """A rate that nobody asks for has not shown that it is borne."""
        pace = start(100.0)
        run(pace, Provider(1e9), for_s=30.0, demand=10.0)

        assert pace.per_s == 100.0

    def test_without_a_limit_it_is_soon_out_of_the_way(self) -> None:
        """Where nothing is refused any more it grows fivefold a second."""
        pace = start()
        run(pace, Provider(1e9), for_s=4.0)

        assert pace.per_s > 10_000

    def test_a_minute_without_a_refusal_ends_it(self) -> None:
        """Then no rate is needed."""
        pace = start()
        assert not pace.over(60.0)
        assert pace.over(60.1)
        pace.resume(50.0, sent=0, refused=0)
        assert not pace.over(110.0)

    @given(
        st.lists(st.tuples(st.floats(0.0, 30.0), st.integers(0, 5_000), st.floats(0.0, 1.0))),
        st.floats(0.01, 1e6),
    )
    def test_whatever_comes_back_it_stays_a_rate(
        self, steps: list[tuple[float, int, float]], first: float
    ) -> None:
        """Never zero, never negative, never lowered where nothing is refused."""
        pace, now, sent, refused = start(first), 0.0, 0, 0
        for took_s, tried, share in steps:
            now, sent, turned_away = now + took_s, sent + tried, int(tried * share)
            refused += turned_away
            before = pace.per_s
            pace.advance(now, sent=sent, refused=refused)
            assert 0 < pace.per_s < float("inf")
            if refused == 0:
                assert pace.per_s >= before
