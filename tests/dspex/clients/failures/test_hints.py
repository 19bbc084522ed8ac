"""What headers say about trying again, whatever is in them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.clients.failures.hints import retry_after_s, should_retry
from dspex.testing import FakeClock

# Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples.
EPOCH_S = 784_111_777.0


def hint(**headers: str) -> float | None:
    """Read headers, 37 seconds before the date of the examples."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return retry_after_s(named, clock=FakeClock(EPOCH_S - 37.0))


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2", 2.0),
            ("0.5", 0.5),
            (" 3 ", 3.0),
            ("0", 0.0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 37.0),
            ("Sun Nov  6 08:49:37 1994", 37.0),
            ("Sun, 06 Nov 1994 08:49:37 -0000", 37.0),
            ("Sun, 06 Nov 1994 09:49:37 +0100", 37.0),
            ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
            ("99999999999", 604_800.0),
        ],
    )
    def test_every_form_is_read(self, text: str, expected: float) -> None:
        """Seconds, fractions, and each form of date, also one that has passed."""
        assert hint(retry_after=text) == expected

    @pytest.mark.parametrize(
        "text",
        ["", "-1", "nan", "inf", "-inf", "soon", "1h30m", "Sun, 99 Nov 1994 08:49:37 GMT", "1e400"],
    )
    def test_garbage_is_no_hint(self, text: str) -> None:
        """What makes no sense is as if nothing had been said."""
        assert hint(retry_after=text) is None

    def test_nothing_is_no_hint(self) -> None:
        """Without headers there is none."""
        assert hint() is None

    def test_milliseconds_come_first(self) -> None:
        """The finer header wins, unless it is garbage."""
        assert hint(retry_after_ms="1500", retry_after="9") == 1.5
        assert hint(retry_after_ms="many", retry_after="9") == 9.0

    @given(st.text(), st.text())
    def test_no_text_crashes_it(self, milliseconds: str, seconds: str) -> None:
        """Any text gives a sensible time or none."""
        found = hint(retry_after_ms=milliseconds, retry_after=seconds)
        assert found is None or 0.0 <= found <= 604_800.0


class TestShouldRetry:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [("true", True), ("FALSE", False), (" true ", True), ("", None), ("maybe", None)],
    )
    def test_only_clear_words_count(self, text: str, expected: bool | None) -> None:
        """True and false in any case; anything else says nothing."""
        assert should_retry({"x-should-retry": text}) is expected

    def test_absence_says_nothing(self) -> None:
        """No header is no opinion."""
        assert should_retry({}) is None
