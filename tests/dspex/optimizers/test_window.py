"""The ordered window: concurrent, and yet exactly what going one by one finds."""

from __future__ import annotations

import asyncio
import math
import random as random_module
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings, strategies as st

from dspex import effects
from dspex.optimizers.window import Attempt, Decided, Found, Scan, ScanResult, Verdict, scan

pytestmark = pytest.mark.virtual_time

NEVER, ASIDE = -1, -2


def verdict_of(pattern: Sequence[int], attempt: Attempt) -> Verdict:
    """Return what an attempt shows. A pattern holds, per example, the round that succeeds."""
    entry = pattern[attempt.index]
    if entry == ASIDE:
        return Verdict.SET_ASIDE

    return Verdict.SUCCESS if entry == attempt.round else Verdict.FAILURE


def one_by_one(pattern: Sequence[int], target: int, rounds: int) -> tuple[list[int], int]:
    """Do the sequential scan: which examples succeed, in how many attempts."""
    found: list[int] = []
    attempts = 0
    for index in range(len(pattern)):
        if len(found) >= target:
            break

        for number in range(rounds):
            attempts += 1
            verdict = verdict_of(pattern, Attempt(index, number))
            if verdict is Verdict.SUCCESS:
                found.append(index)

            if verdict is not Verdict.FAILURE:
                break

    return found, attempts


@dataclass
class Played:
    """What a policy did."""

    found: list[int]
    launched: int
    attempts: int
    most_in_flight: int


def play(policy: Scan, pattern: Sequence[int], order: random_module.Random) -> Played:
    """Let a policy launch attempts whose results come in a random order."""
    in_flight: list[Attempt] = []
    found: set[int] = set()
    most = 0
    while not policy.done:
        while (attempt := policy.next()) is not None:
            in_flight.append(attempt)

        assert in_flight, "the scan is stuck"
        most = max(most, len(in_flight))
        attempt = in_flight.pop(order.randrange(len(in_flight)))
        verdict = verdict_of(pattern, attempt)
        policy.resolve(attempt, verdict)
        if verdict is Verdict.SUCCESS:
            found.add(attempt.index)

    counted = sorted(index for index in found if index < policy.prefix)
    return Played(counted, policy.launched, policy.sequential_attempts, most)


patterns = st.integers(1, 4).flatmap(
    lambda rounds: st.tuples(st.just(rounds), st.lists(st.integers(ASIDE, rounds - 1), max_size=40))
)


class TestEqualsTheSequentialScan:
    @settings(max_examples=400)
    @given(patterns, st.integers(1, 12), st.sampled_from([1, 3, 100]), st.randoms())
    @example((1, [0] * 8), 8, 100, random_module.Random(0))
    @example((1, [NEVER] * 30 + [0]), 1, 100, random_module.Random(0))
    @example((3, [2, NEVER, 0, 2]), 3, 100, random_module.Random(0))
    def test_same_demos_and_bounded_calls(
        self,
        drawn: tuple[int, list[int]],
        target: int,
        max_in_flight: int,
        order: random_module.Random,
    ) -> None:
        """For any results in any order: the same examples, and at most half as many calls again."""
        rounds, pattern = drawn
        policy = Scan(len(pattern), target=target, rounds=rounds, max_in_flight=max_in_flight)
        played = play(policy, pattern, order)
        found, attempts = one_by_one(pattern, target, rounds)
        assert (played.found, played.attempts) == (found, attempts)
        assert played.launched <= 1.5 * attempts
        assert played.most_in_flight <= max_in_flight

    @given(patterns, st.integers(1, 12), st.randoms())
    def test_without_slack_it_is_the_sequential_scan(
        self, drawn: tuple[int, list[int]], target: int, order: random_module.Random
    ) -> None:
        """A factor of one makes no call that the sequential scan does not make."""
        rounds, pattern = drawn
        policy = Scan(len(pattern), target=target, rounds=rounds, factor=1.0)
        assert play(policy, pattern, order).launched == one_by_one(pattern, target, rounds)[1]

    @given(patterns, st.integers(1, 12), st.randoms())
    def test_the_lower_bound_is_one_and_only_grows(
        self, drawn: tuple[int, list[int]], target: int, order: random_module.Random
    ) -> None:
        """At no time is the sequential scan expected to need more attempts than it does."""
        rounds, pattern = drawn
        policy = Scan(len(pattern), target=target, rounds=rounds)
        _, attempts = one_by_one(pattern, target, rounds)
        in_flight: list[Attempt] = []
        bound = policy.lower_bound()
        while not policy.done:
            while (attempt := policy.next()) is not None:
                in_flight.append(attempt)

            attempt = in_flight.pop(order.randrange(len(in_flight)))
            policy.resolve(attempt, verdict_of(pattern, attempt))
            assert bound <= policy.lower_bound() <= attempts
            bound = policy.lower_bound()

        assert bound == attempts


class TestNeed:
    def test_all_at_once_and_no_more(self) -> None:
        """Where everything succeeds, exactly as many are launched as are wanted, together."""
        played = play(Scan(100, target=8), [0] * 100, random_module.Random(0))
        assert (played.launched, played.most_in_flight) == (8, 8)

    def test_failures_open_the_window(self) -> None:
        """At a low success rate more run at the same time than are still missing."""
        pattern = [0 if index % 4 == 0 else NEVER for index in range(400)]
        played = play(Scan(400, target=40), pattern, random_module.Random(0))
        assert played.most_in_flight > 40

    @pytest.mark.parametrize(("count", "target"), [(0, 5), (5, 0), (0, 0)])
    def test_nothing_to_do(self, count: int, target: int) -> None:
        """Without examples, or without a wish, nothing is launched."""
        policy = Scan(count, target=target)
        assert policy.done
        assert policy.next() is None

    def test_retry_goes_before_a_new_example(self) -> None:
        """The sequential scan would try an example again before it takes the next."""
        policy = Scan(10, target=1, rounds=2)
        first = policy.next()
        assert first == Attempt(0, 0)
        assert policy.next() is None
        policy.resolve(first, Verdict.FAILURE)
        assert policy.next() == Attempt(0, 1)


