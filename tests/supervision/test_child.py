"""One incarnation: its start in all its forms, its stop and what resists it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from supervision import (
    BRUTAL_KILL,
    CallingSelf,
    Child,
    ChildSpec,
    Crash,
    Down,
    DynamicSupervisor,
    Ignore,
    Killed,
    NoProc,
    Normal,
    Restart,
    Service,
    Shutdown,
    StartFailed,
    State,
    Stop,
    Supervisor,
    TimedOut,
)
from supervision.child import CURRENT
from supervision.testing import crash, settle, wait_restarted, wait_until

Ready = Callable[..., None]


async def forever() -> None:
    """Wait for the end."""
    await asyncio.Event().wait()


def stubborn(cancels: int, ended: list[str]) -> Callable[[], Any]:
    """Return a child that swallows that many cancellations."""

    async def body() -> None:
        left = cancels
        while left:
            try:
                await forever()
            except asyncio.CancelledError:
                left -= 1

        ended.append("gave in")

    return body


class TestStart:
    async def test_coroutine_without_ready_is_up_at_once(self) -> None:
        """D3: a coroutine that takes no `ready` is up when it is created."""
        async with Supervisor([ChildSpec("it", forever)]) as root:
            assert root.ref("it").info is None

    async def test_coroutine_with_ready_is_up_when_it_says_so(self) -> None:
        """C10, C11, S04: the start waits for `ready`; its value is the info of the ref."""
        order: list[str] = []

        async def slow(*, ready: Ready) -> None:
            await asyncio.sleep(1)
            order.append("slow")
            ready({"port": 80})
            await forever()

        async def next_one() -> None:
            order.append("next")

        specs = [ChildSpec("slow", slow), ChildSpec("next", next_one, restart=Restart.TEMPORARY)]
        async with Supervisor(specs) as root:
            assert root.ref("slow").info == {"port": 80}
            await settle()

        assert order == ["slow", "next"]

    async def test_context_manager_is_entered_and_left_in_one_task(self) -> None:
        """Pitfall 19: a resource bound to its task (anyio) can be stopped from another, often."""
        entered = left = 0

        @asynccontextmanager
        async def resource() -> AsyncIterator[str]:
            nonlocal entered, left
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                entered += 1
                try:
                    yield "handle"
                finally:
                    left += 1
                    group.cancel_scope.cancel()

        async with Supervisor([ChildSpec("it", resource)]) as root:
            for _ in range(100):
                assert root.ref("it").info == "handle"
                await root.terminate_child("it")
                await root.restart_child("it")

        assert (entered, left) == (101, 101)

    async def test_wrong_start_value_fails_the_start(self) -> None:
        """C10: a start that returns something else is an error with that value."""
        with pytest.raises(StartFailed, match="42"):
            async with Supervisor([ChildSpec("it", lambda: 42)]):
                pytest.fail("the block must not run")

    async def test_ignored_start(self) -> None:
        """C12: a start that is ignored is no failure; a temporary child leaves nothing behind."""

        async def unwilling(*, ready: Ready) -> None:
            raise Ignore

        async with Supervisor([ChildSpec("p", unwilling)]) as root:
            spec = ChildSpec("x", unwilling, restart=Restart.TEMPORARY)
            assert await root.start_child(spec) is None
            rows = [(row.id, row.state) for row in root.which_children()]
            assert rows == [("p", State.UNDEFINED)]
            assert await root.restart_child("p") is None

    async def test_start_timeout(self) -> None:
        """G01: a start that takes too long is ended, fails, and is over when it has failed."""
        ended: list[str] = []

        async def slow(*, ready: Ready) -> None:
            try:
                await asyncio.sleep(100)
            finally:
                ended.append("it")

        async with Supervisor() as root:
            with pytest.raises(StartFailed) as failure:
                await root.start_child(ChildSpec("it", slow, start_timeout=1.0))

            assert failure.value.reason == TimedOut(1.0)
            assert ended == ["it"]
            assert root.which_children() == []

    async def test_ready_that_comes_too_late(self) -> None:
        """G01: a child that says it is ready when its start was given up has failed to start."""

        async def late(*, ready: Ready) -> None:
            try:
                await forever()
            finally:
                ready("late")

        async with Supervisor() as root:
            with pytest.raises(StartFailed) as failure:
                await root.start_child(ChildSpec("it", late, start_timeout=1.0))

            assert failure.value.reason == TimedOut(1.0)
            start = asyncio.ensure_future(root.start_child(ChildSpec("it", late)))
            await settle()
            await root.terminate_child("it")
            with pytest.raises(StartFailed):
                await start

            assert root.which_children() == []

    async def test_return_before_ready_fails_the_start(self) -> None:
        """C10: a child that returns before it was ready did not come up."""

        async def hasty(*, ready: Ready) -> None:
            return

        async with Supervisor() as root:
            with pytest.raises(StartFailed) as failure:
                await root.start_child(ChildSpec("it", hasty))

            assert failure.value.reason == Normal()

    async def test_ready_twice_is_an_error(self) -> None:
        """Ready is said once; the second time is a bug of the child."""

        async def eager(*, ready: Ready) -> None:
            ready()
            ready()

        downs: list[Down] = []
        async with Supervisor() as root:
            ref = await root.start_child(ChildSpec("it", eager, restart=Restart.TEMPORARY))
            assert ref is not None
            ref.monitor(downs.append)
            await settle()

        assert len(downs) == 1

    async def test_arguments_of_a_temporary_child_are_not_kept(self) -> None:
        """C13: the spec of a temporary child lets go of its arguments once it is up."""

        class Big:
            pass

        async def short(big: Big, *, ready: Ready) -> None:
            del big
            ready()
            await forever()

        big = Big()
        gone = weakref.ref(big)
        async with Supervisor() as root:
            spec = ChildSpec("it", short, args=(big,), restart=Restart.TEMPORARY)
            await root.start_child(spec)
            assert root.get_childspec("it").args == ()
            del spec, big
            await settle()
            gc.collect()
            assert gone() is None

    async def test_init_that_calls_its_own_supervisor_is_refused(self) -> None:
        """M10: what OTP lets deadlock raises here, also from below a nested supervisor."""

        async def naughty(root: list[Supervisor], *, ready: Ready) -> None:
            await root[0].terminate_child("other")

        async def starting(root: list[Supervisor]) -> None:
            async with Supervisor([ChildSpec("other", forever)]) as it:
                root.append(it)
                await it.start_child(ChildSpec("naughty", naughty, args=(root,)))

        with pytest.raises(StartFailed) as failure:
            await starting([])

        assert isinstance(failure.value.__cause__, CallingSelf)

    async def test_context_is_the_base_context_at_each_start(self) -> None:
        """Pitfall 17: every start sees the tree's context, not the caller's or a forerunner's."""
        var = contextvars.ContextVar("var", default="none")
        seen: list[str] = []

        async def body(*, ready: Ready) -> None:
            seen.append(var.get())
            var.set("child")
            ready()
            await forever()

        var.set("base")
        async with Supervisor() as root:
            var.set("caller")
            ref = await root.start_child(ChildSpec("it", body))
            assert ref is not None
            for _ in range(2):
                await wait_restarted(ref, crash(ref))

        assert seen == ["base"] * 3

    async def test_cancelled_before_its_first_step(self) -> None:
        """Pitfall 8: a child that never ran leaves a consistent table and no warning."""
        ran: list[str] = []

        async def body() -> None:
            ran.append("it")

        async with DynamicSupervisor() as root:
            ref = await root.start_child(ChildSpec("it", body))
            await root.terminate_child(ref)
            assert root.which_children() == []

        assert ran == []


