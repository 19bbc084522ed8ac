"""The request limiter: rates, order, pauses, and what happens when its pump is gone."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given, settings, strategies as st

from dspex.clients.limits.limiter import RequestLimiter
from dspex.clients.limits.quota import QuotaLease
from dspex.clients.limits.user_limits import UserLimits
from dspex.errors import EndpointUnavailable, PoolExhausted
from dspex.testing import VirtualTimeLoop
from dspex.usage import Usage

pytestmark = pytest.mark.virtual_time


@asynccontextmanager
async def served(limiter: RequestLimiter) -> AsyncIterator[RequestLimiter]:
    """Run the pump around a block, as a supervised child does."""
    pump = asyncio.create_task(limiter.serve())
    await asyncio.sleep(0)
    try:
        yield limiter
    finally:
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump


def now() -> float:
    """Read the loop's clock."""
    return asyncio.get_running_loop().time()


async def ask(limiter: RequestLimiter, tokens: int = 1) -> QuotaLease:
    """Acquire with the key that nobody looks at."""
    return await limiter.acquire(key="p/m", tokens=tokens)


async def wait_until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something holds, a bounded number of times."""
    for _ in range(1_000):
        if condition():
            return

        await asyncio.sleep(0)

    raise AssertionError("it never came to hold")


async def grant_times(limiter: RequestLimiter, count: int) -> list[float]:
    """Let `count` callers ask at once; return when each was granted, in the order they asked."""
    times = [math.nan] * count

    async def caller(index: int) -> None:
        await ask(limiter)
        times[index] = now()

    async with asyncio.TaskGroup() as group:
        for index in range(count):
            group.create_task(caller(index))

    return times


class TestRequestRate:
    async def test_burst_is_a_second_of_rate(self) -> None:
        """After a quiet time, one second's worth goes at once and the rest at the rate."""
        async with served(RequestLimiter(requests_per_min=600)) as limiter:
            times = await grant_times(limiter, 30)

        assert times[9] == 0.0
        assert times[10] == pytest.approx(0.1, abs=0.01)
        assert times[29] == pytest.approx(2.0, abs=0.01)

    async def test_slow_rate_still_lets_one_go(self) -> None:
        """Six a minute is one at once and then one every ten seconds."""
        async with served(RequestLimiter(requests_per_min=6)) as limiter:
            assert await grant_times(limiter, 4) == pytest.approx([0, 10, 20, 30], abs=0.01)

    async def test_first_minute_stays_within_the_limit(self) -> None:
        """The first minute has no more than a minute's rate and one burst of a second."""
        async with served(RequestLimiter(requests_per_min=600)) as limiter:
            times = await grant_times(limiter, 700)

        assert sum(time < 60.0 for time in times) <= 611

    async def test_high_rate_is_granted_in_batches(self) -> None:
        """Ten thousand a second drain at their rate, and within the pump's grain."""
        async with served(RequestLimiter(requests_per_min=600_000)) as limiter:
            times = await grant_times(limiter, 20_000)

        assert times[-1] == pytest.approx(1.0, abs=0.02)
        assert times == sorted(times)

    async def test_no_rate_is_too_low(self) -> None:
        """One request in longer than any timer lasts leaves the pump alive."""
        async with served(RequestLimiter(requests_per_min=1e-300)) as limiter:
            await ask(limiter)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1e6):
                    await ask(limiter)

            limiter.set_rate(requests_per_min=None, tokens_per_min=None)
            await ask(limiter)

    async def test_without_rates_everybody_goes(self) -> None:
        """No rate is no limit."""
        async with served(RequestLimiter()) as limiter:
            assert await grant_times(limiter, 5_000) == [0.0] * 5_000

    async def test_newcomer_does_not_barge_in(self) -> None:
        """Whoever asks while others wait goes after them, however little it asks for."""
        order: list[str] = []

        async def caller(name: str, tokens: int) -> None:
            await ask(limiter, tokens)
            order.append(name)

        async with served(RequestLimiter(tokens_per_min=600)) as limiter:
            await ask(limiter, 10)
            async with asyncio.TaskGroup() as group:
                group.create_task(caller("large", 9))
                await asyncio.sleep(0.35)
                group.create_task(caller("small", 1))

        assert order == ["large", "small"]

    @pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf])
    def test_rate_that_is_none_is_refused(self, rate: float) -> None:
        """A rate must be positive and finite, and the message shows what was given."""
        with pytest.raises(ValueError, match=f"requests_per_min.*{rate!r}"):
            RequestLimiter(requests_per_min=rate)


