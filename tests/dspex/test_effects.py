"""Scopes are named by place, effects pass one gate, and programs find their runtime."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given, strategies as st

from dspex import effects
from dspex.effects import CallScope, Effect, LiveGate, Ordinals, Trace, TraceEntry
from dspex.errors import RuntimeNotFound
from supervision import Bus

T = TypeVar("T")


class FakeRuntime:
    """A runtime by name only."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bus = Bus()

    @property
    def tasks(self) -> Any:
        raise NotImplementedError

    def client(self, name: str | None = None) -> Any:
        raise NotImplementedError


class FixedGate(LiveGate):
    """A clock that stands still and entropy that repeats."""

    def __init__(self) -> None:
        super().__init__(wall_clock=lambda: 1234.5, urandom=lambda size: b"\x07" * size)


def effect(run: Callable[[], Awaitable[T]]) -> Effect[T]:
    return Effect("test", run=run, digest=str, encode=str, decode=lambda data: data)


class TestScope:
    def test_outside_any_call_there_is_an_empty_scope(self) -> None:
        """Nothing has to be set up before the first call."""
        scope = effects.current()

        assert ((), None, effects.LIVE) == (scope.path, scope.runtime, scope.gate)

    def test_a_block_nests_by_name_and_ends_where_it_began(self) -> None:
        """The path grows inward and is restored outward."""
        with effects.scope("trial") as outer, effects.scope("example") as inner:
            assert ("trial", "example") == inner.path
            assert inner is effects.current()

        assert ("trial",) == outer.path
        assert () == effects.current().path

    def test_a_repeated_name_gets_its_number(self) -> None:
        """Two calls of one predictor stand in two places."""
        with effects.scope("program") as scope:
            paths = [scope.child("draft").path[-1] for _ in range(3)]

        assert ["draft", "draft#1", "draft#2"] == paths

    def test_a_branch_leaves_no_mark(self) -> None:
        """A million examples do not make their parent grow."""
        scope = CallScope()

        assert ("7",) == scope.branch("7").path
        assert 0 == scope.ordinals.take("7")

    def test_an_earlier_deadline_outside_stays_in_force(self) -> None:
        """A part cannot grant itself more time than the whole has."""
        with effects.scope(deadline=5.0), effects.scope(deadline=9.0) as inner:
            assert inner.deadline == 5.0

    async def test_concurrent_tasks_do_not_see_each_other(self) -> None:
        """Forty thousand calls at once do not mix."""

        async def work(name: str) -> tuple[str, ...]:
            with effects.scope(name):
                await asyncio.sleep(0)
                return effects.current().path

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work(str(index))) for index in range(50)]

        assert [(str(index),) for index in range(50)] == [task.result() for task in tasks]

    @given(st.lists(st.text(min_size=1, max_size=3), max_size=20))
    def test_ordinals_count_each_name_from_zero(self, names: list[str]) -> None:
        """The n-th use of a name is n - 1, whatever else is named in between."""
        ordinals = Ordinals()

        taken = [ordinals.take(name) for name in names]

        assert [names[:index].count(name) for index, name in enumerate(names)] == taken


class TestGate:
    async def test_everything_not_deterministic_comes_from_the_gate(self) -> None:
        """Clock, randomness and identifiers can be recorded and replayed."""
        with effects.scope(gate=FixedGate()):
            first = (effects.now_s(), effects.random().random(), effects.uuid4())
            again = (effects.now_s(), effects.random().random(), effects.uuid4())

        assert first == again
        assert first[0] == 1234.5

    def test_a_seed_needs_no_gate(self) -> None:
        """A seeded generator is the same everywhere."""
        assert effects.random(5).random() == effects.random(5).random()

    @pytest.mark.virtual_time
    async def test_sleep_passes_the_gate_and_then_the_loop(self) -> None:
        """The live gate sleeps on the event loop's clock."""
        began = asyncio.get_running_loop().time()

        await effects.sleep(1800.0)

        assert asyncio.get_running_loop().time() - began == pytest.approx(1800.0)

    async def test_the_live_gate_runs_the_effect(self) -> None:
        """By default an effect is simply carried out."""

        async def answer() -> int:
            return 42

        assert await effects.current().gate.call(effect(answer)) == 42


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


class TestTrace:
    def test_keeps_the_newest_and_counts_what_it_dropped(self) -> None:
        """A trace is bounded and says so."""
        trace = Trace(limit=2)
        for index in range(5):
            trace.record(TraceEntry(index, {}, None))

        assert ([3, 4], 3) == ([entry.predictor for entry in trace.entries], trace.dropped)

    def test_an_empty_bound_is_refused(self) -> None:
        """A trace that holds nothing is a mistake."""
        with pytest.raises(ValueError, match="limit=0"):
            Trace(limit=0)


class TestFindRuntime:
    async def test_none_open_says_what_to_do(self) -> None:
        """The error tells both ways out."""
        with pytest.raises(RuntimeNotFound, match=r"async with dspex.Runtime.*with_client"):
            effects.find_runtime()

    async def test_the_only_one_open_is_found_from_any_task(self) -> None:
        """A handler finds the runtime that another task opened."""

        async def look() -> effects.RuntimeHandle:
            return effects.find_runtime()

        runtime = FakeRuntime("only")
        effects.announce_runtime(runtime)
        try:
            async with asyncio.TaskGroup() as group:
                found = group.create_task(look())

            assert found.result() is runtime
        finally:
            effects.retract_runtime(runtime)

    async def test_two_open_and_none_chosen_names_both(self) -> None:
        """Guessing would send calls to the wrong account."""
        one, two = FakeRuntime("one"), FakeRuntime("two")
        effects.announce_runtime(one)
        effects.announce_runtime(two)
        try:
            with pytest.raises(RuntimeNotFound, match="'one', 'two'"):
                effects.find_runtime()

            with effects.scope(runtime=two):
                assert effects.find_runtime() is two
        finally:
            effects.retract_runtime(one)
            effects.retract_runtime(two)

    async def test_a_forgotten_runtime_is_not_found(self) -> None:
        """The table holds it weakly."""
        effects.announce_runtime(FakeRuntime("forgotten"))
        gc.collect()

        with pytest.raises(RuntimeNotFound):
            effects.find_runtime()
