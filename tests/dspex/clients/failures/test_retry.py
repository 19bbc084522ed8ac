"""Retry decisions and the retry budget."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.clients.failures.retry import RetryBudget, RetryPolicy
from dspex.errors import ErrorData, ErrorKind
from dspex.testing import FakeClock

POLICY = RetryPolicy()


def error(kind: ErrorKind = ErrorKind.SERVER, **facts: Any) -> ErrorData:
    """Build a failure."""
    return ErrorData(kind, "x", **facts)


def decide(
    failed: ErrorData, failures: int = 1, *, time_left_s: float = 300.0, seed: int = 0
) -> tuple[bool, float]:
    """Decide with the default policy."""
    found = POLICY.decide(
        failed, failures=failures, time_left_s=time_left_s, rng=random.Random(seed)
    )
    return found.retry, found.delay_s


class TestDecide:
    @pytest.mark.parametrize(
        ("kind", "retried"),
        [
            (ErrorKind.RATE_LIMIT, True),
            (ErrorKind.QUOTA_EXHAUSTED, False),
            (ErrorKind.SERVER, True),
            (ErrorKind.TRANSPORT, True),
            (ErrorKind.TIMEOUT, True),
            (ErrorKind.AUTH, False),
            (ErrorKind.INVALID_REQUEST, False),
            (ErrorKind.CONTEXT_WINDOW, False),
            (ErrorKind.TOO_LARGE, False),
            (ErrorKind.CONTENT_FILTER, False),
            (ErrorKind.PROTOCOL, True),
            (ErrorKind.CIRCUIT_OPEN, False),
            (ErrorKind.ENDPOINT, True),
            (ErrorKind.DEADLINE, False),
            (ErrorKind.POOL, True),
            (ErrorKind.BUDGET, False),
        ],
    )
    def test_kind_says_whether_it_helps(self, kind: ErrorKind, retried: bool) -> None:
        """Only what may pass is tried again."""
        assert decide(error(kind))[0] is retried

    @pytest.mark.parametrize(("failures", "cap_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0)])
    def test_jitter_is_full_and_grows(self, failures: int, cap_s: float) -> None:
        """Delays fill the interval from zero to twice the one before."""
        delays = [decide(error(), failures, seed=seed)[1] for seed in range(300)]
        assert 0.0 <= min(delays) < 0.1 * cap_s
        assert 0.9 * cap_s < max(delays) <= cap_s

    def test_delay_is_capped(self) -> None:
        """However many tries, a delay of our own stays below the cap, and nothing overflows."""
        policy = RetryPolicy(max_retries=10_000)
        found = policy.decide(error(), failures=9_999, time_left_s=1e9, rng=random.Random(1))
        assert found.retry
        assert found.delay_s <= 8.0

    def test_tries_are_counted(self) -> None:
        """Four retries, not five."""
        assert decide(error(), 4)[0]
        assert not decide(error(), 5)[0]

    def test_timeout_is_tried_once_more(self) -> None:
        """A second timeout is final: it has cost minutes."""
        assert decide(error(ErrorKind.TIMEOUT), 1)[0]
        assert not decide(error(ErrorKind.TIMEOUT), 2)[0]

    def test_no_retries_means_none(self) -> None:
        """A policy without retries has none for timeouts and stale sockets either."""
        never = RetryPolicy(max_retries=0)
        for failed in (error(), error(ErrorKind.TIMEOUT), error(stale_socket=True)):
            assert not never.decide(failed, failures=1, time_left_s=9.0, rng=random.Random(0)).retry

    def test_hint_is_a_lower_bound(self) -> None:
        """Nobody comes back before the provider said, and not all at the same moment."""
        failed = error(ErrorKind.RATE_LIMIT, retry_after_s=7.0)
        delays = {decide(failed, seed=seed)[1] for seed in range(100)}
        assert min(delays) >= 7.0
        assert max(delays) <= 7.5
        assert len(delays) == 100

    def test_hint_of_an_overloaded_server_is_followed(self) -> None:
        """A 503 may say when to come back, too."""
        assert decide(error(retry_after_s=3.0))[1] >= 3.0

    def test_hint_beyond_the_cap_is_not_sat_out(self) -> None:
        """A provider that asks for more patience than the policy has is not retried."""
        found = POLICY.decide(
            error(ErrorKind.RATE_LIMIT, retry_after_s=61.0),
            failures=1,
            time_left_s=300.0,
            rng=random.Random(0),
        )
        assert not found.retry
        assert "61" in found.reason

    def test_stale_socket_is_tried_at_once(self) -> None:
        """The first one costs nothing; the second is an ordinary failure."""
        stale = error(ErrorKind.TRANSPORT, stale_socket=True)
        assert decide(stale, 1) == (True, 0.0)
        assert decide(stale, 2)[1] > 0.0

    def test_provider_may_forbid(self) -> None:
        """`x-should-retry: false` is obeyed."""
        assert not decide(error(should_retry=False))[0]

    def test_provider_may_ask_for_it(self) -> None:
        """`x-should-retry: true` is obeyed for a status that is otherwise final, up to the cap."""
        failed = error(ErrorKind.INVALID_REQUEST, should_retry=True)
        assert decide(failed, 1)[0]
        assert not decide(failed, 5)[0]

    def test_delivered_text_is_never_repeated(self) -> None:
        """After part of the answer was handed on, nothing is tried again."""
        for failed in (error(delivered=True), error(delivered=True, should_retry=True)):
            assert not decide(failed)[0]

    def test_delay_past_the_deadline_is_not_waited(self) -> None:
        """A call fails at once rather than at its deadline."""
        failed = error(ErrorKind.RATE_LIMIT, retry_after_s=10.0)
        assert not decide(failed, time_left_s=9.0)[0]
        assert decide(failed, time_left_s=11.0)[0]

    @pytest.mark.parametrize("time_left_s", [0.0, -5.0])
    def test_no_time_is_no_retry(self, time_left_s: float) -> None:
        """Not even an immediate one."""
        assert not decide(error(stale_socket=True), time_left_s=time_left_s)[0]

    @pytest.mark.parametrize("name", ["max_retries", "base_s", "cap_s", "hint_cap_s"])
    def test_negative_settings_are_refused(self, name: str) -> None:
        """The message names the setting and its value."""
        bad: Mapping[str, Any] = {name: -1}
        with pytest.raises(ValueError, match=f"{name}.*-1"):
            RetryPolicy(**bad)

    @given(
        st.sampled_from(ErrorKind),
        st.integers(1, 50),
        st.floats(-10, 1e6),
        st.none() | st.floats(0, 1e6),
        st.none() | st.booleans(),
        st.booleans(),
        st.integers(0, 1_000),
    )
    def test_decisions_keep_their_bounds(
        self,
        kind: ErrorKind,
        failures: int,
        time_left_s: float,
        hint_s: float | None,
        should_retry: bool | None,
        stale: bool,
        seed: int,
    ) -> None:
        """Whatever happened: never past the deadline, the caps, the count or the hint."""
        failed = error(kind, retry_after_s=hint_s, should_retry=should_retry, stale_socket=stale)
        retry, delay_s = decide(failed, failures, time_left_s=time_left_s, seed=seed)
        if not retry:
            assert delay_s == 0.0
            return

        assert failures <= POLICY.max_retries
        assert 0.0 <= delay_s < time_left_s
        assert delay_s <= POLICY.hint_cap_s + POLICY.cap_s
        assert stale or delay_s >= (hint_s or 0.0)


class TestRetryBudget:
    def test_burst_of_calls_with_few_faults_is_retried(self) -> None:
        """A thousand calls that start together may retry their fifty faults, a minute later."""
        clock = FakeClock()
        budget = RetryBudget(clock=clock)
        for _ in range(1_000):
            budget.record_call()

        clock.advance(90.0)
        assert all(budget.spend() for _ in range(50))

    def test_outage_does_not_multiply_traffic(self) -> None:
        """When every call fails, retries are a fifth of the calls and the reserve."""
        clock = FakeClock()
        budget = RetryBudget(clock=clock)
        retries = 0
        for _ in range(10_000):
            budget.record_call()
            retries += sum(budget.spend() for _ in range(4))
            clock.advance(0.01)

        assert retries <= 0.2 * 10_000 + 20
        assert retries >= 0.2 * 10_000 - 1

    def test_quiet_endpoint_has_its_reserve(self) -> None:
        """A lone call can be retried without having earned it."""
        budget = RetryBudget(clock=FakeClock())
        budget.record_call()
        assert sum(budget.spend() for _ in range(100)) == 20

    def test_spent_retries_come_back_with_time(self) -> None:
        """What was spent counts for one window and no longer."""
        clock = FakeClock()
        budget = RetryBudget(ratio=0.0, reserve=1, window_s=60.0, clock=clock)
        assert budget.spend()
        assert not budget.spend()
        clock.advance(61.0)
        assert budget.spend()

    def test_good_hours_are_not_saved_up(self) -> None:
        """A long quiet success does not pay for a storm."""
        clock = FakeClock()
        budget = RetryBudget(clock=clock)
        for _ in range(10_000):
            budget.record_call()

        clock.advance(3_600.0)
        assert budget.available == 20.0

    def test_statistics_count_what_was_refused(self) -> None:
        """A snapshot shows both sides, and so does the repr."""
        budget = RetryBudget(ratio=0.5, reserve=0, clock=FakeClock())
        for _ in range(4):
            budget.record_call()

        assert [budget.spend() for _ in range(3)] == [True, True, False]
        found = budget.statistics()
        assert (found.calls, found.retries, found.available, found.refused) == (4, 2, 0.0, 1)
        assert repr(budget) == "<RetryBudget 2 retries for 4 calls, 1 refused>"

    def test_negative_settings_are_refused(self) -> None:
        """A budget below nothing is refused."""
        with pytest.raises(ValueError, match="ratio and reserve"):
            RetryBudget(ratio=-0.1)

    @given(st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=300))
    def test_any_traffic_keeps_the_ratio(self, steps: list[tuple[bool, float]]) -> None:
        """Over all time, retries never exceed the ratio by more than one reserve a window."""
        clock = FakeClock()
        budget = RetryBudget(ratio=0.2, reserve=3, window_s=60.0, clock=clock)
        calls = retries = 0
        for is_call, pause_s in steps:
            clock.advance(pause_s)
            if is_call:
                budget.record_call()
                calls += 1
            else:
                retries += budget.spend()

        windows = clock.now / 58.0 + 1
        assert retries <= 0.2 * calls * 1.0 + 3 * (windows + 1)
