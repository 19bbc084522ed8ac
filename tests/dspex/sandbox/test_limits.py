"""Rate limits: windows, requests and tokens."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.errors import SandboxError
from dspex.sandbox.limits import RateLimit, RateWindow, admit


class TestAdmit:
    LIMIT = RateLimit(requests=2, window_s=10.0)

    def test_window(self) -> None:
        """Two pass, the third is told to wait for the rest of the window, then two pass again."""
        window, waits = RateWindow(), list[float]()
        for now_s in (100.0, 101.0, 104.0, 110.0, 111.0, 112.0):
            window, wait_s = admit(self.LIMIT, window, now_s)
            waits.append(wait_s)

        assert waits == [0, 0, 6.0, 0, 0, 8.0]

    @given(st.lists(st.floats(0, 5), max_size=60))
    def test_never_more_than_the_limit_in_a_window(self, gaps: list[float]) -> None:
        """Whoever waits as told gets through, and no window admits more than its limit."""
        window, now_s = RateWindow(), 0.0
        admitted: dict[float, int] = {}
        for gap in gaps:
            now_s += gap
            window, wait_s = admit(self.LIMIT, window, now_s)
            if wait_s:
                now_s += wait_s + 1e-6
                window, wait_s = admit(self.LIMIT, window, now_s)

            assert wait_s == 0
            admitted[window.opened_at_s] = window.admitted

        assert all(count <= 2 for count in admitted.values())

    def test_tokens_are_charged_when_a_request_comes(self) -> None:
        """Whoever does not fit into what is left waits; a smaller request still gets through."""
        limit = RateLimit(tokens=10, window_s=10.0)
        window, waits = RateWindow(), list[float]()
        for now_s, tokens in ((0.0, 6), (1.0, 5), (2.0, 4), (3.0, 1), (10.0, 10)):
            window, wait_s = admit(limit, window, now_s, tokens)
            waits.append(wait_s)

        assert waits == [0, 9.0, 0, 7.0, 0]

    def test_too_large_for_any_window(self) -> None:
        """A request over the limit by itself is refused in a fresh window too."""
        assert admit(RateLimit(tokens=10), RateWindow(), 5.0, 11)[1] == 60.0

    def test_no_limit_at_all_is_none(self) -> None:
        """A limit says what it limits."""
        with pytest.raises(SandboxError, match="requests, tokens or both"):
            RateLimit()
