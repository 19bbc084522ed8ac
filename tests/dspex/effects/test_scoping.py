"""A scope is named by its place, and nobody sees another's."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import pytest
from hypothesis import given, strategies as st

from dspex import effects
from dspex.effects import CallScope, Ordinals, Trace, TraceEntry

T = TypeVar("T")


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

    def test_reads_like_a_list_of_triples(self) -> None:
        """A metric written for another library's traces works on ours."""
        trace = Trace()
        trace.record(TraceEntry("who", {"q": 1}, "answer"))

        assert [("who", {"q": 1}, "answer")] == [(a, b, c) for a, b, c in trace]
        assert 1 == len(trace)
