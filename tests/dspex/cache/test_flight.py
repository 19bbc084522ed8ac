"""Of equal calls under way one asks; whoever leaves early never leaves the others alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, strategies as st

from dspex.cache.flight import Flights


class Provider:
    """Answers each call when told to, and counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def ask(self) -> Awaitable[str]:
        self.calls += 1
        return asyncio.shield(self.gate)

    def again(self) -> None:
        self.gate = asyncio.get_running_loop().create_future()


def flights() -> Flights[str]:
    return Flights(shared=lambda exc: isinstance(exc, OSError))


async def fly(
    flight: Flights[str], key: str, ask: Callable[[], Awaitable[str]]
) -> tuple[str, bool]:
    """Take all steps of a flight; return the answer and whether this caller asked for it."""
    if not flight.lead(key):
        followed = await flight.follow(key)
        if followed is not None:
            return followed, False

    try:
        answer = await ask()
    except BaseException as exc:
        flight.fail(key, exc)
        raise

    flight.land(key, answer)
    return answer, True


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def start(
    flight: Flights[str], ask: Callable[[], Awaitable[str]], count: int
) -> list[asyncio.Task[tuple[str, bool]]]:
    return [asyncio.create_task(fly(flight, "key", ask)) for _ in range(count)]


class TestFlights:
    async def test_a_thousand_callers_make_one_call(self) -> None:
        """Everybody gets the answer; exactly one of them asked."""
        flight, provider = flights(), Provider()
        tasks = start(flight, provider.ask, 1000)
        await settle()

        provider.gate.set_result("yes")
        results = [await task for task in tasks]

        assert 1 == provider.calls
        assert {"yes"} == {answer for answer, _ in results}
        assert 1 == sum(asked for _, asked in results)
        assert 0 == len(flight)

    async def test_a_cancelled_leader_hands_over(self) -> None:
        """The next in line asks; nobody waits for an answer that never comes."""
        flight, provider = flights(), Provider()
        tasks = start(flight, provider.ask, 3)
        await settle()

        tasks[0].cancel()
        await settle()
        provider.gate.set_result("yes")

        assert [("yes", True), ("yes", False)] == [await task for task in tasks[1:]]
        assert 2 == provider.calls

    async def test_a_follower_cancelled_as_it_is_told_to_lead_passes_it_on(self) -> None:
        """The hand-over survives a cancellation in the same turn."""
        flight, provider = flights(), Provider()
        tasks = start(flight, provider.ask, 3)
        await settle()

        tasks[0].cancel()
        await asyncio.sleep(0)
        tasks[1].cancel()
        await settle()
        provider.gate.set_result("yes")

        assert ("yes", True) == await tasks[2]
        assert 0 == len(flight)

    async def test_when_all_leave_nothing_is_left(self) -> None:
        """No key stays behind for a flight without passengers."""
        flight, provider = flights(), Provider()
        tasks = start(flight, provider.ask, 3)
        await settle()

        for task in tasks:
            task.cancel()

        await settle()

        assert 0 == len(flight)
        assert all(task.cancelled() for task in tasks)

    async def test_an_error_that_holds_for_all_is_shared_as_copies(self) -> None:
        """An outage is asked about once; each caller raises an error of its own."""
        flight, provider = flights(), Provider()
        tasks = start(flight, provider.ask, 3)
        await settle()

        provider.gate.set_exception(OSError("down"))
        await settle()
        errors = [task.exception() for task in tasks]

        assert 1 == provider.calls
        assert all(isinstance(error, OSError) for error in errors)
        assert 3 == len({id(error) for error in errors})

    async def test_an_error_of_the_leader_alone_is_not_shared(self) -> None:
        """A caller with a short deadline does not fail those with a long one."""
        flight, provider = flights(), Provider()
        tasks = start(flight, provider.ask, 2)
        await settle()

        provider.gate.set_exception(LookupError("mine"))
        provider.again()
        await settle()
        provider.gate.set_result("yes")

        with pytest.raises(LookupError, match="mine"):
            await tasks[0]

        assert ("yes", True) == await tasks[1]

    async def test_different_keys_do_not_wait_for_each_other(self) -> None:
        """A flight is of one key."""
        flight, provider = flights(), Provider()

        slow = asyncio.create_task(fly(flight, "slow", provider.ask))
        await settle()
        quick = await fly(flight, "quick", _answer)

        assert ("quick", True) == quick
        provider.gate.set_result("late")
        assert ("late", True) == await slow

    @given(st.lists(st.integers(0, 7), max_size=8), st.booleans())
    async def test_whoever_stays_gets_an_answer(self, leave: list[int], error: bool) -> None:
        """In any order of departures every remaining caller ends, and no flight is left."""
        flight, provider = flights(), Provider()
        tasks = start(flight, provider.ask, 8)
        await settle()
        for index in leave:
            tasks[index].cancel()
            await asyncio.sleep(0)

        if error:
            provider.gate.set_exception(OSError("down"))
        else:
            provider.gate.set_result("yes")

        await settle()
        await settle()

        assert all(task.done() for task in tasks)
        assert 0 == len(flight)
        for index, task in enumerate(tasks):
            assert index in leave or not task.cancelled()
            if not task.cancelled():
                task.exception()

        if provider.gate.done():
            provider.gate.exception()


async def _answer() -> str:
    return "quick"