class TestTokenRate:
    async def test_tokens_are_paced(self) -> None:
        """Requests wait until their estimate fits in."""
        async with served(RequestLimiter(tokens_per_min=6_000)) as limiter:
            await ask(limiter, 100)
            await ask(limiter, 50)
            assert now() == pytest.approx(0.5, abs=0.01)

    async def test_request_larger_than_the_bucket_is_served(self) -> None:
        """It goes when the bucket is empty, and those behind it pay for its size."""
        async with served(RequestLimiter(tokens_per_min=6_000)) as limiter:
            await ask(limiter, 1_000)
            assert now() == 0.0
            await ask(limiter, 100)
            assert now() == pytest.approx(10.0, abs=0.01)

    async def test_larger_use_is_charged(self) -> None:
        """What was used beyond the estimate delays the next."""
        async with served(RequestLimiter(tokens_per_min=6_000)) as limiter:
            lease = await ask(limiter, 100)
            lease.settle(Usage(input_tokens=200, output_tokens=100))
            await ask(limiter, 100)
            assert now() == pytest.approx(3.0, abs=0.01)

    async def test_smaller_use_is_given_back(self) -> None:
        """What was not used lets a waiting call go at once."""
        async with served(RequestLimiter(tokens_per_min=6_000)) as limiter:
            lease = await ask(limiter, 100)
            async with asyncio.TaskGroup() as group:
                group.create_task(ask(limiter, 80))
                await asyncio.sleep(0.01)
                lease.settle(Usage(input_tokens=20))

            assert now() == pytest.approx(0.01, abs=0.005)

    async def test_unknown_use_keeps_the_estimate(self) -> None:
        """An answer without usage is charged as it was estimated."""
        async with served(RequestLimiter(tokens_per_min=6_000)) as limiter:
            (await ask(limiter, 100)).settle(Usage())
            assert limiter.statistics().tokens_free == pytest.approx(0.0)

    async def test_nonsense_use_does_not_stop_the_endpoint(self) -> None:
        """A figure of a trillion tokens delays by a minute, not by years."""
        async with served(RequestLimiter(tokens_per_min=6_000)) as limiter:
            (await ask(limiter, 1)).settle(Usage(input_tokens=10**12))
            await ask(limiter, 1)
            assert now() <= 61.0

    async def test_refund_gives_both_back(self) -> None:
        """A request that was not sent counts neither as a request nor by its tokens."""
        async with served(RequestLimiter(requests_per_min=60, tokens_per_min=600)) as limiter:
            (await ask(limiter, 10)).refund()
            found = limiter.statistics()

        assert (found.requests_free, found.tokens_free) == (1.0, 10.0)
        assert (found.granted, found.refunded) == (0, 1)

    async def test_first_outcome_of_a_lease_counts(self) -> None:
        """Settling or refunding again changes nothing."""
        async with served(RequestLimiter(tokens_per_min=600)) as limiter:
            lease = await ask(limiter, 5)
            lease.refund()
            lease.refund()
            lease.settle(Usage(input_tokens=9))
            assert limiter.statistics().tokens_free == 10.0

    async def test_request_rate_does_not_eat_tokens(self) -> None:
        """A call that waits for the request rate holds no tokens meanwhile."""
        async with served(RequestLimiter(requests_per_min=6, tokens_per_min=60_000)) as limiter:
            await ask(limiter, 1)
            waiting = asyncio.create_task(ask(limiter, 500))
            await asyncio.sleep(5.0)
            assert limiter.statistics().tokens_free == pytest.approx(1_000.0)
            await waiting


