"""One rate for each of many users, in a few bytes each."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.clients.limits.users import UserRates


class TestUserRates:
    def test_burst_then_the_rate(self) -> None:
        """A second's worth at once, then one after the other."""
        rates = UserRates(120)
        waits = [rates.take("a", 1, 0.0) for _ in range(4)]
        assert waits == pytest.approx([0.0, 0.0, 0.5, 1.0])

    def test_one_always_goes(self) -> None:
        """A rate below one in a burst lets one go."""
        rates = UserRates(6)
        assert [rates.take("a", 1, 0.0) for _ in range(2)] == pytest.approx([0.0, 10.0])

    def test_a_large_amount_delays_what_follows(self) -> None:
        """It goes at once and is worked off afterwards."""
        rates = UserRates(60)
        assert rates.take("a", 30, 0.0) == 0.0
        assert rates.take("a", 1, 0.0) == pytest.approx(30.0)

    def test_a_new_rate_holds_for_what_comes(self) -> None:
        """Faster from now on."""
        rates = UserRates(60)
        rates.take("a", 1, 0.0)
        rates.set_rate(600)
        waits = [rates.take("a", 1, 1.0) for _ in range(12)]
        assert waits[-1] == pytest.approx(0.2)

    def test_users_are_bounded_and_the_quiet_forgotten_first(self) -> None:
        """Names from outside do not fill the memory."""
        rates = UserRates(1, max_users=3)
        for user in ("a", "b", "c", "a", "d"):
            rates.take(user, 1, 0.0)

        assert len(rates) == 3
        assert rates.wait_s("b", 0.0) == 0.0
        assert rates.wait_s("a", 0.0) > 0.0

    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=200),
        st.floats(1, 6_000),
    )
    def test_nobody_ever_exceeds_the_rate(
        self, asks: list[tuple[str, float]], per_min: float
    ) -> None:
        """In any stretch of time each has at most a burst and what the rate gives."""
        rates = UserRates(per_min)
        now = 0.0
        granted: dict[str, list[float]] = {}
        for user, pause_s in asks:
            now += pause_s
            granted.setdefault(user, []).append(now + rates.take(user, 1, now))

        burst = max(1.0, per_min / 60.0)
        for times in granted.values():
            assert times == sorted(times)
            for first in range(len(times)):
                for last in range(first, len(times)):
                    took_s = times[last] - times[first]
                    assert last - first + 1 <= burst + took_s * per_min / 60.0 + 1e-6 + 1
