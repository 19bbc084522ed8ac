"""Refusals hold everybody back only when they are many, and many of what comes back."""

from __future__ import annotations

from hypothesis import given, strategies as st

from dspex.clients.limits.pressure import Pressure


class TestPressure:
    def test_a_stray_refusal_is_one_callers_own(self) -> None:
        """Among a thousand answers ten refusals are noise."""
        pressure = Pressure()
        verdicts = []
        for number in range(1_000):
            pressure.answers += 1
            if number % 100 == 0:
                verdicts.append(pressure.refused(number * 0.001))

        assert [False] * 10 == verdicts

    def test_a_wave_of_refusals_is_everybodys(self) -> None:
        """When most come back refused, the tenth is enough."""
        pressure = Pressure()

        verdicts = [pressure.refused(0.01 * number) for number in range(12)]

        assert [False] * 9 + [True] * 3 == verdicts

    def test_what_is_long_past_does_not_count(self) -> None:
        """Nine refusals of a minute ago and one now are one."""
        pressure = Pressure()
        for _ in range(9):
            pressure.refused(0.0)

        assert not pressure.refused(60.0)

    @given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 50)), max_size=60))
    def test_never_under_the_least_count_or_share(self, steps: list[tuple[float, int]]) -> None:
        """Whatever the rhythm, a verdict needs both the number and the share."""
        pressure = Pressure()
        now = 0.0
        seen: list[tuple[float, int]] = []
        for pause, answers in steps:
            now += pause
            pressure.answers += answers
            seen.append((now, pressure.answers))
            pressed = pressure.refused(now)
            recent = [row for row in seen if row[0] >= now - 5.0]
            since = pressure.answers - recent[0][1]
            assert pressed == (len(recent) >= 10 and len(recent) >= 0.3 * (len(recent) + since))