class TestPause:
    async def test_nobody_goes_before_its_end(self) -> None:
        """A pause holds those who wait and those who come, then lets them go in order."""
        async with served(RequestLimiter()) as limiter:
            limiter.pause(3.0)
            times = await grant_times(limiter, 3)

        assert times == sorted(times)
        assert times == pytest.approx([3.0] * 3, abs=0.05)

    async def test_its_end_releases_in_a_ramp(self) -> None:
        """Who was refused a thousand times at once does not send a thousand at once again."""
        async with served(RequestLimiter()) as limiter:
            limiter.pause(1.0)
            times = await grant_times(limiter, 2_500)

        assert times == sorted(times)
        assert 10 <= sum(time < 1.25 for time in times) <= 20
        assert sum(time < 2.0 for time in times) < 200
        assert times[-1] < 5.0

    async def test_the_ramp_starts_from_what_the_provider_named(self) -> None:
        """A limit in its headers is where the pace begins."""
        async with served(RequestLimiter()) as limiter:
            limiter.pause(1.0, limit_per_min=30_000.0)
            times = await grant_times(limiter, 2_500)

        assert times[99] < 1.3
        assert times[-1] < 4.0

    async def test_a_pace_that_was_borne_is_dropped(self) -> None:
        """A minute without a refusal, and everything goes again."""
        async with served(RequestLimiter()) as limiter:
            limiter.pause(1.0)
            await grant_times(limiter, 10)
            assert limiter.statistics().pace_per_min is not None
            await asyncio.sleep(61.0)
            began = now()
            await grant_times(limiter, 1_000)

            assert limiter.statistics().pace_per_min is None
            assert now() - began < 0.1

    async def test_it_only_gets_longer(self) -> None:
        """A shorter pause within a longer one changes nothing."""
        async with served(RequestLimiter()) as limiter:
            limiter.pause(5.0)
            limiter.pause(1.0)
            await ask(limiter)
            assert now() == pytest.approx(5.0, abs=0.01)
            assert limiter.statistics().pauses == 1

    async def test_it_can_be_prolonged_while_somebody_waits(self) -> None:
        """The pump looks again when the first pause would have ended."""
        async with served(RequestLimiter()) as limiter:
            limiter.pause(1.0)
            waiting = asyncio.create_task(ask(limiter))
            await asyncio.sleep(0.5)
            limiter.pause(4.0)
            await waiting
            assert now() == pytest.approx(4.5, abs=0.01)

    async def test_it_is_capped(self) -> None:
        """A provider that asks for a day gets the cap."""
        async with served(RequestLimiter(max_pause_s=20.0)) as limiter:
            limiter.pause(86_400.0)
            await ask(limiter)
            assert now() == pytest.approx(20.0, abs=0.01)

    @pytest.mark.parametrize("for_s", [0.0, -1.0, math.nan])
    async def test_nonsense_is_ignored(self, for_s: float) -> None:
        """A time that is not positive is no pause."""
        limiter = RequestLimiter()
        limiter.pause(for_s)
        await ask(limiter)
        assert now() == 0.0

    async def test_statistics_show_what_is_left(self) -> None:
        """A snapshot says how long it still lasts."""
        limiter = RequestLimiter()
        limiter.pause(3.0)
        await asyncio.sleep(1.0)
        assert limiter.statistics().paused_s == pytest.approx(2.0)
        await asyncio.sleep(2.5)
        assert limiter.statistics().paused_s == 0.0


