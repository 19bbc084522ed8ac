"""A companion runs beside a block and ends with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from supervision import Companion


async def forever(ended: list[str]) -> None:
    """Wait for the end, and note it."""
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


class TestCompanion:
    async def test_it_ends_with_the_block(self) -> None:
        """It is over before the block is left."""
        ended: list[str] = []
        async with Companion(forever(ended)):
            await asyncio.sleep(0)

        assert ended == ["ended"]

    async def test_its_result_is_there(self) -> None:
        """Work that is done stays done."""

        async def work() -> int:
            return 3

        async with Companion(work()) as task:
            await task

        assert task.result() == 3

    async def test_its_failure_hurts_nobody(self) -> None:
        """Neither the block nor the log; the task tells it to whoever asks."""

        async def work() -> None:
            raise OSError("gone")

        async with Companion(work()) as task:
            for _ in range(3):
                await asyncio.sleep(0)

        with pytest.raises(OSError, match="gone"):
            task.result()

    async def test_the_error_of_the_block_passes(self) -> None:
        """As it is, in no group."""
        ended: list[str] = []

        async def block() -> None:
            async with Companion(forever(ended)):
                await asyncio.sleep(0)
                raise KeyError("mine")

        with pytest.raises(KeyError):
            await block()

        assert ended == ["ended"]

    async def test_in_a_generator_that_is_closed_early(self) -> None:
        """The task is over when `aclose` returns."""
        ended: list[str] = []

        async def numbers() -> AsyncIterator[int]:
            async with Companion(forever(ended)):
                await asyncio.sleep(0)
                yield 1
                yield 2

        async with aclosing(numbers()) as generator:  # type: ignore[type-var]  # it is a generator
            async for _ in generator:
                break

        assert ended == ["ended"]

    async def test_cancelling_whoever_waits_for_the_end(self) -> None:
        """The end is waited for all the same, then the cancellation goes on."""
        ended: list[str] = []

        async def slow() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                ended.append("ended")

        async def block() -> None:
            async with Companion(slow()):
                await asyncio.sleep(0)

        task = asyncio.create_task(block())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert ended == ["ended"]

    @pytest.mark.virtual_time
    async def test_work_that_will_not_end_is_left_behind(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """After five times, with an error in the log; nobody waits for ever."""
        refusals = 0
        going = True

        async def stubborn() -> None:
            nonlocal refusals
            while going:
                try:
                    await asyncio.sleep(60.0)
                except asyncio.CancelledError:
                    refusals += 1

        with caplog.at_level(logging.ERROR, logger="supervision"):
            async with Companion(stubborn()) as task:
                await asyncio.sleep(0)

        assert refusals == 5
        assert "left behind" in caplog.text
        going = False
        task.cancel()
        await task
