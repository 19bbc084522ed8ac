"""The breaker: when it opens, who may probe, and whose outcome counts."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
from aiobreaker import CircuitBreaker
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dspex.clients.breaker.endpoint_breaker import (
    BreakerChange,
    BreakerOpen,
    EndpointBreaker,
    Permit,
)
from dspex.clients.failures.rules import RULES, Rule
from dspex.errors import CircuitOpen, ErrorData, ErrorKind, ServerError
from dspex.testing import FakeClock

DOWN = ErrorData(ErrorKind.SERVER, "the model is overloaded", status=503)
NO_MONEY = ErrorData(ErrorKind.QUOTA_EXHAUSTED, "you exceeded your current quota", status=429)


def make(
    clock: FakeClock | None = None,
    changes: list[BreakerChange] | None = None,
    *,
    consecutive: int = 3,
    probe_timeout_s: float = 150.0,
) -> EndpointBreaker:
    """Build a breaker that opens after three failures in a row."""
    return EndpointBreaker(
        "openai",
        "gpt",
        consecutive=consecutive,
        probe_timeout_s=probe_timeout_s,
        clock=clock or FakeClock(),
        on_change=None if changes is None else changes.append,
    )


def state(breaker: EndpointBreaker) -> str:
    """Read the state."""
    return breaker.statistics().state


def opened(clock: FakeClock, changes: list[BreakerChange] | None = None) -> EndpointBreaker:
    """Build a breaker that three failures have opened."""
    breaker = make(clock, changes)
    for _ in range(3):
        breaker.admit().failure(DOWN)

    assert state(breaker) == "open"
    return breaker


def half_open(clock: FakeClock) -> tuple[EndpointBreaker, Permit]:
    """Build a breaker whose probe is under way."""
    breaker = opened(clock)
    clock.advance(30.0)
    return breaker, breaker.admit()


class TestClosed:
    def test_it_is_a_breaker_of_aiobreaker(self) -> None:
        """Storage and listeners are aiobreaker's; its counter of failures in a row is ours too."""
        breaker = make()
        assert isinstance(breaker, CircuitBreaker)
        breaker.admit().failure(DOWN)
        assert breaker.window.counter == 1

    def test_failures_in_a_row_open_it(self) -> None:
        """The third failure in a row does, with the failure as the reason."""
        breaker = opened(FakeClock())
        assert breaker.last_error is DOWN

    def test_failure_rate_opens_it(self) -> None:
        """An outage of every second call opens it although no two failures follow each other."""
        breaker = make(consecutive=20)
        for _ in range(25):
            breaker.admit().success()
            breaker.admit().failure(DOWN)

        assert state(breaker) == "open"

    def test_a_bad_start_is_no_outage(self) -> None:
        """Two failures among the first four calls are too few to say anything."""
        breaker = make(consecutive=20)
        for _ in range(2):
            breaker.admit().failure(DOWN)
            breaker.admit().success()

        assert state(breaker) == "closed"

    def test_what_is_ignored_changes_no_number(self) -> None:
        """A rate limit or a cancelled call says nothing either way."""
        breaker = make()
        for _ in range(100):
            breaker.admit().ignore()

        assert breaker.statistics().calls == 0

    def test_first_outcome_of_a_permit_counts(self) -> None:
        """Later ones do nothing, whatever they are."""
        breaker = make()
        permit = breaker.admit()
        permit.success()
        for _ in range(5):
            permit.failure(DOWN)
            permit.trip(60.0, NO_MONEY)
            permit.ignore()

        assert (state(breaker), breaker.statistics().calls) == ("closed", 1)

    def test_forgotten_permit_is_ignored(self) -> None:
        """A block that ends without an outcome, by an exception too, judges nothing."""
        breaker = make()
        with breaker.admit():
            pass

        with pytest.raises(RuntimeError), breaker.admit():
            raise RuntimeError

        assert breaker.statistics().calls == 0

    def test_outcome_within_the_block_stands(self) -> None:
        """The end of the block does not take an outcome back."""
        breaker = make()
        with breaker.admit() as permit:
            permit.failure(DOWN)

        assert breaker.statistics().consecutive_failures == 1


