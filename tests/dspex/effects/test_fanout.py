"""`map` bounds, orders and names its branches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

import pytest

from dspex import effects

T = TypeVar("T")


class TestMap:
    async def test_results_keep_the_order_of_the_items(self) -> None:
        """The last to start may finish first; the list does not care."""

        async def work(item: int) -> int:
            for _ in range(10 - item):
                await asyncio.sleep(0)

            return item * item

        assert [n * n for n in range(10)] == await effects.map(work, range(10))

    async def test_at_most_so_many_at_once(self) -> None:
        """The bound holds however many items there are."""
        running = peak = 0

        async def work(_: int) -> None:
            nonlocal running, peak
            running += 1
            peak = max(peak, running)
            await asyncio.sleep(0)
            running -= 1

        await effects.map(work, range(50), max_concurrency=7)

        assert peak == 7

    async def test_items_are_pulled_only_when_there_is_room(self) -> None:
        """An endless source is not read ahead."""
        pulled = 0

        async def source() -> AsyncIterator[int]:
            nonlocal pulled
            for index in range(20):
                pulled += 1
                yield index

        ahead: list[int] = []

        async def work(index: int) -> None:
            await asyncio.sleep(0)
            ahead.append(pulled - index)

        await effects.map(work, source(), max_concurrency=3)

        assert len(ahead) == 20
        assert max(ahead) <= 4

    async def test_each_item_stands_in_a_scope_named_by_its_index(self) -> None:
        """A replay finds the calls of item 2 whenever it ran."""

        async def work(_: str) -> tuple[str, ...]:
            await asyncio.sleep(0)
            return effects.current().path

        assert [("map", "0"), ("map", "1")] == await effects.map(work, "ab")

    async def test_two_maps_in_one_place_do_not_share_paths(self) -> None:
        """The second map of a scope is numbered."""

        async def work(_: int) -> str:
            return effects.current().path[-2]

        with effects.scope("program"):
            first = await effects.map(work, [0])
            second = await effects.map(work, [0])

        assert (["map"], ["map#1"]) == (first, second)

    async def test_a_failure_cancels_the_rest_and_surfaces_as_a_group(self) -> None:
        """Nothing keeps running behind the caller's back."""
        cancelled: list[int] = []

        async def work(item: int) -> None:
            if item == 1:
                raise ValueError("item 1")

            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(item)
                raise

        with pytest.raises(ExceptionGroup) as caught:
            await effects.map(work, range(3))

        assert caught.group_contains(ValueError, match="item 1")
        assert [0, 2] == sorted(cancelled)

    async def test_a_source_that_raises_is_not_swallowed(self) -> None:
        """A dataset that breaks in the middle breaks the map."""

        async def source() -> AsyncIterator[int]:
            yield 1
            raise OSError("disk")

        async def work(item: int) -> int:
            return item

        with pytest.raises(ExceptionGroup) as caught:
            await effects.map(work, source())

        assert caught.group_contains(OSError, match="disk")

    async def test_a_bound_below_one_is_refused(self) -> None:
        """Zero at a time would never end."""

        async def work(item: int) -> int:
            return item

        with pytest.raises(ValueError, match="max_concurrency must be at least 1, got 0"):
            await effects.map(work, [1], max_concurrency=0)

    async def test_nothing_in_nothing_out(self) -> None:
        """An empty list is a list."""

        async def work(item: int) -> int:
            return item

        assert [] == await effects.map(work, [])

    async def test_an_item_that_wants_to_exit_does_so_in_the_caller(self) -> None:
        """SystemExit ends neither the loop nor the others' bookkeeping; the caller gets it."""
        cancelled: list[int] = []

        async def work(item: int) -> None:
            if item == 1:
                raise SystemExit(3)

            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(item)
                raise

        with pytest.raises(SystemExit) as caught:
            await effects.map(work, range(3))

        assert (3, [0, 2]) == (caught.value.code, sorted(cancelled))


class TestUntil:
    async def test_the_first_good_result_in_order_ends_the_list(self) -> None:
        """A later item that is good earlier does not win; what is behind it is cancelled."""
        third_done = asyncio.Event()
        ended: list[int] = []

        async def work(index: int) -> int:
            try:
                if index == 1:
                    await third_done.wait()
                elif index == 2:
                    third_done.set()
                elif index > 2:
                    await asyncio.Event().wait()

                return index
            except asyncio.CancelledError:
                ended.append(index)
                raise

        results = await effects.map(work, range(6), until=lambda value: value >= 1)
        assert results == [0, 1]
        assert ended == [3, 4, 5]

    async def test_without_a_good_result_all_are_there(self) -> None:
        """Where nothing ends it the list is whole."""

        async def work(index: int) -> int:
            return index

        assert await effects.map(work, range(5), until=lambda _: False) == [0, 1, 2, 3, 4]

    async def test_items_behind_the_end_are_never_pulled(self) -> None:
        """With one worker nothing behind the winner begins."""
        begun: list[int] = []

        async def work(index: int) -> int:
            begun.append(index)
            return index

        results = await effects.map(work, range(9), max_concurrency=1, until=lambda v: v == 3)
        assert (results, begun) == ([0, 1, 2, 3], [0, 1, 2, 3])

    async def test_a_failure_before_the_end_is_raised(self) -> None:
        """A failure is not overtaken by a good result behind it."""

        async def work(index: int) -> int:
            if index == 0:
                raise ValueError("broken")

            return index

        with pytest.raises(ExceptionGroup):
            await effects.map(work, range(3), max_concurrency=1, until=lambda _: True)


async def test_an_item_that_cancels_itself_is_told() -> None:
    """It would otherwise be missing from the results."""

    async def work(index: int) -> int:
        if index == 1:
            raise asyncio.CancelledError

        return index

    with pytest.raises(ExceptionGroup) as caught:
        await effects.map(work, range(3))

    assert caught.group_contains(RuntimeError, match="item 1 was cancelled by its own work")


async def test_cancelling_the_whole_is_still_a_cancellation() -> None:
    """Nothing is made of it."""

    async def work(index: int) -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(effects.map(work, range(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
