"""Samples stay apart, and what fails side by side is raised as one plain error."""

from __future__ import annotations

import asyncio

import pytest

from dspex.programs.sampling import run_all


async def fail(index: int) -> int:
    """Fail as item `index`, all at the same time."""
    await asyncio.sleep(0)
    raise ValueError(f"item {index}")


class TestRunAll:
    async def test_results_keep_their_order(self) -> None:
        """As `effects.map` gives them."""

        async def double(item: int) -> int:
            return 2 * item

        assert await run_all(double, [1, 2, 3], name="try") == [2, 4, 6]

    async def test_nothing_to_do(self) -> None:
        """No items are no results."""
        assert await run_all(fail, [], name="try") == []

    async def test_one_failure_is_raised_itself(self) -> None:
        """A caller catches what the program raises and no group."""
        with pytest.raises(ValueError, match="item 0") as caught:
            await run_all(fail, [0], name="try")

        assert isinstance(caught.value.__cause__, ExceptionGroup)

    async def test_several_failures_are_all_to_be_found(self) -> None:
        """The first is raised; a note tells of the others, and the cause holds them."""
        with pytest.raises(ValueError, match="item 0") as caught:
            await run_all(fail, [0, 1, 2], name="try")

        assert "2 more failed" in caught.value.__notes__[0]
        assert isinstance(caught.value.__cause__, ExceptionGroup)