class TestTokens:
    async def test_input_and_output_have_limits_of_their_own(self) -> None:
        """The tighter one decides; both are taken together or not at all."""
        limiter = RequestLimiter(input_tokens_per_min=6_000, output_tokens_per_min=600)
        async with served(limiter):
            for _ in range(4):
                await limiter.acquire(key="", tokens=30, output_tokens=10)

            assert now() == pytest.approx(3.0, abs=0.02)

    async def test_unknown_output_is_charged_afterwards(self) -> None:
        """Nothing was set aside for the answer: what it took holds up the next."""
        limiter = RequestLimiter(output_tokens_per_min=600)
        async with served(limiter):
            lease = await limiter.acquire(key="", tokens=5)
            lease.settle(Usage(input_tokens=5, output_tokens=30))
            await limiter.acquire(key="", tokens=15, output_tokens=10)

            assert now() == pytest.approx(3.0, abs=0.02)

    async def test_a_refused_bucket_gives_the_others_back(self) -> None:
        """Who does not get tokens has not used up a request."""
        limiter = RequestLimiter(requests_per_min=600, tokens_per_min=60)
        async with served(limiter):
            await ask(limiter, tokens=1)
            assert limiter.try_acquire(key="", tokens=1) is None
            assert limiter.statistics().requests_free == pytest.approx(9.0)


class TestUsers:
    async def test_each_has_a_rate_of_his_own(self) -> None:
        """One who asks too much waits in order, and holds up nobody else."""
        limiter = RequestLimiter(users=UserLimits(requests_per_min=60))
        times: dict[str, list[float]] = {"a": [], "b": []}

        async def caller(user: str) -> None:
            await limiter.acquire(key="", tokens=1, user=user)
            times[user].append(now())

        async with served(limiter), asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(caller("a"))

            group.create_task(caller("b"))

        assert times["a"] == pytest.approx([0, 1, 2, 3], abs=0.01)
        assert times["b"] == [0.0]

    async def test_nobody_is_not_limited(self) -> None:
        """A call on nobody's behalf has the endpoint's limits alone."""
        limiter = RequestLimiter(users=UserLimits(requests_per_min=1))
        for _ in range(10):
            await limiter.acquire(key="", tokens=1)

        assert now() == 0.0

    async def test_who_gives_up_gives_back(self) -> None:
        """A cancelled wait leaves the next place free."""
        limiter = RequestLimiter(users=UserLimits(requests_per_min=60))
        await limiter.acquire(key="", tokens=1, user="a")
        waiting = asyncio.create_task(limiter.acquire(key="", tokens=1, user="a"))
        await asyncio.sleep(0.1)
        assert limiter.statistics().waiting == 1
        waiting.cancel()
        await asyncio.wait([waiting])
        await limiter.acquire(key="", tokens=1, user="a")

        assert now() == pytest.approx(1.0, abs=0.01)
        assert limiter.statistics().waiting == 0

    async def test_tokens_are_settled(self) -> None:
        """What was used beyond the estimate counts for the user, too."""
        limiter = RequestLimiter(users=UserLimits(tokens_per_min=60))
        lease = await limiter.acquire(key="", tokens=1, user="a")
        lease.settle(Usage(input_tokens=4))
        await limiter.acquire(key="", tokens=1, user="a")

        assert now() == pytest.approx(4.0, abs=0.01)

    async def test_an_unsent_request_is_given_back(self) -> None:
        """A refund leaves the user as he was."""
        limiter = RequestLimiter(users=UserLimits(requests_per_min=1))
        for _ in range(5):
            (await limiter.acquire(key="", tokens=1, user="a")).refund()

        assert now() == 0.0


