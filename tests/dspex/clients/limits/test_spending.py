"""A block holds what runs in it to a budget, inside the blocks around it."""

from __future__ import annotations

from typing import Any

import pytest

import dspex.effects
from dspex.clients.limits.budget import Budget, LocalBudget
from dspex.clients.limits.spending import budget
from dspex.effects import current
from dspex.errors import BudgetExceeded
from dspex.usage import Usage

pytestmark = pytest.mark.virtual_time


class Foreign:
    """A purse of some other place."""

    limited: frozenset[str] = frozenset()
    deadline: float | None = None

    def try_reserve(self, estimate: Usage) -> Any:
        raise NotImplementedError

    async def acquire(self, estimate: Usage) -> Any:
        raise NotImplementedError


async def test_blocks_nest() -> None:
    """The inner block draws from both; the outer one is back after it."""
    with budget(calls=3) as day:
        with budget(Budget(calls=2)) as run:
            assert run is current().budget
            run.reserve(Usage(calls=2)).settle(Usage(calls=2))

        assert day is current().budget
        with pytest.raises(BudgetExceeded), budget(calls=2) as other:
            other.reserve(Usage(calls=2))

    assert current().budget is None
    assert (2, 2) == (day.statistics().used_calls, run.statistics().used_calls)


async def test_a_purse_goes_on_where_it_was_left() -> None:
    """A day's purse serves one run after the other."""
    day = LocalBudget(Budget(calls=2))
    for _ in range(2):
        with budget(day) as purse:
            purse.reserve(Usage(calls=1)).settle(Usage(calls=1))

    with budget(day), pytest.raises(BudgetExceeded):
        day.reserve(Usage(calls=1))


async def test_time_runs_from_the_start_of_the_block() -> None:
    """Even if nothing is asked for a while."""
    with budget(wall_s=5) as purse:
        assert 5.0 == purse.statistics().left_s
        await dspex.effects.sleep(2)
        assert 3.0 == purse.statistics().left_s


async def test_bounds_are_given_once() -> None:
    """Two ways of saying it would have to be merged by guessing."""
    with pytest.raises(TypeError, match="not both"):
        budget(Budget(calls=1), tokens=5)


async def test_a_foreign_purse_cannot_be_drawn_from_along_with_ours() -> None:
    """All or none is possible only among purses of one process."""
    with (
        dspex.effects.scope(budget=Foreign()),
        pytest.raises(TypeError, match="cannot nest"),
        budget(calls=1),
    ):
        pass