class TestStop:
    async def test_cleanup_that_awaits_is_cut_only_at_the_deadline(self) -> None:
        """Pitfall 2, K02: one cancellation at the start of a stop, the next at the deadline."""
        for shutdown, expected in ((1.0, ["done"]), (0.01, ["cut"])):
            log: list[str] = []

            async def body(log: list[str]) -> None:
                try:
                    await forever()
                finally:
                    try:
                        await asyncio.sleep(0.05)
                        log.append("done")
                    except asyncio.CancelledError:
                        log.append("cut")
                        raise

            async with Supervisor([ChildSpec("it", body, args=(log,), shutdown=shutdown)]):
                await settle()

            assert log == expected

    @pytest.mark.parametrize("shutdown", [0.1, 0, BRUTAL_KILL])
    async def test_swallowed_cancellation_is_repeated(self, shutdown: Any) -> None:
        """Pitfall 1, D5: after its deadline a child is cancelled up to five more times."""
        ended: list[str] = []
        spec = ChildSpec("it", stubborn(5, ended), shutdown=shutdown)
        async with Supervisor([spec]) as root:
            await settle()
            tree = root.tree_context

        assert ended == ["gave in"]
        assert tree.zombies == set()

    async def test_zombie_is_given_up_and_does_not_block_siblings(self) -> None:
        """Pitfall 1, D5: what resists for ever is given up, counted, and forgotten when it ends."""
        ended: list[str] = []
        release = asyncio.Event()

        async def immortal() -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        async def polite() -> None:
            try:
                await forever()
            finally:
                ended.append("polite")

        specs = [ChildSpec("polite", polite), ChildSpec("immortal", immortal, shutdown=0.1)]
        loop = asyncio.get_running_loop()
        events: list[object] = []
        async with Supervisor(specs) as root:
            root.telemetry.attach(
                "z", ("supervisor", "child", "zombie"), lambda *args: events.append(args)
            )
            downs: list[Down] = []
            root.ref("immortal").monitor(downs.append)
            tree = root.tree_context
            await settle()
            began = loop.time()

        assert loop.time() - began == pytest.approx(0.1 + 6 * 0.05)
        assert ended == ["polite"]
        assert [down.reason for down in downs] == [Killed()]
        assert (len(events), len(tree.zombies)) == (1, 1)
        release.set()
        await settle()
        assert tree.zombies == set()

    async def test_replacement_of_a_zombie(self) -> None:
        """Pitfall 1: a zombie and its replacement coexist, told apart by their generation."""
        release = asyncio.Event()

        async def immortal(*, ready: Ready) -> None:
            ready()
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        async with Supervisor([ChildSpec("it", immortal, shutdown=BRUTAL_KILL)]) as root:
            await root.terminate_child("it")
            await root.restart_child("it")
            assert root.ref("it").slot.generation == 2
            assert [zombie.id for zombie in root.zombies] == ["it"]
            release.set()
            await settle()

    async def test_hanging_start_can_be_stopped(self) -> None:
        """Pitfall 9, D8b: neither the stop of the tree nor terminate waits for a hanging start."""

        async def hanging(*, ready: Ready) -> None:
            await forever()

        loop = asyncio.get_running_loop()
        began = loop.time()
        async with Supervisor() as root:
            start = asyncio.ensure_future(root.start_child(ChildSpec("it", hanging)))
            await settle()
            assert root.which_children()[0].state == State.STARTING
            await root.terminate_child("it")
            with pytest.raises(StartFailed):
                await start

            start = asyncio.ensure_future(root.start_child(ChildSpec("it", hanging)))
            await settle()

        with pytest.raises(NoProc):
            await start

        assert loop.time() - began < 0.5

    @pytest.mark.parametrize(
        ("end", "reason"),
        [
            ("ours", Shutdown()),
            ("stranger", Killed()),
            ("itself", Killed()),
            ("leaked", Killed()),
            ("stop", Shutdown("enough")),
            ("return", Normal()),
            ("group", Crash),
        ],
    )
    async def test_which_end_is_it(self, end: str, reason: Any) -> None:
        """Pitfalls 4 and 16: only a cancellation by its supervisor is a shutdown."""
        inner: list[asyncio.Task[Any]] = []
        go = asyncio.Event()

        async def body() -> None:
            if end == "group":
                await go.wait()
                async with asyncio.TaskGroup() as group:
                    group.create_task(fail())

            await (go if end in ("itself", "stop", "return") else asyncio.Event()).wait()
            if end == "itself":
                raise asyncio.CancelledError

            if end == "stop":
                raise Stop(Shutdown("enough"))

        async def leaking() -> None:
            inner.append(asyncio.ensure_future(forever()))
            await inner[0]

        async def fail() -> None:
            raise ValueError

        downs: list[Down] = []
        start = leaking if end == "leaked" else body
        spec = ChildSpec("it", start, restart=Restart.TEMPORARY)
        async with Supervisor([spec]) as root:
            root.ref("it").monitor(downs.append)
            task = root.ref("it").slot.current().task
            assert task is not None
            await settle()
            go.set()
            if end == "stranger":
                task.cancel()
            elif end == "leaked":
                inner[0].cancel()

            await settle()

        got = downs[0].reason
        assert isinstance(got, Crash) if reason is Crash else got == reason