class TestOpen:
    def test_it_rejects_with_time_and_reason(self) -> None:
        """The rejection is a CircuitOpen that says how long, and what happened."""
        clock = FakeClock()
        breaker = opened(clock)
        clock.advance(10.0)
        with pytest.raises(CircuitOpen, match=r"not sent.*overloaded") as caught:
            breaker.admit()

        error = caught.value
        assert isinstance(error, BreakerOpen)
        assert (error.retry_after_s, error.last_error) == (20.0, DOWN)
        assert isinstance(error.__cause__, ServerError)
        assert (error.data.provider, error.data.model) == ("openai", "gpt")
        assert error.unavailable

    def test_rejections_are_counted(self) -> None:
        """A snapshot says how many calls were spared."""
        breaker = opened(FakeClock())
        for _ in range(5):
            with pytest.raises(BreakerOpen):
                breaker.admit()

        assert (breaker.statistics().rejected, breaker.statistics().opened) == (5, 1)

    def test_late_outcomes_do_not_prolong_it(self) -> None:
        """Calls that began before it opened neither prolong the outage nor end it."""
        clock, changes = FakeClock(), list[BreakerChange]()
        breaker = make(clock, changes)
        early = [breaker.admit() for _ in range(1_000)]
        for permit in early[:3]:
            permit.failure(DOWN)

        clock.advance(29.0)
        for permit in early[3:500]:
            permit.failure(DOWN)

        for permit in early[500:]:
            permit.success()

        assert breaker.retry_after_s == pytest.approx(1.0)
        assert len(changes) == 1

    def test_rejection_survives_copying(self) -> None:
        """What crosses a process keeps its facts."""
        with pytest.raises(BreakerOpen) as caught:
            opened(FakeClock()).admit()

        for twin in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
            assert (type(twin), twin.data) == (BreakerOpen, caught.value.data)


class TestHalfOpen:
    def test_one_probe_goes_and_nobody_else(self) -> None:
        """Of ten thousand callers after the recovery time, one is admitted."""
        clock = FakeClock()
        breaker = opened(clock)
        clock.advance(30.0)
        breaker.admit()
        for _ in range(9_999):
            with pytest.raises(BreakerOpen) as caught:
                breaker.admit()

            assert caught.value.retry_after_s == 1.0

        assert (breaker.statistics().rejected, state(breaker)) == (9_999, "half_open")

    def test_success_closes_it(self) -> None:
        """A good probe lets everybody through, with a clean record."""
        breaker, probe = half_open(FakeClock())
        probe.success()
        assert (state(breaker), breaker.last_error) == ("closed", None)
        assert breaker.statistics().calls == 0
        breaker.admit().failure(DOWN)
        assert state(breaker) == "closed"

    def test_failure_opens_it_again(self) -> None:
        """A bad probe starts the recovery time anew."""
        breaker, probe = half_open(FakeClock())
        probe.failure(DOWN)
        assert (state(breaker), breaker.retry_after_s) == ("open", 30.0)

    def test_ignored_probe_lets_the_next_probe(self) -> None:
        """A probe that was cancelled or rate-limited gives its place back and judges nothing."""
        breaker, probe = half_open(FakeClock())
        probe.ignore()
        assert state(breaker) == "half_open"
        breaker.admit().success()
        assert state(breaker) == "closed"

    def test_cancelled_probe_lets_the_next_probe(self) -> None:
        """So does one whose block ends by cancellation."""
        breaker, probe = half_open(FakeClock())
        with pytest.raises(KeyboardInterrupt), probe:
            raise KeyboardInterrupt

        breaker.admit().success()
        assert state(breaker) == "closed"

    def test_leaked_probe_does_not_lock_it(self) -> None:
        """A probe that never reports gives up its place after a while."""
        clock = FakeClock()
        breaker, leaked = half_open(clock)
        clock.advance(149.0)
        with pytest.raises(BreakerOpen):
            breaker.admit()

        clock.advance(1.0)
        second = breaker.admit()
        leaked.ignore()
        with pytest.raises(BreakerOpen):
            breaker.admit()

        second.success()
        assert state(breaker) == "closed"

    def test_outcome_from_before_does_not_count(self) -> None:
        """A call that began while it was closed is not the probe."""
        clock = FakeClock()
        breaker = make(clock)
        early = breaker.admit()
        for _ in range(3):
            breaker.admit().failure(DOWN)

        clock.advance(30.0)
        breaker.admit()
        early.success()
        assert state(breaker) == "half_open"


