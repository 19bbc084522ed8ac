"""Running totals agree with totals."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.evaluation.outcome import Failure, Outcome, Status
from dspex.evaluation.tally import Tally
from dspex.usage import Usage


def failed(index: int, error: str = "ValueError", status: Status = Status.FAILED) -> Outcome:
    """Return an outcome without a score."""
    return Outcome(index, "0" * 16, status, failure=Failure(error, f"no {index}"))


def scored(index: int) -> Outcome:
    """Return an outcome that used a call."""
    return Outcome(index, "0" * 16, Status.SCORED, score=1.0, usage=Usage(calls=1))


class TestTally:
    @given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
    def test_mean_and_spread(self, scores: list[float]) -> None:
        """One pass gives what two passes give."""
        tally = Tally()
        for score in scores:
            tally.add(scored(0), score)

        mean = sum(scores) / len(scores)
        variance = sum((score - mean) ** 2 for score in scores) / (len(scores) - 1)
        assert tally.mean == pytest.approx(mean, abs=1e-6)
        half_width = 1.96 * (variance / len(scores)) ** 0.5
        assert tally.half_width == pytest.approx(half_width, rel=1e-6, abs=1e-6)

    def test_nothing_yet(self) -> None:
        """Before the first outcome there is no score to show."""
        tally = Tally()
        assert (tally.mean, tally.half_width, tally.finished) == (None, None, 0)

    def test_what_does_not_count(self) -> None:
        """An outcome worth nothing is finished and not in the mean."""
        tally = Tally()
        tally.add(scored(0), 1.0)
        tally.add(failed(1), None)
        assert (tally.finished, tally.counted, tally.mean, tally.without_score) == (2, 1, 1.0, 1)

    def test_usage_adds_up(self) -> None:
        """The bill is the sum of the bills."""
        tally = Tally()
        for index in range(3):
            tally.add(scored(index), 1.0)

        assert tally.usage.calls == 3

    def test_errors_by_class_with_the_first_few(self) -> None:
        """Each class has its count and three examples."""
        tally = Tally()
        for index in range(5):
            tally.add(failed(index), 0.0)

        group = tally.errors["ValueError"]
        assert group.count == 5
        assert [sample.index for sample in group.samples] == [0, 1, 2]

    def test_classes_are_bounded(self) -> None:
        """A program that raises a new class each time does not fill memory."""
        tally = Tally()
        for index in range(200):
            tally.add(failed(index, f"Error{index}"), 0.0)

        assert len(tally.errors) == 51
        assert tally.errors["(other)"].count == 150
        assert tally.add(failed(200, "Error0"), 0.0) == 0
        assert tally.add(failed(201, "Error199"), 0.0) == 50

    def test_retract_takes_all_of_it_back(self) -> None:
        """An example that is run again leaves nothing of its outage behind."""
        tally = Tally()
        tally.add(failed(7), 0.0)
        groups = [
            tally.add(failed(index, "RateLimited", Status.UNAVAILABLE), None) for index in (0, 1)
        ]

        tally.retract(0, groups[0])
        assert (tally.unavailable, tally.retried) == (1, 1)
        assert [sample.index for sample in tally.errors["RateLimited"].samples] == [1]
        tally.retract(1, groups[1])
        assert set(tally.errors) == {"ValueError"}

    def test_a_kind_that_was_retracted_can_come_again(self) -> None:
        """The group's number stays the same, so that older rows still name it."""
        tally = Tally()
        first = tally.add(failed(0, "RateLimited", Status.UNAVAILABLE), None)
        tally.retract(0, first)
        assert tally.add(failed(0, "RateLimited", Status.UNAVAILABLE), None) == first
        assert tally.errors["RateLimited"].count == 1
