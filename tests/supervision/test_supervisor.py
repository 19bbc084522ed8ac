"""Static supervisors: start, restart, stop, and the requests about children."""

from __future__ import annotations

import asyncio

import pytest

from supervision import (
    BRUTAL_KILL,
    AlreadyPresent,
    AlreadyStarted,
    ChildSpec,
    MaxRestartsExceeded,
    NoProc,
    NotFound,
    Restart,
    Running,
    StartFailed,
    Strategy,
    Supervisor,
)
from supervision.testing import crash, wait_restarted, wait_until


class Log:
    """What happened, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def child(self, id: str, **options: object) -> ChildSpec:
        """Return a child that notes its start and its stop."""

        async def body(*, ready: object) -> None:
            self.events.append(f"+{id}")
            ready(id)  # type: ignore[operator]
            try:
                await asyncio.Event().wait()
            finally:
                self.events.append(f"-{id}")

        return ChildSpec(id, body, **options)  # type: ignore[arg-type]


async def test_starts_in_order_and_stops_in_reverse() -> None:
    """S04, S05, K01: all children are up, in list order, and stop in exact reverse order."""
    log = Log()
    async with Supervisor([log.child("a"), log.child("b"), log.child("c")], name="root") as root:
        assert root.count_children().active == 3

    assert log.events == ["+a", "+b", "+c", "-c", "-b", "-a"]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.ONE_FOR_ONE, ["-b", "+b"]),
        (Strategy.REST_FOR_ONE, ["-b", "-c", "+b", "+c"]),
        (Strategy.ONE_FOR_ALL, ["-b", "-c", "-a", "+a", "+b", "+c"]),
    ],
)
async def test_strategy_decides_who_restarts(strategy: Strategy, expected: list[str]) -> None:
    """T01, T02, T03: the strategy decides who is restarted, and in which order."""
    log = Log()
    specs = [log.child("a"), log.child("b"), log.child("c")]
    async with Supervisor(specs, strategy=strategy, name="root") as root:
        log.events.clear()
        pid = crash(root.ref("b"))
        await wait_restarted(root.ref("b"), pid)
        await root.ref("c").wait_ready()
        assert log.events == expected


async def test_burnt_out_root_raises_last_crash() -> None:
    """I01, I06, D8f: the restart after the last allowed one ends the root, with the cause."""
    log = Log()

    async def host() -> None:
        async with Supervisor([log.child("a"), log.child("b")], intensity=2, name="root") as root:
            for _ in range(2):
                pid = crash(root.ref("b"))
                await wait_restarted(root.ref("b"), pid)

            crash(root.ref("b"), ValueError("last"))
            await asyncio.Event().wait()

    with pytest.raises(MaxRestartsExceeded) as failure:
        await host()

    assert isinstance(failure.value.__cause__, ValueError)
    assert log.events[-1] == "-a"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_failed_start_rolls_back() -> None:
    """S06: a child that fails to start takes those before it down, in reverse order."""
    log = Log()

    async def broken(*, ready: object) -> None:
        raise OSError("no disk")

    specs = [log.child("a"), log.child("b"), ChildSpec("broken", broken), log.child("c")]
    with pytest.raises(StartFailed) as failure:
        async with Supervisor(specs, name="root"):
            pytest.fail("the block must not run")

    assert failure.value.child == "broken"
    assert isinstance(failure.value.__cause__, OSError)
    assert log.events == ["+a", "+b", "-b", "-a"]


async def test_always_failing_restart_runs_exactly_intensity_times() -> None:
    """I04: with intensity N and a start that always fails, the start runs exactly N more times."""
    starts = 0

    async def flaky(*, ready: object) -> None:
        nonlocal starts
        starts += 1
        if starts > 1:
            raise OSError("gone")

        ready()  # type: ignore[operator]
        await asyncio.Event().wait()

    async def host() -> None:
        async with Supervisor([ChildSpec("flaky", flaky)], intensity=4, name="root") as root:
            crash(root.ref("flaky"))
            await asyncio.Event().wait()

    with pytest.raises(MaxRestartsExceeded) as failure:
        await host()

    assert starts == 1 + 4
    assert isinstance(failure.value.__cause__, OSError)


async def test_requests_about_children() -> None:
    """M01, M02, M04, M05: start, terminate, restart and delete answer as OTP does."""
    log = Log()
    async with Supervisor([log.child("a")], name="root") as root:
        with pytest.raises(AlreadyStarted):
            await root.start_child(log.child("a"))

        with pytest.raises(Running):
            await root.delete_child("a")

        ref = root.ref("a")
        assert ref.info == "a"
        await root.terminate_child("a")
        await root.terminate_child("a")
        with pytest.raises(NoProc):
            _ = ref.info

        with pytest.raises(AlreadyPresent):
            await root.start_child(log.child("a"))

        await root.restart_child("a")
        assert ref.info == "a"
        await root.terminate_child("a")
        await root.delete_child("a")
        with pytest.raises(NotFound):
            await root.restart_child("a")

        await root.start_child(log.child("a", restart=Restart.TEMPORARY))
        assert ref.info == "a"


async def test_what_is_not_counted() -> None:
    """I05: starts, terminations and restarts by request do not count as restarts."""
    log = Log()
    async with Supervisor([log.child("a")], intensity=0, name="root") as root:
        for _ in range(5):
            await root.terminate_child("a")
            await root.restart_child("a")
            await root.start_child(log.child("b", restart=Restart.TEMPORARY))
            crash(root.ref("b"))
            await wait_until(lambda: root.find_slot("b") is None)

        assert root.alive


async def test_looking_at_children() -> None:
    """M06, M07, M08: rows in start order, counts that follow from them, and full specs."""
    log = Log()
    nested = ChildSpec("mid", Supervisor.child())
    async with Supervisor([log.child("a"), nested, log.child("b")], name="root") as root:
        await root.terminate_child("b")
        rows = [(row.id, row.type, row.state.value) for row in root.which_children()]
        assert rows == [
            ("a", "worker", "running"),
            ("mid", "supervisor", "running"),
            ("b", "worker", "undefined"),
        ]
        counts = root.count_children()
        assert (counts.specs, counts.active) == (3, 2)
        assert (counts.supervisors, counts.workers) == (1, 2)
        assert root.get_childspec("a").shutdown == 5.0
        with pytest.raises(NotFound):
            root.get_childspec("c")


async def test_end_of_a_supervisor_takes_its_children() -> None:
    """K06: a supervisor that is stopped, even without grace, leaves no child behind."""
    log = Log()
    for shutdown in (5.0, BRUTAL_KILL):
        mid = Supervisor.child([log.child("a"), log.child("b")])
        async with Supervisor([ChildSpec("mid", mid, shutdown=shutdown)], name="root") as root:
            log.events.clear()
            await root.terminate_child("mid")
            assert log.events == ["-b", "-a"]


async def test_nested_tree_survives_the_restart_of_its_middle() -> None:
    """D12: a ref through a nested supervisor outlives that supervisor."""
    log = Log()
    specs = [ChildSpec("mid", Supervisor.child([log.child("leaf")], intensity=0))]
    async with Supervisor(specs, name="root") as root:
        leaf = root.ref("mid").ref("leaf")
        mid = root.ref("mid")
        before = mid.pid
        crash(leaf)
        await wait_restarted(mid, before)
        assert await leaf.wait_ready(1.0) == "leaf"
        assert root.tree().splitlines()[0] == "root"


async def test_host_cancelled_in_the_block_stops_in_order() -> None:
    """Pitfall 7: a cancelled host stops the tree in order and stays cancelled."""
    log = Log()
    entered = asyncio.Event()

    async def host() -> None:
        async with Supervisor([log.child("a"), log.child("b")], name="root"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(host())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log.events == ["+a", "+b", "-b", "-a"]


async def test_system_exit_in_a_leaf_stops_the_tree_and_leaves_it() -> None:
    """Pitfall 12: sys.exit in a leaf runs the finalizers in reverse order and comes out."""
    log = Log()
    specs = [log.child("a"), ChildSpec("mid", Supervisor.child([log.child("b"), log.child("c")]))]

    async def host() -> None:
        async with Supervisor(specs, name="root") as root:
            crash(root.ref("mid").ref("b"), SystemExit(3))
            await asyncio.Event().wait()

    with pytest.raises(SystemExit) as exit_:
        await host()

    assert exit_.value.code == 3
    assert log.events[-3:] == ["-b", "-c", "-a"]
