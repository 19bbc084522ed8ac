"""What may go wrong between the lines: races, storms, and requests at the wrong moment."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from supervision import (
    Actor,
    AlreadyPresent,
    Backoff,
    CallTimeout,
    ChildSpec,
    Crash,
    Down,
    DynamicSupervisor,
    MaxRestartsExceeded,
    NoProc,
    NotFound,
    Restart,
    Restarting,
    ServerDied,
    State,
    Strategy,
    Supervisor,
    TaskSupervisor,
    handle,
)
from supervision.testing import crash, leaked_tasks, settle, wait_restarted, wait_until

Ready = Callable[..., None]


async def forever() -> None:
    """Wait for the end."""
    await asyncio.Event().wait()


class TestRestarting:
    """A child that waits for its restart: `restarting` is a state like any other."""

    SPEC = ChildSpec("it", forever, backoff=Backoff(min=5, max=5))

    async def test_requests_meanwhile(self) -> None:
        """F01, F02: requests are answered while a child waits to be restarted."""
        async with Supervisor([self.SPEC]) as root:
            await settle()
            ref = root.ref("it")
            crash(ref)
            await settle()
            assert root.which_children()[0].state == State.RESTARTING
            assert root.count_children().active == 0
            with pytest.raises(AlreadyPresent):
                await root.start_child(self.SPEC)

            for request in (root.restart_child, root.delete_child):
                with pytest.raises(Restarting):
                    await request("it")

            with pytest.raises(NoProc):
                _ = ref.info

    async def test_terminate_cancels_the_restart(self) -> None:
        """F02: terminate ends the wait; nothing restarts later; it may then be restarted."""
        async with Supervisor([self.SPEC]) as root:
            await settle()
            crash(root.ref("it"))
            await settle()
            await root.terminate_child("it")
            await asyncio.sleep(20)
            assert root.which_children()[0].state == State.UNDEFINED
            await root.restart_child("it")
            assert root.ref("it").slot.generation == 2

    async def test_stop_does_not_wait_for_it(self) -> None:
        """D8d: the end of the tree cancels pending restarts."""
        loop = asyncio.get_running_loop()
        async with Supervisor([self.SPEC]) as root:
            await settle()
            crash(root.ref("it"))
            await settle()
            began = loop.time()

        assert loop.time() - began < 1

    async def test_siblings_stop_at_once_and_come_back_together(self) -> None:
        """D8d: with a back-off, those who depend on the dead one do not run without it."""
        specs = [self.SPEC, ChildSpec("after", forever)]
        async with Supervisor(specs, strategy=Strategy.REST_FOR_ONE) as root:
            await settle()
            crash(root.ref("it"))
            await settle()
            assert [row.pid is None for row in root.which_children()] == [True, True]
            await asyncio.sleep(6)
            assert root.count_children().active == 2

    async def test_ref_waits_for_it(self) -> None:
        """D12: wait_ready returns when the child is back, or gives up."""
        async with Supervisor([self.SPEC]) as root:
            await settle()
            ref = root.ref("it")
            crash(ref)
            await settle()
            with pytest.raises(CallTimeout):
                await ref.wait_ready(1.0)

            await ref.wait_ready(10.0)
            assert ref.state == State.RUNNING

    async def test_ref_to_a_deleted_child_gives_up(self) -> None:
        """D12: whoever waits for a child that is deleted is told."""
        async with Supervisor([ChildSpec("it", forever)]) as root:
            ref = root.ref("it")
            await root.terminate_child("it")
            waiting = asyncio.ensure_future(ref.wait_ready())
            await settle()
            await root.delete_child("it")
            with pytest.raises(NoProc):
                await waiting

            with pytest.raises(NotFound):
                root.ref("it")


class TestTogether:
    async def test_five_deaths_in_one_turn(self) -> None:
        """R02, pitfall 21: with one_for_all, deaths in the same turn are one restart."""
        specs = [ChildSpec(n, forever) for n in range(5)]
        async with Supervisor(specs, strategy=Strategy.ONE_FOR_ALL, intensity=1) as root:
            await settle()
            for n in range(5):
                crash(root.ref(n))

            await settle(30)
            assert root.alive
            assert [row.generation for row in root.which_children()] == [2] * 5

    async def test_five_deaths_of_their_own(self) -> None:
        """Pitfall 21: with one_for_one each of them counts."""

        async def host() -> None:
            async with Supervisor([ChildSpec(n, forever) for n in range(5)], intensity=4) as root:
                await settle()
                for n in range(5):
                    crash(root.ref(n))

                await forever()

        with pytest.raises(MaxRestartsExceeded):
            await host()

    async def test_death_during_the_stop(self) -> None:
        """K04: a child that dies while the supervisor stops changes nothing and stays dead."""
        lives = 0

        async def slow() -> None:
            try:
                await forever()
            finally:
                await asyncio.sleep(1)

        async def mortal() -> None:
            nonlocal lives
            lives += 1
            await asyncio.sleep(0.5)
            raise ValueError

        async with Supervisor([ChildSpec("mortal", mortal), ChildSpec("slow", slow)]):
            await settle()

        assert lives == 1

    async def test_child_that_terminates_itself(self) -> None:
        """M02: a child may ask for its own end: it is cancelled while it waits for it."""
        roots: list[Supervisor] = []

        async def suicidal() -> None:
            await roots[0].terminate_child("it")

        async with Supervisor([ChildSpec("it", suicidal)]) as root:
            roots.append(root)
            await settle()
            assert root.which_children()[0].state == State.UNDEFINED

    async def test_cancelled_request_is_done_all_the_same(self) -> None:
        """Pitfall 24: a request goes on when whoever made it is cancelled."""
        async with Supervisor() as root:
            task = asyncio.ensure_future(root.start_child(ChildSpec("it", forever)))
            await asyncio.sleep(0)
            task.cancel()
            await settle()
            assert root.count_children().active == 1


class TestStorm:
    async def test_restart_storm_leaves_the_loop_its_turns(self) -> None:
        """Pitfall 22: a child that dies at once, again and again, does not starve others."""
        births = turns = 0

        async def mortal() -> None:
            nonlocal births
            births += 1
            raise ValueError

        async with Supervisor([ChildSpec("it", mortal)], intensity=10**6):
            while births < 1000:
                turns += 1
                await asyncio.sleep(0)

        assert turns >= 500

    @pytest.mark.parametrize("kind", [Supervisor, DynamicSupervisor])
    async def test_failing_start_storm_leaves_the_loop_its_turns(self, kind: Any) -> None:
        """Pitfall 22: neither does one whose start fails, again and again."""
        starts = turns = 0

        async def broken(*, ready: Ready) -> None:
            nonlocal starts
            starts += 1
            if starts > 1:
                raise ValueError

            ready()
            await forever()

        async with kind(intensity=10**6) as root:
            ref = await root.start_child(ChildSpec("it", broken))
            crash(ref)
            while starts < 300:
                turns += 1
                await asyncio.sleep(0)

        assert turns >= 150


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with CPython 3.12")
async def test_eager_tasks() -> None:
    """Pitfall 20: a child may run, crash or end before the call that starts it returns."""

    async def at_once(*, ready: Ready) -> None:
        ready("up")
        await forever()

    async def dying() -> None:
        raise ValueError

    factory = getattr(asyncio, "eager_task_factory")  # noqa: B009 - absent from older ones
    asyncio.get_running_loop().set_task_factory(factory)
    specs = [ChildSpec("a", at_once), ChildSpec("b", dying, restart=Restart.TEMPORARY)]
    async with Supervisor(specs) as root:
        await settle()
        assert root.ref("a").info == "up"
        assert [row.id for row in root.which_children()] == ["a"]


class TestForeignCode:
    async def test_anyio_in_a_child(self) -> None:
        """Pitfall 3: a child full of anyio scopes restarts cleanly, again and again."""
        cleaned = 0

        async def body(*, ready: Ready) -> None:
            nonlocal cleaned
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep_forever)
                    with anyio.fail_after(1000):
                        ready()
                        await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.001)
                    cleaned += 1

        async with Supervisor([ChildSpec("it", body)]) as root:
            for _ in range(100):
                await root.terminate_child("it")
                await root.restart_child("it")

        assert cleaned == 101

    @pytest.mark.real_time
    async def test_wait_for_that_loses_cancellations(self) -> None:
        """Pitfall 6: a child that may lose cancellations in wait_for does not hold up the stop."""
        release = False

        async def tick() -> None:
            await asyncio.sleep(0)

        async def body() -> None:
            while not release:
                await asyncio.wait_for(asyncio.ensure_future(tick()), 10)

        async with Supervisor([ChildSpec("it", body, shutdown=0.01)]) as root:
            await settle()
            tree = root.tree_context
            ref = root.ref("it")
            async with asyncio.timeout(10):
                await root.terminate_child("it")

            assert ref.state == State.UNDEFINED

        # Before CPython 3.12 every one of the cancellations may have been lost.
        release = True
        await wait_until(lambda: not tree.zombies)

    async def test_group_at_the_host(self) -> None:
        """Pitfall 16: a child that crashes with a group is one crash; the host gets no group."""

        async def body() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                group.create_task(forever())

        async def fail() -> None:
            raise ValueError("bug")

        async def host() -> None:
            async with Supervisor([ChildSpec("it", body)], intensity=0):
                await forever()

        with pytest.raises(MaxRestartsExceeded) as failure:
            await host()

        assert isinstance(failure.value.__cause__, ExceptionGroup)

    async def test_exit_in_a_group(self) -> None:
        """Pitfall 16: SystemExit inside a group of a child's own still ends the program."""

        async def body() -> None:
            raise BaseExceptionGroup("g", [ValueError(), SystemExit(4)])

        async def host() -> None:
            async with Supervisor([ChildSpec("it", body)]):
                await forever()

        with pytest.raises(SystemExit) as failure:
            await host()

        assert failure.value.code == 4

    async def test_exit_from_a_start_and_from_a_cleanup(self) -> None:
        """Pitfall 12: SystemExit counts wherever a child raises it."""

        async def starting(*, ready: Ready) -> None:
            raise SystemExit(5)

        async def cleaning() -> None:
            try:
                await forever()
            finally:
                raise SystemExit(6)

        async def host(first: Any, later: Any) -> None:
            async with Supervisor([ChildSpec("it", first)]) as root:
                await settle()
                if later is not None:
                    await root.start_child(ChildSpec("later", later))
                    await forever()

        for first, later, code in (
            (starting, None, 5),
            (forever, starting, 5),
            (cleaning, None, 6),
        ):
            with pytest.raises(SystemExit) as failure:
                await host(first, later)

            assert failure.value.code == code

    @pytest.mark.parametrize("kind", [DynamicSupervisor, TaskSupervisor])
    async def test_exit_under_a_nested_dynamic_supervisor(self, kind: Any) -> None:
        """Pitfall 12: it also escalates from a dynamic child."""

        async def leaving() -> None:
            raise SystemExit(7)

        async def host() -> None:
            async with Supervisor([ChildSpec("dyn", kind.child())]) as root:
                start: Callable[..., Awaitable[Any]] = root.ref("dyn").info.start_child
                await (start(leaving) if kind is TaskSupervisor else start(ChildSpec(1, leaving)))
                await forever()

        with pytest.raises(SystemExit) as failure:
            await host()

        assert failure.value.code == 7


