"""A ceiling on calls in flight that is there only after refusals."""

from __future__ import annotations

from hypothesis import given, strategies as st

from dspex.clients.limits.adaptive import AdaptiveConcurrency


class TestCut:
    def test_there_is_none_at_first(self) -> None:
        """Nobody is held back who was not refused."""
        assert AdaptiveConcurrency().limit is None

    def test_cuts_what_was_in_flight_and_not_what_might_have_been(self) -> None:
        """Seven tenths of the calls that met the refusals."""
        concurrency = AdaptiveConcurrency()
        assert concurrency.cut(0.0, 1_000)
        assert concurrency.limit == 700

    def test_once_per_cooldown(self) -> None:
        """What comes back meanwhile was sent before."""
        concurrency = AdaptiveConcurrency(cooldown_s=10.0)
        assert [concurrency.cut(time, 1_000) for time in (0.0, 1.0, 9.9)] == [True, False, False]
        assert concurrency.cut(10.0, 700)
        assert concurrency.limit == 489

    def test_never_below_a_few(self) -> None:
        """An endpoint that is asked by nobody is never found well again."""
        concurrency = AdaptiveConcurrency(cooldown_s=0.0)
        for time in range(50):
            concurrency.cut(float(time), 1)

        assert concurrency.limit == 4


class TestGrowth:
    def test_quickly_to_where_it_was_then_slowly_and_gone(self) -> None:
        """One for each answer up to the cut, some thousands more to twice of it."""
        concurrency = AdaptiveConcurrency()
        concurrency.cut(0.0, 100)
        for _ in range(30):
            concurrency.answered()

        assert concurrency.limit == 100
        slow = 0
        while concurrency.answered() is not None:
            slow += 1

        assert 300 <= slow <= 1_000
        assert concurrency.limit is None

    def test_without_a_cut_an_answer_changes_nothing(self) -> None:
        """There is nothing to grow."""
        concurrency = AdaptiveConcurrency()
        assert concurrency.answered() is None

    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 20_000))))
    def test_is_none_or_some(self, events: list[tuple[bool, int]]) -> None:
        """Whatever happens, calls may go."""
        concurrency = AdaptiveConcurrency(cooldown_s=0.0)
        for time, (cut, in_flight) in enumerate(events):
            if cut:
                concurrency.cut(float(time), in_flight)
            else:
                concurrency.answered()

            assert concurrency.limit is None or concurrency.limit >= 4
