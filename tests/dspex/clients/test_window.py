"""The sliding window: what it counts and what it forgets."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.clients.window import SlidingWindow
from dspex.testing import FakeClock


class TestSlidingWindow:
    def test_counts_events_and_marks_apart(self) -> None:
        """A mark is not an event."""
        window = SlidingWindow(30.0, clock=FakeClock())
        window.count()
        window.count()
        window.mark()
        assert (window.events, window.marks) == (2, 1)

    def test_forgets_after_its_length(self) -> None:
        """What happened longer ago than the window counts no more."""
        clock = FakeClock()
        window = SlidingWindow(30.0, clock=clock)
        window.count()
        clock.advance(28.9)
        assert window.events == 1
        clock.advance(1.2)
        assert window.events == 0

    def test_forgets_all_after_a_long_silence(self) -> None:
        """A year of nothing is no loop over every slot of it, and leaves zero."""
        clock = FakeClock()
        window = SlidingWindow(30.0, clock=clock)
        window.count()
        window.mark()
        clock.advance(365 * 86_400.0)
        assert (window.events, window.marks) == (0, 0)
        window.count()
        assert window.events == 1

    def test_clear_forgets_at_once(self) -> None:
        """Clearing starts over."""
        window = SlidingWindow(30.0, clock=FakeClock(1_000.0))
        window.count()
        window.clear()
        assert window.events == 0

    @pytest.mark.parametrize("length", [0.0, -1.0, float("nan")])
    def test_length_must_be_positive(self, length: float) -> None:
        """A window without length is refused."""
        with pytest.raises(ValueError, match="window_s"):
            SlidingWindow(length, clock=FakeClock())

    @given(st.lists(st.floats(0.0, 20.0), max_size=60))
    def test_agrees_with_remembering_every_event(self, pauses: list[float]) -> None:
        """Within one slot at either end, it counts what a full record would."""
        clock = FakeClock()
        window = SlidingWindow(30.0, clock=clock)
        times: list[float] = []
        for pause in pauses:
            clock.advance(pause)
            window.count()
            times.append(clock.now)
            surely = sum(time > clock.now - 29.0 for time in times)
            perhaps = sum(time > clock.now - 30.0 for time in times)
            assert surely <= window.events <= perhaps
