"""A purse is never overdrawn, and every lease is closed exactly once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dspex.clients.limits.budget import Budget, LocalBudget
from dspex.errors import BudgetExceeded
from dspex.usage import Usage
from supervision.testing import FakeClock

pytestmark = pytest.mark.virtual_time

small = st.integers(0, 20)
usages = st.builds(Usage, input_tokens=small, output_tokens=small, calls=st.integers(0, 2))


def tokens(count: int, *, usd: str = "0") -> Usage:
    return Usage(input_tokens=count, calls=1, cost_usd=Decimal(usd))


class TestBudget:
    @pytest.mark.parametrize("name", ["calls", "tokens", "usd", "wall_s"])
    def test_a_negative_bound_is_refused(self, name: str) -> None:
        """The error shows the value."""
        with pytest.raises(ValueError, match=f"{name} must be 0 or more, got"):
            Budget(**{name: -1})

    @pytest.mark.parametrize("usd", ["two", "NaN", float("inf")])
    def test_dollars_are_a_number(self, usd: Any) -> None:
        """A bound that nothing can be compared with would never hold."""
        with pytest.raises(ValueError, match="usd must be "):
            Budget(usd=usd)

    def test_dollars_are_exact(self) -> None:
        """A tenth of a dollar given as a float is the tenth that was meant."""
        assert Decimal("0.1") == Budget(usd=0.1).usd == Budget(usd="0.1").usd

    def test_a_budget_of_nothing_allows_nothing(self) -> None:
        """Zero is a bound; None is none."""
        with pytest.raises(BudgetExceeded, match="0 calls"):
            LocalBudget(Budget(calls=0)).reserve(Usage(calls=1))

        LocalBudget(Budget()).reserve(Usage(calls=10**9))


class TestReserving:
    def test_a_refusal_sets_nothing_aside(self) -> None:
        """A call that was too large leaves room for a small one."""
        purse = LocalBudget(Budget(calls=5, tokens=10))

        with pytest.raises(BudgetExceeded, match=r"10 tokens.*reach 11"):
            purse.reserve(Usage(input_tokens=11, calls=1))

        assert (0, 0) == (purse.statistics().reserved_calls, purse.statistics().reserved_tokens)
        purse.reserve(Usage(input_tokens=10, calls=1))

    def test_the_first_end_of_a_lease_counts(self) -> None:
        """A second one would give back what was never set aside."""
        purse = LocalBudget(Budget(calls=5))
        lease = purse.reserve(Usage(calls=1))

        lease.settle(Usage(calls=1, output_tokens=7))
        lease.release()
        lease.settle(Usage(calls=1))

        statistics = purse.statistics()
        assert (1, 7, 0) == (
            statistics.used_calls,
            statistics.used_tokens,
            statistics.reserved_calls,
        )

    def test_what_is_set_aside_counts_until_it_is_settled(self) -> None:
        """A second call may have to wait; what it asks is not refused for good."""
        purse = LocalBudget(Budget(tokens=10))
        lease = purse.reserve(tokens(6))

        assert purse.try_reserve(tokens(6)) is None
        with pytest.raises(BudgetExceeded, match="1 calls are under way"):
            purse.reserve(tokens(6))

        lease.settle(tokens(4))
        assert purse.try_reserve(tokens(6)) is not None

    def test_dollars_need_a_price(self) -> None:
        """A cost that nobody knows cannot be held to a bound."""
        purse = LocalBudget(Budget(usd=1))

        with pytest.raises(ValueError, match="price is not known"):
            purse.reserve(Usage(calls=1, cost_usd=None))

    def test_a_bill_that_is_not_known_is_taken_for_the_most(self) -> None:
        """Where dollars are bounded; elsewhere the sum is unknown from then on."""
        bounded, free = LocalBudget(Budget(usd=5)), LocalBudget(Budget(calls=5))
        for purse in (bounded, free):
            purse.reserve(tokens(1, usd="2")).settle(Usage(calls=1, cost_usd=None))

        assert (Decimal(2), None) == (
            bounded.statistics().used_usd,
            free.statistics().used_usd,
        )

    def test_time_runs_from_the_first_look_and_then_ends_it(self) -> None:
        """A purse that is made early does not run out before anything was asked."""
        clock = FakeClock()
        purse = LocalBudget(Budget(wall_s=10), clock=clock)
        clock.advance(100)
        assert 10 == purse.statistics().left_s

        assert 110.0 == purse.deadline
        clock.advance(9)
        purse.reserve(tokens(1)).settle(tokens(1))
        assert 1 == purse.statistics().left_s
        clock.advance(1)
        with pytest.raises(BudgetExceeded, match="10 s are over"):
            purse.reserve(tokens(1))


class TestNesting:
    def test_all_purses_give_or_none(self) -> None:
        """What the day has no room for, the run does not set aside either."""
        day = LocalBudget(Budget(tokens=10))
        run = LocalBudget(Budget(calls=5), parent=day)
        other = LocalBudget(Budget(tokens=8), parent=day)
        lease = run.reserve(tokens(6))

        assert other.try_reserve(tokens(6)) is None
        with pytest.raises(BudgetExceeded):
            run.reserve(tokens(11))

        assert (1, 0) == (run.statistics().reserved_calls, other.statistics().reserved_calls)
        lease.settle(tokens(5))
        assert (5, 5, 0) == (
            day.statistics().used_tokens,
            run.statistics().used_tokens,
            day.statistics().reserved_tokens,
        )
        assert frozenset({"calls", "tokens"}) == run.limited

    def test_the_earliest_end_holds(self) -> None:
        """A job may not outlast its day."""
        clock = FakeClock()
        day = LocalBudget(Budget(wall_s=5), clock=clock)

        assert 5.0 == LocalBudget(Budget(wall_s=9), parent=day, clock=clock).deadline
        assert 3.0 == LocalBudget(Budget(wall_s=3), parent=day, clock=clock).deadline
        assert LocalBudget(Budget(calls=1)).deadline is None


class TestWaiting:
    async def test_calls_wait_for_what_others_give_back_in_order(self) -> None:
        """First come, first served, also past a small one that would fit."""
        purse, order = LocalBudget(Budget(tokens=10)), list[str]()
        lease = purse.reserve(tokens(8))

        async def one(name: str, size: int) -> None:
            mine = await purse.acquire(tokens(size))
            order.append(name)
            mine.settle(tokens(0))

        async with asyncio.TaskGroup() as group:
            group.create_task(one("large", 9))
            group.create_task(one("small", 1))
            await asyncio.sleep(1)
            assert ([], 2) == (order, purse.statistics().waiting)
            lease.settle(tokens(1))

        assert ["large", "small"] == order
        assert 0 == purse.statistics().waiting

    async def test_who_can_never_fit_any_more_ends_at_once(self) -> None:
        """What the others used up is gone; the line moves on."""
        purse = LocalBudget(Budget(tokens=10))
        lease = purse.reserve(tokens(8))
        async with asyncio.TaskGroup() as group:
            large = group.create_task(_caught(purse, 9))
            small = group.create_task(_caught(purse, 2))
            await asyncio.sleep(1)
            lease.settle(tokens(8))

        assert (False, True) == (large.result(), small.result())

    @pytest.mark.parametrize("granted_first", [False, True], ids=["in line", "granted"])
    async def test_a_cancelled_wait_holds_nothing(self, *, granted_first: bool) -> None:
        """Also when it is granted in the very turn in which it is cancelled."""
        purse = LocalBudget(Budget(tokens=10))
        lease = purse.reserve(tokens(10))
        gone = asyncio.create_task(purse.acquire(tokens(5)))
        behind = asyncio.create_task(purse.acquire(tokens(10)))
        await asyncio.sleep(1)
        if granted_first:
            lease.release()

        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone

        lease.release()
        (await behind).release()
        assert (0, 0) == (purse.statistics().reserved_tokens, purse.statistics().waiting)

    async def test_who_is_cancelled_in_the_same_turn_is_passed_by(self) -> None:
        """The first to leave serves the line, in which the second still stands."""
        purse = LocalBudget(Budget(tokens=10))
        lease = purse.reserve(tokens(8))
        calls = [asyncio.create_task(purse.acquire(tokens(size))) for size in (9, 3, 2)]
        await asyncio.sleep(1)
        for call in calls[:2]:
            call.cancel()

        (await calls[2]).release()
        lease.release()
        assert [True, True] == [call.cancelled() for call in calls[:2]]
        assert (0, 0) == (purse.statistics().reserved_tokens, purse.statistics().waiting)

    async def test_a_tight_purse_does_not_hold_up_its_siblings(self) -> None:
        """Who lacks room in the own purse waits there, and not at the day's."""
        day = LocalBudget(Budget(tokens=100))
        tight, wide = (LocalBudget(Budget(tokens=size), parent=day) for size in (10, 90))
        lease = tight.reserve(tokens(10))
        waiting = asyncio.create_task(tight.acquire(tokens(10)))
        await asyncio.sleep(1)

        (await asyncio.wait_for(wide.acquire(tokens(50)), 1)).release()
        lease.release()
        (await waiting).release()

    async def test_who_has_room_inside_goes_on_to_wait_outside(self) -> None:
        """The line one stands in is that of the purse without room; the other moves on."""
        day = LocalBudget(Budget(tokens=10))
        run = LocalBudget(Budget(calls=1), parent=day)
        outside, inside = day.reserve(tokens(8)), run.reserve(tokens(2))
        large = asyncio.create_task(run.acquire(tokens(5)))
        await asyncio.sleep(1)
        inside.release()
        assert (0, 1) == (run.statistics().waiting, day.statistics().waiting)

        outside.release()
        (await large).release()
        assert 0 == day.statistics().reserved_tokens

    async def test_ten_thousand_at_once_use_it_up_to_the_last_token(self) -> None:
        """Nobody is refused while there is room, and the bound is met to the token."""
        purse = LocalBudget(Budget(tokens=50_000))

        async def one(n: int) -> bool:
            try:
                lease = await purse.acquire(tokens(500))
            except BudgetExceeded:
                return False

            assert purse.statistics().used_tokens + purse.statistics().reserved_tokens <= 50_000
            await asyncio.sleep(1 + n % 7)
            lease.settle(tokens(10))
            return True

        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(one(n)) for n in range(10_000)]

        made = sum(call.result() for call in calls)
        assert 4_951 == made  # 495 of 500 tokens of room come back each time
        assert 10 * made == purse.statistics().used_tokens


