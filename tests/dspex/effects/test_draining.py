"""Everything under way is asked once, and whoever asked hears when all of it is home."""

from __future__ import annotations

import asyncio
from functools import partial

from dspex.effects import Draining, current_draining, enter_draining


class TestDraining:
    def test_nothing_under_way(self) -> None:
        """Whoever asks is told, and need not wait."""
        draining = Draining()
        assert not draining.request(lambda: None)
        assert draining.requested

    def test_hears_when_the_last_is_home(self) -> None:
        """And not before."""
        draining, told = Draining(), list[str]()
        draining.join("a", lambda: told.append("a"))
        draining.join("b", lambda: told.append("b"))
        assert draining.request(lambda: told.append("home"))
        assert told == ["a", "b"]
        draining.leave("a")
        assert told == ["a", "b"]
        draining.leave("b")
        draining.leave("b")
        assert told == ["a", "b", "home"]

    def test_comes_home_at_once(self) -> None:
        """What can end on the spot may leave while it is asked."""
        draining, told = Draining(), list[str]()
        for name in "ab":
            draining.join(name, partial(draining.leave, name))

        assert draining.request(lambda: told.append("home"))
        assert told == ["home"]

    def test_joins_late(self) -> None:
        """What begins after the request is asked as it begins."""
        draining, told = Draining(), list[str]()
        draining.join("a", lambda: told.append("a"))
        draining.request(lambda: told.append("home"))
        draining.join("b", lambda: told.append("b"))
        draining.leave("a")
        assert told == ["a", "b"]
        draining.leave("b")
        assert told == ["a", "b", "home"]

    def test_nobody_asked(self) -> None:
        """Coming and going by oneself tells nobody."""
        draining = Draining()
        draining.join("a", lambda: None)
        draining.leave("a")
        assert repr(draining) == "<Draining not requested, 0 under way>"


async def test_is_that_of_the_task_that_entered_it() -> None:
    """Tasks started below see it, others do not."""
    assert current_draining() is None
    draining = Draining()

    async def below() -> None:
        enter_draining(draining)
        async with asyncio.TaskGroup() as group:
            group.create_task(deeper())

    async def deeper() -> None:
        assert current_draining() is draining

    await asyncio.create_task(below())
    assert current_draining() is None