class TestSetRate:
    async def test_waiters_feel_it(self) -> None:
        """A higher rate lets those go who wait for the lower one."""
        async with served(RequestLimiter(requests_per_min=1)) as limiter:
            await ask(limiter)
            waiting = asyncio.create_task(ask(limiter))
            await asyncio.sleep(1.0)
            limiter.set_rate(requests_per_min=600, tokens_per_min=None)
            await waiting
            assert now() == pytest.approx(1.0, abs=0.2)

    async def test_rate_below_what_waits_still_drains(self) -> None:
        """A waiting request that is now larger than the bucket is served all the same."""
        async with served(RequestLimiter(tokens_per_min=60_000)) as limiter:
            await ask(limiter, 1_000)
            waiting = asyncio.create_task(ask(limiter, 900))
            await asyncio.sleep(0.01)
            limiter.set_rate(requests_per_min=None, tokens_per_min=6_000)
            await waiting
            assert now() < 20.0

    async def test_none_takes_the_limit_away(self) -> None:
        """Without a limit those who wait go at once."""
        async with served(RequestLimiter(requests_per_min=1)) as limiter:
            await ask(limiter)
            waiting = asyncio.create_task(ask(limiter))
            await asyncio.sleep(0.01)
            limiter.set_rate(requests_per_min=None, tokens_per_min=None)
            await waiting
            assert now() < 0.1
            assert limiter.statistics().requests_per_min is None

    async def test_bad_rate_changes_nothing(self) -> None:
        """Both rates are checked before either is set."""
        limiter = RequestLimiter(requests_per_min=60)
        with pytest.raises(ValueError, match="tokens_per_min"):
            limiter.set_rate(requests_per_min=600, tokens_per_min=-5)

        assert limiter.statistics().requests_per_min == pytest.approx(60)


class TestPump:
    async def test_without_it_whoever_must_wait_fails_at_once(self) -> None:
        """Nobody hangs in a queue that nobody serves; whoever need not wait goes."""
        limiter = RequestLimiter(requests_per_min=60, name="openai")
        await ask(limiter)
        with pytest.raises(EndpointUnavailable) as caught:
            await ask(limiter)

        assert (caught.value.data.stage, caught.value.data.provider) == ("limiter", "openai")
        assert now() == 0.0

    async def test_its_end_fails_everybody_who_waits(self) -> None:
        """When the pump dies, all waiters fail in that moment, each with an error of its own."""
        limiter = RequestLimiter(requests_per_min=1)
        async with served(limiter):
            await ask(limiter)
            waiting = [asyncio.create_task(ask(limiter)) for _ in range(100)]
            await asyncio.sleep(1.0)

        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(error, EndpointUnavailable) for error in found)
        assert len({id(error) for error in found}) == 100
        assert limiter.statistics().waiting == 0
        assert now() == 1.0

    async def test_its_end_meets_cancelled_waiters(self) -> None:
        """A waiter that is cancelled in the moment the pump dies is cancelled, not failed."""
        limiter = RequestLimiter(requests_per_min=1)
        async with served(limiter):
            await ask(limiter)
            waiting = asyncio.create_task(ask(limiter))
            await asyncio.sleep(1.0)
            waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting

    async def test_it_can_be_served_again(self) -> None:
        """A restart serves the same queue and remembers the level."""
        limiter = RequestLimiter(requests_per_min=60)
        async with served(limiter):
            await ask(limiter)

        async with served(limiter):
            await ask(limiter)
            assert now() == pytest.approx(1.0, abs=0.01)

    async def test_two_pumps_are_refused(self) -> None:
        """One queue has one pump."""
        async with served(RequestLimiter()) as limiter:
            with pytest.raises(RuntimeError, match="served already"):
                await limiter.serve()

    async def test_queue_is_bounded(self) -> None:
        """One caller more than the bound is refused, and the others are served."""
        async with served(RequestLimiter(requests_per_min=60, max_waiting=2)) as limiter:
            await ask(limiter)
            waiting = [asyncio.create_task(ask(limiter)) for _ in range(2)]
            await asyncio.sleep(0.01)
            with pytest.raises(PoolExhausted, match="2 calls wait"):
                await ask(limiter)

            await asyncio.gather(*waiting)

    async def test_repr_has_live_counters(self) -> None:
        """A debugger shows who waits and whether anybody serves."""
        limiter = RequestLimiter(name="openai")
        await ask(limiter)
        assert repr(limiter) == "<RequestLimiter 'openai' not served, 0 waiting, 1 granted>"


