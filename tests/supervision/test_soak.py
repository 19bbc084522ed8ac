"""Ten thousand restarts: nothing grows, nothing stays behind."""

from __future__ import annotations

import asyncio
import gc

import pytest

from supervision import (
    Actor,
    ChildSpec,
    DynamicSupervisor,
    Ref,
    ServerDied,
    Strategy,
    Supervisor,
    handle,
)
from supervision.testing import crash, leaked_tasks, settle, wait_restarted

RESTARTS = 10_000
WARM_UP = 1_000


class Waiting(Actor):
    """Keeps its callers waiting."""

    @handle.call
    async def wait(self) -> None:
        """Never answer."""
        await asyncio.Event().wait()


async def forever() -> None:
    """Wait for the end."""
    await asyncio.Event().wait()


async def restart(ref: Ref[Waiting], times: int) -> None:
    """Crash an actor so many times, with a call under way and another in its mailbox."""
    for _ in range(times):
        calls = [asyncio.ensure_future(ref.call(Waiting.wait)) for _ in range(2)]
        await settle(2)
        await wait_restarted(ref, crash(ref))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, ServerDied) for result in results)
        for call in calls:
            call.cancel()


@pytest.mark.slow
async def test_memory_and_tasks_after_many_restarts() -> None:
    """Pitfall 11: 10,000 restarts leave no object and no task."""
    before = asyncio.all_tasks()
    children = [
        ChildSpec("actor", Waiting),
        ChildSpec("beside", forever),
        ChildSpec("below", DynamicSupervisor.child()),
    ]
    async with Supervisor(
        children, strategy=Strategy.ONE_FOR_ALL, intensity=RESTARTS, period=0.001
    ) as root:
        ref = root.ref("actor", Waiting)
        await restart(ref, WARM_UP)
        gc.collect()
        tasks = len(asyncio.all_tasks())
        held = len(gc.get_objects())
        await restart(ref, RESTARTS - WARM_UP)
        gc.collect()
        assert len(gc.get_objects()) - held < 100
        assert len(asyncio.all_tasks()) == tasks
        assert root.which_children()[0].generation == RESTARTS + 1
        assert root.zombies == ()

    assert leaked_tasks(before) == set()