async def run(
    pattern: Sequence[int], target: int, *, rounds: int = 1, delay_s: float = 1.0, seed: int = 0
) -> tuple[ScanResult[tuple[str, ...]], float]:
    """Scan a pattern with answers that take around `delay_s`; return the result and the time."""
    random = random_module.Random(seed)

    async def function(attempt: Attempt) -> Found[tuple[str, ...]]:
        await asyncio.sleep(delay_s * random.uniform(1, 1 + seed))
        return Found(verdict_of(pattern, attempt), effects.current().path)

    loop = asyncio.get_running_loop()
    began = loop.time()
    result = await scan(Scan(len(pattern), target=target, rounds=rounds), function, name="s")
    return result, loop.time() - began


class TestScan:
    async def test_eight_in_the_time_of_one(self) -> None:
        """Where all succeed, eight take as long as the slowest of them."""
        result, took_s = await run([0] * 50, 8)
        assert took_s == pytest.approx(1.0)
        assert [decided.index for decided in result.decided] == list(range(8))
        assert (result.attempts, result.extra_attempts) == (8, 0)

    @pytest.mark.parametrize("seed", range(20))
    async def test_result_does_not_depend_on_timing(self, seed: int) -> None:
        """Whatever answers come first, the examples decided are the same."""
        pattern = [0, NEVER, 1, 0, ASIDE, NEVER, 1, 0, 0, 0, NEVER, 0]
        result, _ = await run(pattern, 5, rounds=2, seed=seed)
        verdicts = [decided.verdict for decided in result.decided]
        assert [i for i, v in enumerate(verdicts) if v is Verdict.SUCCESS] == [0, 2, 3, 6, 7]
        assert len(verdicts) == 8
        assert result.attempts == 12
        assert result.extra_attempts <= 6

    async def test_rounds_have_places_of_their_own(self) -> None:
        """Each attempt runs in a scope named by its index and round."""
        with effects.scope("outer"):
            result, _ = await run([1, 0], 2, rounds=2)

        assert [found.value for decided in result.decided for found in decided.attempts] == [
            ("outer", "s", "0"),
            ("outer", "s", "0#1"),
            ("outer", "s", "1"),
        ]

    async def test_no_longer_needed_attempts_are_cancelled(self) -> None:
        """When the result stands, what is still in flight is ended."""
        cancelled: list[int] = []

        async def function(attempt: Attempt) -> Found[int]:
            try:
                # 0 fails at once, which widens the window beyond what turns out to be needed.
                await asyncio.sleep(attempt.index if attempt.index < 7 else 1_000)
            except asyncio.CancelledError:
                cancelled.append(attempt.index)
                raise

            verdict = Verdict.FAILURE if attempt.index in (0, 1) else Verdict.SUCCESS
            return Found(verdict, attempt.index)

        policy = Scan(100, target=5)
        result = await scan(policy, function)
        assert asyncio.get_running_loop().time() < 100
        assert result.extra_attempts == len(cancelled) > 0

    async def test_error_ends_the_scan_unwrapped(self) -> None:
        """What an attempt raises comes out as it is, and the others are cancelled."""
        cancelled: list[int] = []

        async def function(attempt: Attempt) -> Found[None]:
            if attempt.index == 2:
                raise KeyError("gone")

            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                cancelled.append(attempt.index)
                raise

            return Found(Verdict.SUCCESS, None)

        with pytest.raises(KeyError, match="gone"):
            await scan(Scan(10, target=4), function)

        assert sorted(cancelled) == [0, 1, 3]

    async def test_decided_in_order(self) -> None:
        """Examples are reported as the sequential scan meets them, and may end it."""
        seen: list[int] = []

        async def function(attempt: Attempt) -> Found[int]:
            await asyncio.sleep(10 - attempt.index)
            return Found(Verdict.SUCCESS, attempt.index)

        def note(decided: Decided[int]) -> None:
            seen.append(decided.index)
            if decided.index == 3:
                raise ValueError("enough")

        with pytest.raises(ValueError, match="enough"):
            await scan(Scan(10, target=8), function, on_decided=note)

        assert seen == [0, 1, 2, 3]

    async def test_cancelled_from_outside(self) -> None:
        """Cancelling the scan ends its attempts."""
        cancelled = 0

        async def function(attempt: Attempt) -> Found[None]:
            nonlocal cancelled
            try:
                await asyncio.sleep(1_000)
            except asyncio.CancelledError:
                cancelled += 1
                raise

            return Found(Verdict.SUCCESS, None)

        task = asyncio.create_task(scan(Scan(10, target=4), function))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert cancelled == 4


class TestCost:
    def test_a_large_target_is_no_problem(self) -> None:
        """Three hundred demos of three thousand examples: the bound is still kept."""
        pattern = [0 if index % 3 else NEVER for index in range(3_000)]
        played = play(Scan(3_000, target=300), pattern, random_module.Random(1))
        assert played.launched <= math.floor(1.5 * played.attempts)
