"""Quarantine: failures in a row bring an input in, time and success let it go."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dspex.programs.quarantine import Quarantine


def failing(quarantine: Quarantine, times: int, key: str = "k", now_s: float = 0.0) -> None:
    for number in range(times):
        quarantine.failed(key, "the input", f"error {number}", now_s)


class TestQuarantine:
    def test_the_third_failure_brings_it_in(self) -> None:
        """Two are forgiven; the entry shows input and errors."""
        quarantine = Quarantine(quarantine_s=60.0)
        assert quarantine.failed("k", "the input", "first", 0.0) is None
        assert quarantine.failed("k", "the input", "second", 1.0) is None
        entry = quarantine.failed("k", "the input", "third", 2.0)
        assert entry is not None
        assert (entry.shown, entry.failures) == ("the input", ("first", "second", "third"))
        assert entry.until_s == 62.0
        assert quarantine.refusal("k", 61.9) == entry
        assert quarantine.refusal("k", 62.0) is None

    def test_another_input_is_not_concerned(self) -> None:
        """Failures count by input."""
        quarantine = Quarantine()
        failing(quarantine, 3)
        assert quarantine.refusal("other", 0.0) is None

    def test_a_success_clears_it(self) -> None:
        """Only failures in a row count."""
        quarantine = Quarantine()
        failing(quarantine, 2)
        quarantine.succeeded("k")
        failing(quarantine, 2)
        assert quarantine.refusal("k", 0.0) is None

    def test_after_its_time_one_more_failure_is_enough(self) -> None:
        """It was let out on trial."""
        quarantine = Quarantine(quarantine_s=60.0)
        failing(quarantine, 3)
        entry = quarantine.failed("k", "the input", "again", 61.0)
        assert entry is not None
        assert entry.until_s == 121.0
        assert entry.failures == ("error 1", "error 2", "again")

    def test_long_without_a_failure_is_a_new_start(self) -> None:
        """Twice the time of a quarantine, to be exact."""
        quarantine = Quarantine(quarantine_s=60.0)
        failing(quarantine, 3)
        assert quarantine.failed("k", "the input", "much later", 121.0) is None

    def test_it_may_be_released(self) -> None:
        """One input, or all."""
        quarantine = Quarantine(max_failures=1)
        failing(quarantine, 1, "a")
        failing(quarantine, 1, "b")
        quarantine.release("a")
        assert quarantine.refusal("a", 0.0) is None
        assert quarantine.refusal("b", 0.0) is not None
        quarantine.release()
        assert quarantine.refusal("b", 0.0) is None

    def test_memory_is_bounded(self) -> None:
        """Who failed longest ago is forgotten first."""
        quarantine = Quarantine(max_failures=1, max_inputs=2)
        for key in "abc":
            failing(quarantine, 1, key)

        assert [quarantine.refusal(key, 0.0) is None for key in "abc"] == [True, False, False]

    def test_long_texts_are_cut(self) -> None:
        """An input of megabytes is not kept."""
        quarantine = Quarantine(max_failures=1)
        entry = quarantine.failed("k", "x" * 10_000, "y" * 10_000, 0.0)
        assert entry is not None
        assert len(entry.shown) < 600
        assert len(entry.failures[0]) < 600

    def test_statistics(self) -> None:
        """Held, suspected and refused are counted."""
        quarantine = Quarantine(quarantine_s=60.0)
        failing(quarantine, 3, "in")
        failing(quarantine, 1, "suspect")
        quarantine.refusal("in", 1.0)
        now = quarantine.statistics(1.0)
        assert (now.quarantined, now.suspected, now.refused) == (1, 1, 1)
        assert quarantine.statistics(99.0).quarantined == 0

    @pytest.mark.parametrize(
        "settings", [{"max_failures": 0}, {"quarantine_s": 0.0}, {"max_inputs": 0}], ids=str
    )
    def test_impossible_settings(self, settings: dict[str, int]) -> None:
        """Refused with the values."""
        with pytest.raises(ValueError, match="a quarantine needs"):
            Quarantine(**settings)


class Model(RuleBasedStateMachine):
    """Against a plain list of what happened to each input."""

    def __init__(self) -> None:
        super().__init__()
        self.quarantine = Quarantine(max_failures=2, quarantine_s=10.0)
        self.now_s = 0.0
        self.failures: dict[str, list[float]] = {}

    @rule(key=st.sampled_from("ab"))
    def fail(self, key: str) -> None:
        times = self.failures.setdefault(key, [])
        if times and self.now_s - times[-1] > 20.0:
            times.clear()

        times.append(self.now_s)
        self.quarantine.failed(key, key, "e", self.now_s)

    @rule(key=st.sampled_from("ab"))
    def succeed(self, key: str) -> None:
        self.failures.pop(key, None)
        self.quarantine.succeeded(key)

    @rule(seconds=st.sampled_from([1.0, 5.0, 10.0, 25.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @invariant()
    def refuses_what_it_must(self) -> None:
        for key in "ab":
            times = self.failures.get(key, [])
            held = len(times) >= 2 and self.now_s < times[-1] + 10.0
            assert (self.quarantine.refusal(key, self.now_s) is not None) == held


TestModel = Model.TestCase