class TestCancellation:
    async def test_granted_and_cancelled_in_one_turn_is_given_back(self) -> None:
        """A grant that its waiter never saw goes back into the bucket."""
        async with served(RequestLimiter(requests_per_min=6)) as limiter:
            await ask(limiter)
            waiting = asyncio.create_task(ask(limiter))
            await asyncio.sleep(0.01)
            limiter.set_rate(requests_per_min=60_000, tokens_per_min=None)
            await wait_until(lambda: limiter.statistics().waiting == 0)
            assert not waiting.done()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

            found = limiter.statistics()
            assert (found.granted, found.refunded) == (1, 1)

    async def test_cancelled_head_lets_the_next_go(self) -> None:
        """Those behind a large request that gives up need not wait for what it wanted."""
        async with served(RequestLimiter(tokens_per_min=600)) as limiter:
            await ask(limiter, 5)
            large = asyncio.create_task(ask(limiter, 10))
            small = asyncio.create_task(ask(limiter, 1))
            await asyncio.sleep(0.01)
            large.cancel()
            await small
            assert now() < 0.1

    async def test_twenty_thousand_give_up_and_nothing_leaks(self) -> None:
        """A mass cancellation leaves the queue empty and the bucket as it was."""
        async with served(RequestLimiter(requests_per_min=1)) as limiter:
            await ask(limiter)
            waiting = [asyncio.create_task(ask(limiter)) for _ in range(20_000)]
            await asyncio.sleep(1.0)
            assert limiter.statistics().waiting == 20_000
            for task in reversed(waiting):
                task.cancel()

            await asyncio.gather(*waiting, return_exceptions=True)
            assert limiter.statistics().waiting == 0
            await ask(limiter)
            assert now() == pytest.approx(60.0, abs=0.1)

    @settings(max_examples=60)
    @given(
        st.lists(
            st.tuples(
                st.floats(0, 2, allow_nan=False),
                st.integers(0, 300),
                st.none() | st.floats(0, 3),
            ),
            min_size=1,
            max_size=25,
        )
    )
    def test_any_arrivals_keep_rate_and_order(
        self, arrivals: list[tuple[float, int, float | None]]
    ) -> None:
        """Whoever comes when, and gives up when: the rate holds and nobody overtakes."""
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            granted = runner.run(_run_arrivals(arrivals))

        order = [index for _, index, _ in granted]
        assert order == sorted(order)
        for start, (began, _, _) in enumerate(granted):
            # A request larger than the bucket may begin in any window, but only one can.
            sizes = [tokens for _, _, tokens in granted[start:]]
            for end, (time, _, _) in enumerate(granted[start:]):
                used = sum(min(size, 100) for size in sizes[: end + 1])
                assert used <= 100 + 100 * (time - began) + 100 + 1e-6


async def _run_arrivals(
    arrivals: list[tuple[float, int, float | None]],
) -> list[tuple[float, int, int]]:
    granted: list[tuple[float, int, int]] = []
    limiter = RequestLimiter(tokens_per_min=6_000)

    async def caller(index: int, tokens: int, patience_s: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await ask(limiter, tokens)
                granted.append((now(), index, tokens))

    async with served(limiter), asyncio.TaskGroup() as group:
        for index, (delay_s, tokens, patience_s) in enumerate(arrivals):
            await asyncio.sleep(delay_s)
            group.create_task(caller(index, tokens, patience_s))

    assert limiter.statistics().waiting == 0
    assert limiter.statistics().granted == len(granted)
    return granted