class TestTrip:
    def test_it_opens_for_as_long_as_told(self) -> None:
        """A used-up quota keeps it open for its own time, from the first call on."""
        clock = FakeClock()
        breaker = make(clock)
        breaker.admit().trip(300.0, NO_MONEY)
        assert (breaker.retry_after_s, breaker.last_error) == (300.0, NO_MONEY)
        clock.advance(300.0)
        breaker.admit().success()
        assert state(breaker) == "closed"

    def test_many_at_once_are_one_change(self) -> None:
        """A thousand calls that meet the same empty quota open it once."""
        changes: list[BreakerChange] = []
        breaker = make(changes=changes)
        permits = [breaker.admit() for _ in range(1_000)]
        for permit in permits:
            permit.trip(300.0, NO_MONEY)

        assert [change.new for change in changes] == ["open"]

    def test_longer_of_two_times_holds(self) -> None:
        """Being tripped while open never shortens it."""
        breaker = make()
        breaker.trip(300.0, NO_MONEY)
        breaker.trip(60.0, NO_MONEY)
        assert breaker.retry_after_s == 300.0
        breaker.trip(600.0, NO_MONEY)
        assert breaker.retry_after_s == 600.0


class TestJudge:
    @pytest.mark.parametrize(
        ("kind", "expected", "calls"),
        [
            (ErrorKind.SERVER, "closed", 1),
            (ErrorKind.RATE_LIMIT, "closed", 0),
            (ErrorKind.CONTENT_FILTER, "closed", 1),
            (ErrorKind.QUOTA_EXHAUSTED, "open", 0),
            (ErrorKind.AUTH, "open", 0),
        ],
    )
    def test_it_follows_the_rules(self, kind: ErrorKind, expected: str, calls: int) -> None:
        """Each verdict of the table has its effect."""
        breaker = make()
        breaker.admit().judge(ErrorData(kind, "x"), RULES[kind])
        assert (state(breaker), breaker.statistics().calls) == (expected, calls)

    def test_failure_counts_as_one(self) -> None:
        """A failure by rule is a failure."""
        breaker = make()
        breaker.admit().judge(DOWN, Rule(breaker="failure"))
        assert breaker.statistics().consecutive_failures == 1


class TestByHand:
    def test_open_and_close(self) -> None:
        """An operator opens it for a time, and closes it."""
        clock = FakeClock()
        breaker = make(clock)
        breaker.open(for_s=5.0)
        with pytest.raises(BreakerOpen, match="by hand") as caught:
            breaker.admit()

        assert caught.value.__cause__ is None
        breaker.close()
        breaker.admit().success()

    def test_open_for_good(self) -> None:
        """Infinity is until somebody closes it; there is then no time to wait for."""
        clock = FakeClock()
        breaker = make(clock)
        breaker.open(for_s=math.inf)
        clock.advance(1e9)
        with pytest.raises(BreakerOpen) as caught:
            breaker.admit()

        assert caught.value.retry_after_s is None
        assert breaker.opens_at is None

    def test_close_forgets_the_past(self) -> None:
        """Closing by hand starts with a clean record."""
        breaker = opened(FakeClock())
        breaker.close()
        assert (breaker.statistics().calls, breaker.statistics().last_error) == (0, None)

    async def test_calling_through_it_is_refused(self) -> None:
        """The way in that goes round the single probe is closed, and says which one is open."""
        breaker = make()
        with pytest.raises(TypeError, match="admit"):
            breaker.call(print)

        with pytest.raises(TypeError, match="admit"):
            await breaker.call_async(print)

    def test_wall_clock_times_agree_with_the_monotonic(self) -> None:
        """What aiobreaker shows of time is in step with what decides."""
        clock = FakeClock()
        breaker = make(clock)
        assert breaker.time_until_open is None
        breaker.open(for_s=90.0)
        until, at = breaker.time_until_open, breaker.opens_at
        assert until is not None
        assert until.total_seconds() == 90.0
        assert at is not None
        assert at.tzinfo is not None