class TestMemory:
    async def test_crashes_keep_nothing_alive(self) -> None:
        """Pitfall 11: neither the table nor a reference cycle keeps what a crashed child held."""

        class Big:
            pass

        refs: list[weakref.ref[Big]] = []

        async def body(*, ready: Ready) -> None:
            big = Big()
            refs.append(weakref.ref(big))
            ready()
            await asyncio.sleep(0)
            if len(refs) <= 50:
                raise ValueError(str(big))

            await forever()

        gc.collect()
        gc.disable()
        try:
            async with Supervisor([ChildSpec("it", body)], intensity=100) as root:
                await wait_until(lambda: len(refs) > 50)
                await settle()
                assert [ref() for ref in refs[:-1]] == [None] * 50
                assert len(refs) == 51
                assert len(root.ref("it").slot.history or ()) == 16
        finally:
            gc.enable()

    async def test_children_survive_the_garbage_collector(self) -> None:
        """Pitfall 10: the table holds its tasks; the loop alone would not."""
        async with Supervisor([ChildSpec(n, forever) for n in range(200)]) as root:
            await settle()
            gc.collect()
            await settle()
            assert root.count_children().active == 200


class TestEdges:
    """What hardly ever happens, and must be right when it does."""

    async def test_service_says_what_it_lacks(self) -> None:
        """A service that does not say how it serves is a mistake, and crashes at once."""

        class Nothing(Service):
            pass

        with pytest.raises(StartFailed) as failed:
            async with Supervisor([ChildSpec("it", Nothing)]):
                pass

        assert isinstance(failed.value.__cause__, NotImplementedError)
        assert not Nothing().outlives_cancel()

    async def test_ready_of_a_child_whose_start_was_given_up(self) -> None:
        """G01: to become ready after one was told to stop is no start."""

        async def late(*, ready: Any) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ready()
                raise

        async with Supervisor() as root:
            spec = ChildSpec("it", late, start_timeout=0.1)
            with pytest.raises(StartFailed, match="timed out"):
                await root.start_child(spec)

    async def test_class_without_a_signature(self) -> None:
        """C10: what cannot be asked for its parameters is started without `ready`."""
        async with Supervisor() as root:
            with pytest.raises(StartFailed) as failed:
                await root.start_child(ChildSpec("it", type))

            assert isinstance(failed.value.__cause__, TypeError)

    async def test_representation(self) -> None:
        """A child tells what it is and where it stands."""
        seen: list[str] = []

        async def child(*, ready: Any) -> None:
            me = CURRENT.get()
            assert me is not None
            seen.append(repr(me))
            ready()
            seen.append(repr(me))
            CHILDREN.append(me)

        async with Supervisor([ChildSpec("it", child, restart=Restart.TEMPORARY)], name="r"):
            await settle()

        (me,) = CHILDREN
        CHILDREN.clear()
        assert [text.split()[-1] for text in (*seen, repr(me))] == ["starting>", "up>", "over>"]
        me.stop(1.0)
        assert not me.ask_to_stop()
        with pytest.raises(RuntimeError, match="twice"):
            me.ready(None)


CHILDREN: list[Child] = []
