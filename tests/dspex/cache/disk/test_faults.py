"""Every fault is counted, and an operator is told once a minute."""

from __future__ import annotations

from dspex.cache.disk.faults import Faults
from dspex.testing import FakeClock


class TestFaults:
    def test_a_thousand_faults_in_a_minute_are_told_once(self) -> None:
        """A full disk must not fill the log, too; the next word says how many there were."""
        clock, told = FakeClock(), list[tuple[str, int]]()
        faults = Faults(lambda words, count: told.append((words, count)), clock)
        for number in range(1_000):
            faults.note(f"fault {number}")

        clock.advance(61.0)
        faults.note("again")

        assert [("fault 0", 1), ("again", 1_000)] == told
        assert 1_001 == faults.count