class TestListening:
    def test_changes_are_announced_in_order(self) -> None:
        """One event for each change, with names, reason and time."""
        clock, changes = FakeClock(), list[BreakerChange]()
        breaker = opened(clock, changes)
        clock.advance(30.0)
        breaker.admit().success()
        assert [(change.old, change.new) for change in changes] == [
            ("closed", "open"),
            ("open", "half_open"),
            ("half_open", "closed"),
        ]
        assert changes[0] == BreakerChange("openai/gpt", "closed", "open", DOWN, 30.0)

    def test_listener_sees_the_new_state(self) -> None:
        """The announcement comes after the change."""
        seen: list[str] = []
        breaker = EndpointBreaker(
            "p",
            "m",
            consecutive=1,
            clock=FakeClock(),
            on_change=lambda _: seen.append(repr(breaker)),
        )
        breaker.admit().failure(DOWN)
        assert "open" in seen[0]

    def test_failing_listener_leaves_a_good_state(self) -> None:
        """A bug in a listener surfaces, and the breaker is open all the same."""

        def burst(_: BreakerChange) -> None:
            raise RuntimeError("listener")

        breaker = EndpointBreaker("p", "m", clock=FakeClock(), on_change=burst)
        with pytest.raises(RuntimeError, match="listener"):
            breaker.open()

        assert state(breaker) == "open"

    def test_repr_has_live_counters(self) -> None:
        """A debugger shows state and numbers."""
        breaker = make()
        breaker.admit().failure(DOWN)
        assert repr(breaker) == (
            "<EndpointBreaker 'openai/gpt' closed, 1 calls, 100% failed, 0 rejected>"
        )


class BreakerMachine(RuleBasedStateMachine):
    """Any order of calls, outcomes and waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.changes: list[BreakerChange] = []
        self.breaker = make(self.clock, self.changes, probe_timeout_s=1e9)
        self.live: list[tuple[Permit, object]] = []

    @rule()
    def admit(self) -> None:
        """Ask for a permit; a probe is alone."""
        probing = any(born is self.breaker.generation for _, born in self.live)
        before = state(self.breaker)
        try:
            permit = self.breaker.admit()
        except BreakerOpen:
            assert state(self.breaker) != "closed"
            assert state(self.breaker) == "open" or probing
            return

        assert not (before == "half_open" and probing)
        self.live.append((permit, self.breaker.generation))

    @rule(which=st.integers(0, 50), outcome=st.sampled_from(["success", "failure", "ignore"]))
    def finish(self, which: int, outcome: str) -> None:
        """Report a call; one of an older generation changes nothing."""
        if not self.live:
            return

        permit, born = self.live.pop(which % len(self.live))
        current = born is self.breaker.generation
        before = (state(self.breaker), self.breaker.statistics().calls, len(self.changes))
        if outcome == "success":
            permit.success()
        elif outcome == "failure":
            permit.failure(DOWN)
        else:
            permit.ignore()

        after = (state(self.breaker), self.breaker.statistics().calls, len(self.changes))
        assert current or after == before
        if current and before[0] == "half_open" and outcome != "ignore":
            assert state(self.breaker) == ("closed" if outcome == "success" else "open")

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @invariant()
    def announced(self) -> None:
        """The last announcement is the state, and announcements follow each other."""
        states = ["closed", *(change.new for change in self.changes)]
        assert states[-1] == state(self.breaker)
        assert [change.old for change in self.changes] == states[:-1]


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=60, stateful_step_count=40)
