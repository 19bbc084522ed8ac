"""The root and its host: cancellation, burn-out, escalation, and being forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable

import pytest

from supervision import (
    AutoShutdown,
    ChildSpec,
    MaxRestartsExceeded,
    NoProc,
    Restart,
    Shutdown,
    Supervisor,
    TaskSupervisor,
)
from supervision.testing import crash, settle, wait_until


async def forever() -> None:
    """Wait for the end."""
    await asyncio.Event().wait()


def slow_to_stop(log: list[str], seconds: float) -> Callable[[], object]:
    """Return a child whose cleanup takes a while."""

    async def body() -> None:
        try:
            await forever()
        finally:
            try:
                await asyncio.sleep(seconds)
                log.append("done")
            except asyncio.CancelledError:
                log.append("cut")
                raise

    return body


def current() -> asyncio.Task[object]:
    """Return the task we are in."""
    task = asyncio.current_task()
    assert task is not None
    return task


class TestHostCancelled:
    @pytest.mark.parametrize(("cancels", "expected"), [(1, ["done", "done"]), (2, ["done", "cut"])])
    async def test_in_the_exit(self, cancels: int, expected: list[str]) -> None:
        """Pitfall 7: the first cancellation lets the stop go on, the second makes it short."""
        log: list[str] = []

        async def host() -> None:
            specs = [ChildSpec(n, slow_to_stop(log, 1.0)) for n in range(2)]
            async with Supervisor(specs):
                await settle()

        task = asyncio.ensure_future(host())
        await asyncio.sleep(0.5)
        task.cancel()
        if cancels == 2:
            await asyncio.sleep(1.0)
            task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task

        assert log == expected

    async def test_during_the_start(self) -> None:
        """Pitfall 9: a host cancelled while the tree comes up takes it down and stays cancelled."""
        log: list[str] = []

        async def hanging(*, ready: object) -> None:
            await forever()

        async def host() -> None:
            async with Supervisor([ChildSpec(0, slow_to_stop(log, 1)), ChildSpec(1, hanging)]):
                pytest.fail("the block must not run")

        task = asyncio.ensure_future(host())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert log == ["done"]

    async def test_error_of_the_block_passes_through(self) -> None:
        """The block's own error comes out as it is, after the stop."""
        log: list[str] = []

        async def host() -> None:
            async with Supervisor([ChildSpec(0, slow_to_stop(log, 1))]):
                await settle()
                raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            await host()

        assert log == ["done"]


class TestBurnOut:
    async def test_host_count_is_as_before(self) -> None:
        """Pitfall 5, V5: afterwards the host has no cancellation pending, and can await."""

        async def host() -> None:
            async with Supervisor([ChildSpec("it", forever)], intensity=0) as root:
                await settle()
                crash(root.ref("it"))
                await forever()

        for _ in range(3):
            with pytest.raises(MaxRestartsExceeded):
                await host()

            assert current().cancelling() == 0
            await asyncio.sleep(0)

    async def test_block_that_does_not_notice(self) -> None:
        """D8f: a block that leaves before it hears of the burn-out still gets the error."""

        async def host() -> None:
            async with Supervisor([ChildSpec("it", forever)], intensity=0) as root:
                await settle()
                crash(root.ref("it"))
                with contextlib.suppress(asyncio.CancelledError):
                    await forever()

        with pytest.raises(MaxRestartsExceeded):
            await host()

        assert current().cancelling() == 0
        await asyncio.sleep(0)

    async def test_cancelled_by_both(self) -> None:
        """D8f: a host cancelled by a stranger as well gets the error and stays cancelled."""

        async def host() -> int:
            try:
                async with Supervisor([ChildSpec("it", forever)], intensity=0) as root:
                    await settle()
                    crash(root.ref("it"))
                    await forever()
            except MaxRestartsExceeded:
                return current().cancelling()

            return -1

        task = asyncio.ensure_future(host())
        await settle(3)
        await wait_until(task.cancelling)
        task.cancel()
        assert await task == 1

    async def test_requests_to_a_dead_tree(self) -> None:
        """M09: a request to a supervisor that is gone fails with NoProc."""
        async with Supervisor([ChildSpec("it", forever)]) as root:
            ref = root.ref("it")

        assert root.exit_reason == Shutdown()
        with pytest.raises(NoProc):
            await root.start_child(ChildSpec("x", forever))

        with pytest.raises(NoProc):
            await ref.wait_ready()

    async def test_transient_burn_out_is_the_end_of_it(self) -> None:
        """I06: a transient supervisor that burns out is not restarted; a permanent one is."""
        for restart, generation in ((Restart.TRANSIENT, 1), (Restart.PERMANENT, 2)):
            nested = Supervisor.child([ChildSpec("it", forever)], intensity=0)
            async with Supervisor([ChildSpec("mid", nested, restart=restart)]) as root:
                await settle()
                crash(root.ref("mid").ref("it"))
                await settle(30)
                row = root.which_children()[0]
                assert row.generation == generation
                assert (row.pid is None) == (restart is Restart.TRANSIENT)

    async def test_intensities_multiply(self) -> None:
        """I07: two levels with intensity n tolerate (n + 1)**2 - 1 crashes of a leaf."""
        crashes = 0

        async def leaf() -> None:
            nonlocal crashes
            crashes += 1
            raise ValueError(crashes)

        async def host() -> None:
            mid = Supervisor.child([ChildSpec("leaf", leaf)], intensity=2)
            async with Supervisor([ChildSpec("mid", mid)], intensity=2):
                await forever()

        with pytest.raises(MaxRestartsExceeded) as failure:
            await host()

        assert crashes == 9
        inner = failure.value.__cause__
        assert isinstance(inner, MaxRestartsExceeded)
        assert isinstance(inner.__cause__, ValueError)

    async def test_death_between_start_and_block(self) -> None:
        """D8f: a tree that dies while the host is on its way into the block still ends it."""

        async def dying() -> None:
            raise ValueError("bug")

        async def host() -> None:
            async with Supervisor([ChildSpec(n, dying) for n in range(3)], intensity=0):
                await forever()

        for _ in range(20):
            with pytest.raises(MaxRestartsExceeded):
                await host()

            assert current().cancelling() == 0


