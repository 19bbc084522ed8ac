"""The numbers a breaker trips on."""

from __future__ import annotations

import pytest
from aiobreaker.storage.memory import CircuitMemoryStorage

from dspex.clients.breaker.failure_window import FailureWindow
from dspex.testing import FakeClock


def window(clock: FakeClock | None = None, **changes: float) -> FailureWindow:
    """Build a window with the breaker's defaults."""
    numbers = {"window_s": 30.0, "failure_rate": 0.5, "min_calls": 50, "consecutive": 20} | changes
    return FailureWindow(
        window_s=numbers["window_s"],
        failure_rate=numbers["failure_rate"],
        min_calls=int(numbers["min_calls"]),
        consecutive=int(numbers["consecutive"]),
        clock=clock or FakeClock(),
    )


def record(found: FailureWindow, *, failures: int, successes: int) -> None:
    """Record outcomes turn by turn, so that no row of failures is longer than it must be."""
    for index in range(max(failures, successes)):
        if index < failures:
            found.increment_counter()

        if index < successes:
            found.reset_counter()


class TestFailureWindow:
    def test_it_is_a_storage_of_aiobreaker(self) -> None:
        """The machinery of aiobreaker can use it."""
        assert isinstance(window(), CircuitMemoryStorage)

    def test_failures_in_a_row_trip(self) -> None:
        """Twenty in a row do, nineteen do not."""
        found = window()
        for _ in range(19):
            found.increment_counter()

        assert not found.tripped
        found.increment_counter()
        assert found.tripped

    def test_a_success_ends_the_row(self) -> None:
        """After a success the row begins anew."""
        found = window(min_calls=1_000)
        record(found, failures=19, successes=0)
        found.reset_counter()
        record(found, failures=19, successes=0)
        assert (found.counter, found.tripped) == (19, False)

    @pytest.mark.parametrize(
        ("failures", "successes", "tripped"),
        [(25, 25, True), (24, 25, False), (24, 26, False), (40, 60, False), (60, 60, True)],
    )
    def test_rate_needs_its_volume(self, failures: int, successes: int, tripped: bool) -> None:
        """Half of at least fifty trips; half of fewer, or fewer than half, does not."""
        found = window()
        record(found, failures=failures, successes=successes)
        assert found.tripped is tripped

    def test_old_outcomes_do_not_count(self) -> None:
        """Failures of the last minute say nothing about now."""
        clock = FakeClock()
        found = window(clock)
        record(found, failures=25, successes=24)
        clock.advance(31.0)
        found.reset_counter()
        assert (found.calls, found.failure_rate, found.tripped) == (1, 0.0, False)

    def test_clear_forgets_both_numbers(self) -> None:
        """A recovered endpoint starts without a record."""
        found = window()
        record(found, failures=30, successes=0)
        found.clear()
        assert (found.calls, found.counter, found.tripped) == (0, 0, False)