class Spawner(Actor):
    """Has tasks of its own."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    @handle.call
    def begin(self, fails: bool) -> None:
        self.spawned = self.spawn(self.work(fails))

    async def work(self, fails: bool) -> None:
        try:
            await asyncio.sleep(1)
            if fails:
                raise ValueError("bug")

            await forever()
        finally:
            self.log.append("work over")

    async def terminate(self, reason: object) -> None:
        self.log.append(f"terminate {reason}")


class TestSpawn:
    async def test_spawned_work_ends_with_its_actor(self) -> None:
        """Pitfall 18: tasks an actor spawned are over before it is."""
        before = asyncio.all_tasks()
        log: list[str] = []
        async with Supervisor([ChildSpec("it", Spawner, args=(log,))]) as root:
            await settle()
            await root.ref("it", Spawner).call(Spawner.begin, False)
            await settle()

        assert log == ["work over", "terminate shutdown"]
        assert leaked_tasks(before) == set()

    async def test_crash_of_spawned_work_is_the_actor_s(self) -> None:
        """Pitfall 18: its crash is the crash of the actor."""
        log: list[str] = []
        downs: list[Down] = []
        spec = ChildSpec("it", Spawner, args=(log,), restart=Restart.TEMPORARY)
        async with Supervisor([spec]) as root:
            await settle()
            ref = root.ref("it", Spawner)
            ref.monitor(downs.append)
            await ref.call(Spawner.begin, True)
            await asyncio.sleep(2)

        assert isinstance(downs[0].reason, Crash)
        assert log == ["work over", "terminate ValueError: bug"]


async def test_ref_of_a_restarted_actor_calls_the_new_one() -> None:
    """D12: a ref reaches whichever incarnation runs; messages of the old one are failed."""

    class Echo(Actor):
        @handle.call
        async def echo(self, seconds: float) -> int:
            await asyncio.sleep(seconds)
            return id(self)

    async with Supervisor([ChildSpec("it", Echo)]) as root:
        ref = root.ref("it", Echo)
        first = await ref.call(Echo.echo, 0.0)
        waiting = asyncio.ensure_future(ref.call(Echo.echo, 1.0))
        await settle()
        await wait_restarted(ref, crash(ref))
        with pytest.raises(ServerDied):
            await waiting

        assert await ref.call(Echo.echo, 0.0) != first
