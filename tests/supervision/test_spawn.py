"""Tasks that belong to a child, and those that should have."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from supervision import (
    Actor,
    ChildSpec,
    Crash,
    Down,
    NoProc,
    Normal,
    Ref,
    Restart,
    Supervisor,
    TaskSupervisor,
    spawn,
)
from supervision.child import CURRENT
from supervision.report import ORPHANS
from supervision.testing import settle


async def forever() -> None:
    """Wait for the end."""
    await asyncio.Event().wait()


async def test_spawned_work_ends_with_a_plain_child() -> None:
    """Pitfall 18: what a coroutine child spawned is over before the child is."""
    events: list[str] = []

    async def work() -> None:
        try:
            await forever()
        finally:
            events.append("work")

    async def child() -> None:
        _ = spawn(work())
        await asyncio.sleep(1)

    async with Supervisor([ChildSpec("it", child, restart=Restart.TEMPORARY)]) as root:
        root.ref("it").monitor(lambda down: events.append(str(down.reason)))
        await asyncio.sleep(2)
        assert events == ["work", "normal"]


async def test_spawned_work_ends_with_a_child_that_is_stopped() -> None:
    """Pitfall 18: the same when the child is stopped, and in a context manager's child."""
    tasks: list[asyncio.Task[Any]] = []

    class Resource:
        async def __aenter__(self) -> None:
            tasks.append(spawn(forever()))

        async def __aexit__(self, *_: object) -> None:
            assert not tasks[0].done()

    async with Supervisor([ChildSpec("it", Resource)]):
        await settle()

    assert tasks[0].cancelled()


async def test_crash_of_spawned_work_is_the_child_s() -> None:
    """Pitfall 18: work that crashes takes the child with it, for the same reason."""
    error = ValueError("in the work")

    async def work() -> None:
        raise error

    async def child() -> None:
        _ = spawn(work())
        await forever()

    async with Supervisor([ChildSpec("it", child, restart=Restart.TEMPORARY)]) as root:
        down: Down = await root.ref("it").wait_ended()
        assert down.reason == Crash(error)


async def test_work_that_returned_is_forgotten() -> None:
    """Spawned work that is over keeps nothing alive and ends nothing."""

    async def child() -> None:
        assert await spawn(asyncio.sleep(0.1, "value")) == "value"

    async with Supervisor([ChildSpec("it", child, restart=Restart.TEMPORARY)]) as root:
        assert (await root.ref("it").wait_ended()).reason == Normal()


async def test_spawn_outside_of_a_child() -> None:
    """Where there is no child, or it is over, there is nobody to end the work."""
    with pytest.raises(NoProc, match="outside of a child"):
        _ = spawn(forever())

    seen = []

    async def child() -> None:
        seen.append(CURRENT.get())

    async with Supervisor([ChildSpec("it", child, restart=Restart.TEMPORARY)]):
        await settle()

    (over,) = seen
    assert over is not None
    with pytest.raises(NoProc):
        _ = over.spawn(forever())

    with pytest.raises(NoProc):
        _ = Actor().spawn(forever())


class TestOrphans:
    """In debug mode a child that leaves tasks behind is reported."""

    @staticmethod
    async def reported(start: Any, *args: object) -> list[str]:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        texts: list[str] = []

        def hear(_: object, __: object, metadata: Any, ___: object) -> None:
            texts.append(metadata["offender"].id)

        try:
            async with Supervisor(
                [
                    ChildSpec("tasks", TaskSupervisor.child()),
                    ChildSpec("it", start, args=args, restart=Restart.TEMPORARY),
                ],
                name="root",
            ) as root:
                root.telemetry.attach("o", ORPHANS, hear)
                ROOT.append(root)
                await asyncio.sleep(1)
        finally:
            ROOT.clear()
            loop.set_debug(False)

        return texts

    async def test_orphan_is_reported(self, caplog: pytest.LogCaptureFixture) -> None:
        """Pitfall 18: a task that outlives the child that made it is named."""
        caplog.set_level("WARNING", "supervision")
        left: list[asyncio.Task[None]] = []

        async def child() -> None:
            await asyncio.sleep(0.1)
            left.append(asyncio.create_task(forever(), name="left %s behind"))
            await asyncio.sleep(0.1)

        assert await self.reported(child) == ["it"]
        assert "left %s behind" in caplog.text
        assert "use spawn()" in caplog.text
        left[0].cancel()
        await asyncio.wait(left)

    async def test_owned_work_is_no_orphan(self) -> None:
        """Pitfall 18: work that was spawned, or given to a TaskSupervisor, has an owner."""

        async def child() -> None:
            await asyncio.sleep(0.1)
            _ = spawn(forever())
            tasks: Ref[TaskSupervisor] = ROOT[0].ref("tasks", TaskSupervisor)
            tasks.info.async_nolink(forever)
            await asyncio.sleep(0.1)

        assert await self.reported(child) == []

    async def test_actors_too(self) -> None:
        """Pitfall 18: an actor's leak is found as well."""
        left: list[asyncio.Task[None]] = []

        class Leaking(Actor):
            async def init(self) -> None:
                left.append(asyncio.create_task(forever()))
                self.idle_timeout = 0.1

            async def idle(self) -> None:
                self.stop()

        assert await self.reported(Leaking) == ["it"]
        left[0].cancel()
        await asyncio.wait(left)


ROOT: list[Supervisor] = []


async def test_exit_in_spawned_work_ends_the_tree_in_order() -> None:
    """Pitfall 12: SystemExit in spawned work escalates, like that of the child itself."""
    log: list[str] = []

    async def leave() -> None:
        await asyncio.sleep(1)
        raise SystemExit(7)

    async def child(name: str, fails: bool) -> None:
        try:
            if fails:
                _ = spawn(leave())

            await asyncio.Event().wait()
        finally:
            log.append(name)

    with pytest.raises(SystemExit) as caught:
        async with Supervisor(
            [ChildSpec("a", child, args=("a", False)), ChildSpec("b", child, args=("b", True))]
        ):
            await asyncio.Event().wait()

    assert caught.value.code == 7
    assert log == ["b", "a"]


async def test_spawned_work_that_never_began_is_closed() -> None:
    """Pitfall 8: what is cancelled before its first step leaves no warning behind."""
    began = False

    async def work() -> None:
        nonlocal began
        began = True

    async def child() -> None:
        _ = spawn(work())

    async with Supervisor([ChildSpec("it", child, restart=Restart.TEMPORARY)]) as root:
        await root.ref("it").wait_ended()

    assert not began
