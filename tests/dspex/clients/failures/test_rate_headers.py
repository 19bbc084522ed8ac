"""What the headers of a refusal say about its limit."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.clients.failures.rate_headers import RateHint, read_rate_headers
from dspex.testing import FakeClock

NOW_S = 1_900_000_000.0


def read(**headers: str) -> RateHint:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_rate_headers(named, clock=FakeClock(NOW_S))


class TestWait:
    @pytest.mark.parametrize(
        ("said", "wait_s"),
        [
            ("1s", 1.0),
            ("120ms", 0.12),
            ("0m30s", 30.0),
            ("1m0s", 60.0),
            ("12.5", 12.5),
            ("6m0s", None),
            ("23h47m36.648s", None),
            ("soon", None),
            ("", None),
            ("-5", None),
            ("nan", None),
        ],
    )
    def test_durations(self, said: str, wait_s: float | None) -> None:
        """Short ones are waited for; a daily limit's hours are not."""
        found = read(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests=said)
        assert found.wait_s == pytest.approx(wait_s) if wait_s else found.wait_s is None

    def test_only_what_is_used_up_counts(self) -> None:
        """The reset of a limit with room left is when it is full, and nothing to wait for."""
        found = read(
            x_ratelimit_remaining_requests="12",
            x_ratelimit_reset_requests="50s",
            x_ratelimit_remaining_tokens="0",
            x_ratelimit_reset_tokens="2s",
        )
        assert found.wait_s == 2.0

    def test_anthropic_gives_dates(self) -> None:
        """RFC 3339, with a zone; without one nothing can be said."""
        kind = "anthropic_ratelimit_output_tokens"
        ends = "2030-03-17T17:46:47Z"
        found = read(**{f"{kind}_remaining": "0", f"{kind}_reset": ends})
        assert found.wait_s == pytest.approx(7.0)
        naive = read(**{f"{kind}_remaining": "0", f"{kind}_reset": ends[:-1]})
        assert naive.wait_s is None

    def test_cohere_gives_unix_time(self) -> None:
        """A large number is a time; one that has passed is no wait."""
        assert read(x_ratelimit_reset=str(NOW_S + 7)).wait_s == 7.0
        assert read(x_ratelimit_reset=str(NOW_S - 7)).wait_s == 0.0
        assert read(x_ratelimit_reset=str(NOW_S + 70_000)).wait_s is None


class TestLimit:
    def test_requests_a_minute(self) -> None:
        """Under either name; zero is no limit to keep to."""
        assert read(x_ratelimit_limit_requests="500").requests_per_minute == 500.0
        assert read(anthropic_ratelimit_requests_limit="50").requests_per_minute == 50.0
        assert read(x_ratelimit_limit_requests="0").requests_per_minute is None
        assert read().requests_per_minute is None


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
                "x-ratelimit-limit-requests",
                "x-ratelimit-reset",
                "anthropic-ratelimit-tokens-remaining",
                "anthropic-ratelimit-tokens-reset",
            ]
        ),
        st.text(max_size=40) | st.sampled_from(["0", "1e9", "0s", "9999-12-31T23:59:59+00:00"]),
    )
)
def test_no_header_crashes_it(headers: dict[str, str]) -> None:
    """Whatever a server sends, the wait is short or there is none."""
    found = read_rate_headers(headers, clock=FakeClock(NOW_S))
    assert found.wait_s is None or 0 <= found.wait_s <= 60.0
    assert found.requests_per_minute is None or found.requests_per_minute > 0
