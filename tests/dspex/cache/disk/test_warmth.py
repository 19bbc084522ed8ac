"""Reads leave the loop after a slow one, and come back."""

from __future__ import annotations

from dspex.cache.disk.warmth import Warmth


class TestWarmth:
    def test_quick_reads_stay(self) -> None:
        """As long as the system holds the pages."""
        warmth = Warmth()
        for _ in range(10):
            assert warmth.allows()
            warmth.note(0.0001)

    def test_after_a_slow_read_the_next_ones_go_elsewhere(self) -> None:
        """One in a few hundred finds out whether the disk is quick again."""
        warmth = Warmth()
        warmth.note(0.05)

        allowed = [warmth.allows() for _ in range(201)]

        assert [False] * 200 + [True] == allowed
