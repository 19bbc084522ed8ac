"""A program finds the one runtime that is open, or says what to do."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, TypeVar

import pytest

from dspex import effects
from dspex.errors import RuntimeNotFound
from supervision import Bus

T = TypeVar("T")


class FakeRuntime:
    """A runtime by name only."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bus = Bus()
        self.cache = None

    @property
    def tasks(self) -> Any:
        raise NotImplementedError

    def client(self, name: str | None = None) -> Any:
        raise NotImplementedError


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
