"""The connection gate: never too many, first come first served, and no place is ever lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from dspex.clients.limits.pool import ConnectionGate, GateStatistics
from dspex.errors import PoolExhausted
from dspex.testing import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time


async def turn(times: int = 3) -> None:
    """Let every task that can run do so."""
    for _ in range(times):
        await asyncio.sleep(0)


class TestConnectionGate:
    async def test_no_more_than_the_limit_are_inside(self) -> None:
        """With many callers, as many as there are places are inside at a time."""
        gate, inside, most = ConnectionGate(7), 0, 0

        async def caller() -> None:
            nonlocal inside, most
            async with gate:
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(1.0)
                inside -= 1

        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(caller())

        assert most == 7
        assert gate.statistics() == GateStatistics(limit=7, in_use=0, waiting=0, peak=7)

    async def test_places_go_in_the_order_of_asking(self) -> None:
        """The first who waits is the first who gets a place."""
        gate, order = ConnectionGate(1), list[int]()

        async def caller(index: int) -> None:
            async with gate:
                order.append(index)
                await asyncio.sleep(1.0)

        async with asyncio.TaskGroup() as group:
            for index in range(20):
                group.create_task(caller(index))

        assert order == list(range(20))

    async def test_newcomer_does_not_barge_in(self) -> None:
        """A place that was just handed to a waiter is not free for whoever comes in that turn."""
        gate = ConnectionGate(1)
        await gate.acquire()
        first = asyncio.create_task(gate.acquire())
        await turn()
        gate.release()
        second = asyncio.create_task(gate.acquire())
        await turn()
        assert (first.done(), second.done()) == (True, False)
        gate.release()
        await second

    async def test_exception_in_the_block_gives_the_place_back(self) -> None:
        """A failing holder holds nothing afterwards."""
        gate = ConnectionGate(1)
        with pytest.raises(RuntimeError, match="boom"):
            async with gate:
                raise RuntimeError("boom")

        assert gate.in_use == 0

    async def test_releasing_too_often_is_a_bug(self) -> None:
        """A place that nobody holds cannot be given back."""
        with pytest.raises(RuntimeError, match="more often"):
            ConnectionGate(1).release()

    @pytest.mark.parametrize("limit", [0, -3])
    def test_gate_needs_a_place(self, limit: int) -> None:
        """A limit below one is refused, and shown."""
        with pytest.raises(ValueError, match=f"limit={limit}"):
            ConnectionGate(limit)

    async def test_queue_can_be_bounded(self) -> None:
        """One waiter more than allowed is refused with the numbers and what to do."""
        gate = ConnectionGate(1, max_waiting=1, name="openai")
        await gate.acquire()
        waiting = asyncio.create_task(gate.acquire())
        await turn()
        with pytest.raises(PoolExhausted, match=r"all 1 connections.*max_connections") as caught:
            await gate.acquire()

        assert (caught.value.data.provider, caught.value.data.stage) == ("openai", "pool")
        gate.release()
        await waiting

    async def test_repr_has_live_counters(self) -> None:
        """A debugger shows how full it is."""
        gate = ConnectionGate(3, name="openai")
        await gate.acquire()
        assert repr(gate) == "<ConnectionGate 'openai' 1 of 3 in use, 0 waiting>"


class TestCancellation:
    async def test_waiter_that_gives_up_leaves_the_queue(self) -> None:
        """Cancelling a waiter takes nothing and leaves nothing."""
        gate = ConnectionGate(1)
        await gate.acquire()
        waiting = asyncio.create_task(gate.acquire())
        await turn()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert (gate.in_use, gate.waiting) == (1, 0)

    async def test_place_handed_to_a_cancelled_waiter_goes_on(self) -> None:
        """Handed over and cancelled in one turn: the next waiter gets the place, nobody hangs."""
        gate = ConnectionGate(1)
        await gate.acquire()
        first, second = (asyncio.create_task(gate.acquire()) for _ in range(2))
        await turn()
        gate.release()
        first.cancel()
        await asyncio.wait_for(second, 1.0)
        with pytest.raises(asyncio.CancelledError):
            await first

        assert (gate.in_use, gate.waiting) == (1, 0)

    async def test_cancelled_then_released_in_one_turn(self) -> None:
        """The other order: a cancelled waiter is passed over."""
        gate = ConnectionGate(1)
        await gate.acquire()
        first, second = (asyncio.create_task(gate.acquire()) for _ in range(2))
        await turn()
        first.cancel()
        gate.release()
        await asyncio.wait_for(second, 1.0)
        assert (gate.in_use, gate.waiting) == (1, 0)
        with pytest.raises(asyncio.CancelledError):
            await first

    async def test_place_handed_to_the_last_waiter_who_is_cancelled_is_free(self) -> None:
        """With nobody behind, the place is simply free again."""
        gate = ConnectionGate(1)
        await gate.acquire()
        waiting = asyncio.create_task(gate.acquire())
        await turn()
        gate.release()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert gate.in_use == 0

    async def test_twenty_thousand_give_up(self) -> None:
        """A mass cancellation leaves the gate as it was, and working."""
        gate = ConnectionGate(1)
        await gate.acquire()
        waiting = [asyncio.create_task(gate.acquire()) for _ in range(20_000)]
        await turn()
        for task in reversed(waiting):
            task.cancel()

        await asyncio.gather(*waiting, return_exceptions=True)
        assert (gate.in_use, gate.waiting) == (1, 0)
        gate.release()
        await asyncio.wait_for(gate.acquire(), 1.0)

    @settings(max_examples=200)
    @given(
        st.integers(1, 3),
        st.lists(
            st.one_of(
                st.just(("ask", 0)),
                st.just(("turn", 0)),
                st.tuples(st.sampled_from(["cancel", "release"]), st.integers(0, 30)),
            ),
            max_size=40,
        ),
    )
    def test_every_interleaving_keeps_count(
        self, limit: int, actions: list[tuple[str, int]]
    ) -> None:
        """Asking, releasing and cancelling in any order loses no place and makes none."""
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(_play(limit, actions))


async def _play(limit: int, actions: list[tuple[str, int]]) -> None:
    gate = ConnectionGate(limit)
    tasks: list[asyncio.Task[None]] = []
    released: set[int] = set()

    def holders() -> list[int]:
        return [
            index
            for index, task in enumerate(tasks)
            if index not in released and task.done() and not task.cancelled()
        ]

    for action, number in actions:
        if action == "ask":
            tasks.append(asyncio.create_task(gate.acquire()))
        elif action == "turn":
            await turn()
        elif action == "cancel" and tasks:
            tasks[number % len(tasks)].cancel()
        elif action == "release" and (held := holders()):
            index = held[number % len(held)]
            released.add(index)
            gate.release()

        assert 0 <= gate.in_use <= limit

    await turn(len(tasks) + 3)
    assert gate.in_use == len(holders())
    # Nobody may wait while there is room: a lost wake-up would show here.
    assert gate.waiting == 0 or gate.in_use == limit
    for task in tasks:
        task.cancel()

    await turn(len(tasks) + 3)
    for index in holders():
        released.add(index)
        gate.release()

    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task

    assert (gate.in_use, gate.waiting) == (0, 0)