class TestAutoShutdown:
    async def test_root_that_shuts_itself_down_ends_the_block(self) -> None:
        """A01: an automatic shutdown is no error; the block ends with it."""
        reached: list[str] = []

        async def short() -> None:
            await asyncio.sleep(1)

        spec = ChildSpec("it", short, restart=Restart.TRANSIENT, significant=True)
        async with Supervisor([spec], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT) as root:
            await forever()
            reached.append("after the wait")

        assert reached == []
        assert root.exit_reason == Shutdown()
        assert current().cancelling() == 0

    async def test_termination_by_request_does_not_trigger_it(self) -> None:
        """A03: only an end of its own counts."""
        spec = ChildSpec("it", forever, restart=Restart.TRANSIENT, significant=True)
        async with Supervisor([spec], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT) as root:
            await root.terminate_child("it")
            await settle()
            assert root.alive

    async def test_it_escalates_only_through_significant_supervisors(self) -> None:
        """A04: a supervisor that shut itself down ends its parent only if it is significant."""

        async def short() -> None:
            return

        auto = AutoShutdown.ANY_SIGNIFICANT
        leaf = ChildSpec("leaf", short, restart=Restart.TRANSIENT, significant=True)
        for significant in (True, False):
            mid = ChildSpec(
                "mid",
                Supervisor.child([leaf], auto_shutdown=auto),
                restart=Restart.TRANSIENT,
                significant=significant,
            )
            async with Supervisor([mid], auto_shutdown=auto) as root:
                try:
                    await asyncio.sleep(1)
                finally:
                    assert root.alive is not significant


class TestMisuse:
    async def test_a_root_is_entered_once(self) -> None:
        """A supervisor object is one run of a supervisor."""
        root = Supervisor()
        async with root:
            pass

        with pytest.raises(RuntimeError, match="started before"):
            await root.__aenter__()

    async def test_forgotten_root_warns(self) -> None:
        """Pitfall 29: a root that is never left warns when it is collected."""
        root = TaskSupervisor(name="forgotten")
        await asyncio.ensure_future(root.__aenter__())
        process = root.process
        assert process is not None
        process.stop(1.0)
        await settle()
        assert not root.alive
        del root, process
        with pytest.warns(ResourceWarning, match="forgotten"):
            gc.collect()

    @pytest.mark.real_time
    async def test_request_from_another_loop(self) -> None:
        """Pitfall 26: a request from another event loop is refused with a clear error."""
        async with Supervisor() as root:

            async def elsewhere() -> None:
                await root.start_child(ChildSpec("it", forever))

            with pytest.raises(RuntimeError, match="another event loop"):
                await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
