"""Dynamic supervisors: children on demand, restarted alone, stopped together."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from supervision import (
    BRUTAL_KILL,
    AlreadyStarted,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Ignore,
    InvalidSpec,
    MaxChildren,
    MaxRestartsExceeded,
    NoProc,
    NotFound,
    Ref,
    Registry,
    Restart,
    StartFailed,
    Supervisor,
)
from supervision.testing import crash, settle, wait_restarted


async def forever(*args: object) -> None:
    """Wait for the end."""
    await asyncio.Event().wait()


async def start(root: DynamicSupervisor, spec: ChildSpec) -> Ref[Any]:
    """Start a child that does not ignore it."""
    ref = await root.start_child(spec)
    assert ref is not None
    return ref


class TestStart:
    async def test_ids_are_optional_and_may_repeat(self) -> None:
        """T06: children need no id, and two may have the same."""
        async with DynamicSupervisor() as root:
            for id in (None, None, "a", "a"):
                await start(root, ChildSpec(id, forever))

            counts = root.count_children()
            assert (counts.specs, counts.active, counts.workers) == (4, 4, 4)
            assert root.ref("a").pid == 4 + 1

    async def test_extra_arguments_come_first_at_each_start(self) -> None:
        """T06: extra arguments are prepended on start and on every restart."""
        seen: list[tuple[object, ...]] = []

        async def note(*args: object) -> None:
            seen.append(args)
            await forever()

        async with DynamicSupervisor(extra_arguments=(1, 2)) as root:
            ref = await start(root, ChildSpec(None, note, args=(3,)))
            await settle()
            await wait_restarted(ref, crash(ref))
            await settle()

        assert seen == [(1, 2, 3)] * 2

    async def test_max_children(self) -> None:
        """T06: live and restarting children count; 0 is a legal maximum."""
        async with DynamicSupervisor(max_children=1) as root:
            backoff = Backoff(min=1, max=1)
            ref = await start(root, ChildSpec(None, forever, backoff=backoff))
            with pytest.raises(MaxChildren):
                await root.start_child(ChildSpec(None, forever))

            await settle()
            crash(ref)
            await settle()
            assert ref.state == "restarting"
            with pytest.raises(MaxChildren):
                await root.start_child(ChildSpec(None, forever))

        async with DynamicSupervisor(max_children=0) as root:
            with pytest.raises(MaxChildren):
                await root.start_child(ChildSpec(None, forever))

    async def test_invalid_max_children(self) -> None:
        """T06: a negative maximum is refused."""
        with pytest.raises(InvalidSpec, match="invalid_max_children"):
            async with DynamicSupervisor(max_children=-1):
                pytest.fail("the block must not run")

    async def test_ignored_and_failed_starts_keep_nothing(self) -> None:
        """C12, M01: a start that is ignored or fails leaves no child behind."""

        async def unwilling(*, ready: object) -> None:
            raise Ignore

        async def broken(*, ready: object) -> None:
            raise OSError("no disk")

        async with DynamicSupervisor() as root:
            assert await root.start_child(ChildSpec(None, unwilling)) is None
            with pytest.raises(StartFailed) as failure:
                await root.start_child(ChildSpec("it", broken))

            assert isinstance(failure.value.__cause__, OSError)
            assert root.which_children() == []

    async def test_caller_cancelled_during_a_start(self) -> None:
        """A child whose starter was cancelled is stopped: nobody would hold it."""

        async def hanging(*, ready: object) -> None:
            await forever()

        async with DynamicSupervisor() as root:
            task = asyncio.ensure_future(root.start_child(ChildSpec(None, hanging)))
            await settle()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            await settle()
            assert root.which_children() == []

    async def test_start_from_a_starting_child_of_it_is_refused(self) -> None:
        """M10: a child cannot ask its own supervisor before it is up."""

        async def naughty(*, ready: object) -> None:
            await roots[0].start_child(ChildSpec(None, forever))

        async with DynamicSupervisor() as root:
            roots = [root]
            with pytest.raises(StartFailed, match="CallingSelf"):
                await root.start_child(ChildSpec(None, naughty))

    async def test_name_that_is_taken(self) -> None:
        """S08, N04: a dynamic child whose name is taken does not start."""
        registry = Registry()
        async with DynamicSupervisor() as root:
            ref = await start(root, ChildSpec(None, forever, name=registry.via("n")))
            with pytest.raises(AlreadyStarted) as error:
                await root.start_child(ChildSpec(None, forever, name=registry.via("n")))

            assert error.value.ref == ref
            assert root.count_children().specs == 1

    async def test_get_childspec(self) -> None:
        """M08: the spec of a dynamic child, by ref or id, with defaults filled in."""
        async with DynamicSupervisor(name="dyn") as root:
            ref = await start(root, ChildSpec("a", forever))
            assert root.get_childspec(ref) == root.get_childspec("a")
            assert root.get_childspec("a").shutdown == 5.0
            assert root.tree().startswith("dyn")
            assert repr(root) == "<DynamicSupervisor 'dyn', 1 of inf>"


class TestRestart:
    async def test_restart_whose_name_is_taken_is_tried_again(self) -> None:
        """F01, N04: a restart that cannot have its name waits and is tried again."""
        registry = Registry()
        async with DynamicSupervisor(intensity=10) as root:
            backoff = Backoff(min=1, max=1)
            spec = ChildSpec("a", forever, name=registry.via("n"), backoff=backoff)
            first = await start(root, spec)
            await settle()
            crash(first)
            await settle()
            thief = await start(root, ChildSpec("b", forever, name=registry.via("n")))
            await asyncio.sleep(2.5)
            assert first.state == "restarting"
            await root.terminate_child(thief)
            await first.wait_ready(2.0)
            assert registry.whereis("n") == first

    async def test_failed_restart_is_tried_again_and_counted(self) -> None:
        """I04, F01: each failed restart counts; the start runs exactly intensity more times."""
        starts = 0

        async def flaky(*, ready: Any) -> None:
            nonlocal starts
            starts += 1
            if starts > 1:
                raise OSError("gone")

            ready()
            await forever()

        async def host() -> None:
            async with DynamicSupervisor(intensity=4) as root:
                crash(await start(root, ChildSpec(None, flaky)))
                await forever()

        with pytest.raises(MaxRestartsExceeded) as failure:
            await host()

        assert starts == 5
        assert isinstance(failure.value.__cause__, OSError)

    async def test_restart_that_is_ignored_removes_the_child(self) -> None:
        """F05: a dynamic child that ignores its restart is gone."""
        starts = 0

        async def moody(*, ready: Any) -> None:
            nonlocal starts
            starts += 1
            if starts > 1:
                raise Ignore

            ready()
            await forever()

        async with DynamicSupervisor() as root:
            crash(await start(root, ChildSpec(None, moody)))
            await settle()
            assert root.which_children() == []

    @pytest.mark.parametrize(
        ("restart", "left"),
        [(Restart.PERMANENT, 1), (Restart.TRANSIENT, 0), (Restart.TEMPORARY, 0)],
    )
    async def test_normal_end(self, restart: Restart, left: int) -> None:
        """1.3: a dynamic child that is not restarted is forgotten."""
        lives = 0

        async def short() -> None:
            nonlocal lives
            lives += 1
            if lives > 1:
                await forever()

        async with DynamicSupervisor() as root:
            await start(root, ChildSpec(None, short, restart=restart))
            await settle()
            assert len(root.which_children()) == left

    async def test_backoff_delays_restarts(self) -> None:
        """D8d, I08: the n-th restart in a row waits longer; a long life starts the row anew."""
        loop = asyncio.get_running_loop()
        births: list[float] = []
        lives = iter([0.0, 0.0, 0.0, 100.0, 0.0])

        async def mortal() -> None:
            births.append(loop.time())
            await asyncio.sleep(next(lives, 1e6))
            raise ValueError

        backoff = Backoff(min=1, max=60)
        async with DynamicSupervisor(intensity=10) as root:
            await start(root, ChildSpec(None, mortal, backoff=backoff))
            await asyncio.sleep(200)

        gaps = [round(b - a) for a, b in itertools.pairwise(births)]
        assert gaps == [1, 2, 4, 101, 2]

    async def test_many_crash_in_one_turn(self) -> None:
        """Pitfall 21: each death counts once: five at once exceed an intensity of four."""

        async def host(intensity: int) -> int:
            async with DynamicSupervisor(intensity=intensity) as root:
                refs = [await start(root, ChildSpec(None, forever)) for _ in range(5)]
                await settle()
                for ref in refs:
                    crash(ref)

                await settle()
                return root.count_children().active

        assert await host(5) == 5
        with pytest.raises(MaxRestartsExceeded):
            await host(4)


class TestStop:
    async def test_one_window_for_all(self) -> None:
        """T05, K07: children stop in parallel, each within its own time."""
        log: list[str] = []

        async def slow(name: str, seconds: float) -> None:
            try:
                await forever()
            finally:
                try:
                    await asyncio.sleep(seconds)
                    log.append(name)
                except asyncio.CancelledError:
                    log.append(f"{name} cut")
                    raise

        loop = asyncio.get_running_loop()
        async with DynamicSupervisor() as root:
            for name, seconds, shutdown in (
                ("a", 1.0, 2.0),
                ("b", 1.0, 2.0),
                ("c", 9.0, 1.5),
                ("d", 3.0, float("inf")),
            ):
                spec = ChildSpec(name, slow, args=(name, seconds), shutdown=shutdown)
                await start(root, spec)

            await start(root, ChildSpec("e", forever, shutdown=BRUTAL_KILL))
            await settle()
            began = loop.time()

        assert log == ["a", "b", "c cut", "d"]
        assert loop.time() - began == pytest.approx(3.0)

    async def test_terminate(self) -> None:
        """M02, M03: a child is terminated by ref or id, and forgotten; then it is unknown."""
        async with DynamicSupervisor() as root:
            ref = await start(root, ChildSpec("a", forever))
            await root.terminate_child(ref)
            for child in (ref, "a", "b"):
                with pytest.raises(NotFound):
                    await root.terminate_child(child)

            with pytest.raises(NoProc):
                _ = ref.info

            await start(root, ChildSpec("a", forever))
            await root.terminate_child("a")
            assert root.count_children().specs == 0

    async def test_terminate_cancels_a_pending_restart(self) -> None:
        """F02: a child that waits to be restarted can be terminated."""
        async with DynamicSupervisor() as root:
            ref = await start(root, ChildSpec(None, forever, backoff=Backoff(min=5, max=5)))
            await settle()
            crash(ref)
            await settle()
            await root.terminate_child(ref)
            await asyncio.sleep(10)
            assert root.which_children() == []

    async def test_there_is_nothing_to_restart_or_delete(self) -> None:
        """T04: there is nothing to restart or delete where stopped children are forgotten."""
        async with Supervisor([ChildSpec("dyn", DynamicSupervisor.child())]) as root:
            ref = root.ref("dyn", DynamicSupervisor)
            with pytest.raises(TypeError):
                await ref.restart_child("a")

            with pytest.raises(TypeError):
                await ref.delete_child("a")

    async def test_zombie(self) -> None:
        """D5: a dynamic child that resists is given up and reported."""
        release = asyncio.Event()

        async def immortal() -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        async with DynamicSupervisor() as root:
            ref = await start(root, ChildSpec("it", immortal, shutdown=0.1))
            await settle()
            await root.terminate_child(ref)
            assert [zombie.id for zombie in root.zombies] == ["it"]
            assert root.which_children() == []
            release.set()
            await settle()
            assert not root.zombies

    async def test_second_cancellation_of_the_host(self) -> None:
        """Pitfall 7: it also makes the parallel stop short."""
        log: list[str] = []

        async def slow() -> None:
            try:
                await forever()
            finally:
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    log.append("cut")
                    raise

        async def host() -> None:
            async with DynamicSupervisor() as root:
                for _ in range(3):
                    await start(root, ChildSpec(None, slow, shutdown=200))

                await forever()

        task = asyncio.ensure_future(host())
        await settle()
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(1)

        assert task.cancelled()
        assert log == ["cut"] * 3

    async def test_ten_thousand(self) -> None:
        """A crowd of children starts and stops as a few do."""
        async with DynamicSupervisor() as root:
            for _ in range(10_000):
                await root.start_child(ChildSpec(None, forever))

            assert root.count_children().active == 10_000

        assert root.which_children() == []


class TestSlowRestart:
    async def test_restart_that_takes_too_long_is_tried_again(self) -> None:
        """F01: a start that exceeds its limit is a failed attempt, not the end of the child."""
        starts = 0

        async def slow(*, ready: Any) -> None:
            nonlocal starts
            starts += 1
            if starts in (1, 4):
                ready()

            await asyncio.Event().wait()

        async with DynamicSupervisor(intensity=3) as root:
            ref = await start(root, ChildSpec("it", slow, start_timeout=1.0))
            pid = crash(ref)
            await wait_restarted(ref, pid)
            assert (starts, root.count_children().active) == (4, 1)

    async def test_restarts_that_always_take_too_long_end_the_supervisor(self) -> None:
        """I04: each of them counts; a start that resists its cancellation is no exception."""
        starts = 0
        over = asyncio.Event()

        async def slow(*, ready: Any) -> None:
            nonlocal starts
            starts += 1
            if starts == 1:
                ready()

            while not over.is_set():
                try:
                    await over.wait()
                except asyncio.CancelledError:
                    if starts == 1:
                        raise

        async def burn_out() -> None:
            async with DynamicSupervisor(intensity=2, period=60.0) as root:
                crash(await start(root, ChildSpec("it", slow, start_timeout=1.0)))
                await forever()

        with pytest.raises(MaxRestartsExceeded):
            await burn_out()

        over.set()
        await settle()
        assert starts == 1 + 2

    async def test_stop_of_a_restart_that_takes_too_long(self) -> None:
        """F02: terminate_child ends it for good, also in the moment of its time limit."""
        starts = 0

        async def slow(*, ready: Any) -> None:
            nonlocal starts
            starts += 1
            if starts == 1:
                ready()

            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)

        async with DynamicSupervisor() as root:
            ref = await start(root, ChildSpec("it", slow, start_timeout=1.0))
            crash(ref)
            await asyncio.sleep(1.015)
            await root.terminate_child(ref)
            await asyncio.sleep(5)
            assert (starts, root.which_children()) == (2, [])
