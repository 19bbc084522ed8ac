"""The helpers for tests, which must not lie."""

from __future__ import annotations

import asyncio
import time

import pytest

from supervision import ChildSpec, Supervisor
from supervision.testing import (
    FakeClock,
    VirtualClockLoop,
    crash,
    leaked_tasks,
    settle,
    wait_restarted,
    wait_until,
)


async def forever() -> None:
    """Wait for the end."""
    await asyncio.Event().wait()


def test_fake_clock() -> None:
    """It moves when told to, and never back."""
    clock = FakeClock(1.0)
    clock.advance(2.5)
    assert clock() == 3.5
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


async def test_waiting_takes_no_time() -> None:
    """An hour passes in a moment, to the second."""
    began, virtual = time.monotonic(), asyncio.get_running_loop().time()
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop().time() - virtual == 3600
    assert time.monotonic() - began < 10


def test_deadlock_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop in which nothing can ever happen says so rather than hang."""
    monkeypatch.setattr("supervision.testing._DEADLOCK_AFTER", 0.01)
    loop = VirtualClockLoop()
    waiting = loop.create_task(forever())
    with pytest.raises(RuntimeError, match="deadlock"):
        loop.run_until_complete(waiting)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(waiting)

    loop.close()


async def test_wait_until_gives_up() -> None:
    """A condition that never holds is an error."""
    with pytest.raises(AssertionError, match="come true"):
        await wait_until(lambda: False)


async def test_wait_restarted_gives_up() -> None:
    """So is a child that does not come back in time."""
    async with Supervisor([ChildSpec("it", forever)]) as root:
        await settle()
        with pytest.raises(TimeoutError):
            await wait_restarted(root.ref("it"), root.ref("it").pid, timeout=1.0)

        await wait_restarted(root.ref("it"), crash(root.ref("it")))


async def test_leaked_tasks() -> None:
    """Tasks that were not there before are found, without the current one."""
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(forever())
    assert leaked_tasks(before) == {task}
    task.cancel()
    await settle()
    assert leaked_tasks(before) == set()