async def _caught(purse: LocalBudget, size: int) -> bool:
    try:
        (await purse.acquire(tokens(size))).release()
    except BudgetExceeded:
        return False

    return True


@given(st.lists(st.tuples(usages, st.one_of(st.none(), usages)), max_size=30))
def test_what_is_reserved_and_used_adds_up(calls: list[tuple[Usage, Usage | None]]) -> None:
    """Estimates never overdraw; after all leases nothing stays set aside."""
    purse, leases, used = LocalBudget(Budget(tokens=200)), list[Any](), 0
    for estimate, actual in calls:
        try:
            leases.append((purse.reserve(estimate), actual))
        except BudgetExceeded:
            continue

        assert purse.statistics().reserved_tokens <= 200

    for lease, actual in leases:
        if actual is None:
            lease.release()
        else:
            lease.settle(actual)
            used += actual.total_tokens

    statistics = purse.statistics()
    assert (used, 0, 0) == (
        statistics.used_tokens,
        statistics.reserved_tokens,
        statistics.reserved_calls,
    )


class Purses(RuleBasedStateMachine):
    """Calls of two runs inside one day: reserve, wait, settle, release and cancel, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.day = LocalBudget(Budget(tokens=60, usd="0.60", calls=12), clock=self.loop.time)
        self.runs = [
            LocalBudget(Budget(tokens=40), parent=self.day, clock=self.loop.time),
            LocalBudget(Budget(calls=8, usd="0.50"), parent=self.day, clock=self.loop.time),
        ]
        self.calls: list[tuple[Usage, asyncio.Task[Any]]] = []

    def teardown(self) -> None:
        for _, call in self.calls:
            call.cancel()

        self._turn()
        self.loop.close()

    def _turn(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(asyncio.sleep(0))

    @rule(run=st.integers(0, 1), size=st.integers(0, 30))
    def ask(self, run: int, size: int) -> None:
        most = tokens(size, usd=f"0.{size:02}")
        task = self.loop.create_task(self.runs[run].acquire(most))
        self.calls.append((most, task))
        self._turn()
        if task.done() and task.exception() is not None:
            assert isinstance(task.exception(), BudgetExceeded)
            self.calls.pop()

    @precondition(lambda self: any(task.done() for _, task in self.calls))
    @rule(which=st.integers(0), share=st.integers(0, 100), keep=st.booleans())
    def end(self, which: int, share: int, *, keep: bool) -> None:
        granted = [pair for pair in self.calls if pair[1].done()]
        pair = granted[which % len(granted)]
        self.calls.remove(pair)
        most, task = pair
        used = most.input_tokens * share // 100
        if task.exception() is not None:
            return

        task.result().settle(tokens(used, usd=f"0.{used:02}")) if keep else task.result().release()
        self._turn()

    @precondition(lambda self: any(not task.done() for _, task in self.calls))
    @rule(which=st.integers(0), settled=st.booleans())
    def cancel(self, which: int, *, settled: bool) -> None:
        waiting = [pair for pair in self.calls if not pair[1].done()]
        pair = waiting[which % len(waiting)]
        self.calls.remove(pair)
        granted = [task for _, task in self.calls if task.done() and task.exception() is None]
        if settled and granted:
            # Room comes free in the very turn in which the waiter is cancelled.
            self.calls = [kept for kept in self.calls if kept[1] is not granted[0]]
            granted[0].result().release()

        pair[1].cancel()
        self._turn()
        assert pair[1].done()

    @invariant()
    def nothing_is_overdrawn(self) -> None:
        for purse in (self.day, *self.runs):
            now, budget = purse.statistics(), purse.account.budget
            assert now.used_usd is not None
            assert min(now.reserved_tokens, now.reserved_calls) >= 0
            assert budget.tokens is None or now.used_tokens + now.reserved_tokens <= budget.tokens
            assert budget.calls is None or now.used_calls + now.reserved_calls <= budget.calls
            assert budget.usd is None or now.used_usd + now.reserved_usd <= Decimal(budget.usd)

    @invariant()
    def nobody_waits_for_nobody(self) -> None:
        for purse in (self.day, *self.runs):
            if purse.statistics().waiting:
                assert purse.statistics().reserved_calls > 0


TestPurses = Purses.TestCase
