"""Single tasks: awaiting, linking, ignoring, stopping."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from supervision import (
    BRUTAL_KILL,
    CallTimeout,
    ChildSpec,
    Crash,
    Exit,
    MaxChildren,
    MaxRestartsExceeded,
    NoProc,
    Ok,
    Restart,
    ServerDied,
    Shutdown,
    Supervisor,
    TaskSupervisor,
    await_many,
    yield_many,
)
from supervision.testing import settle


async def answer(seconds: float = 0.0) -> int:
    """Return 42 after a while."""
    await asyncio.sleep(seconds)
    return 42


async def fail(exc: BaseException) -> int:
    """Raise it."""
    raise exc


async def stubborn() -> None:
    """Swallow three cancellations."""
    for _ in range(3):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


class TestNoLink:
    async def test_await(self) -> None:
        """U02: the value of a task, or ServerDied with its error as the cause."""
        async with TaskSupervisor() as tasks:
            assert await tasks.async_nolink(answer, 1.0).await_() == 42
            for exc in (ValueError("bug"), SystemExit(3), KeyboardInterrupt()):
                with pytest.raises(ServerDied) as death:
                    await tasks.async_nolink(fail, exc).await_()

                assert death.value.reason == Crash(exc)
                assert death.value.__cause__ is exc

    async def test_await_gives_up(self) -> None:
        """U03: an await that takes too long fails; the task goes on and its value is lost."""
        async with TaskSupervisor() as tasks:
            task = tasks.async_nolink(answer, 10.0)
            with pytest.raises(CallTimeout):
                await task.await_(1.0)

            assert tasks.child_count() == 1
            await asyncio.sleep(10)
            assert tasks.child_count() == 0

    async def test_yield(self) -> None:
        """U04: yield tells how it ended, or None while it runs."""
        async with TaskSupervisor() as tasks:
            task = tasks.async_nolink(answer, 2.0)
            assert await task.yield_(1.0) is None
            assert await task.yield_(2.0) == Ok(42)
            exc = ValueError("bug")
            assert await tasks.async_nolink(fail, exc).yield_() == Exit(Crash(exc))

    async def test_cancelled_waiter_leaves_the_task_alone(self) -> None:
        """Pitfall 24: to be cancelled while waiting does not cancel what one waits for."""
        async with TaskSupervisor() as tasks:
            seen: list[object] = []

            async def waiter() -> None:
                task = tasks.async_nolink(answer, 2.0)
                try:
                    await task.await_()
                except asyncio.CancelledError:
                    seen.append(await task.yield_(5))

            waiting = asyncio.ensure_future(waiter())
            await settle()
            waiting.cancel()
            await waiting
            assert seen == [Ok(42)]

    async def test_shutdown(self) -> None:
        """U04: None if it stopped for us, its outcome if it was first, killed if it resisted."""
        async with TaskSupervisor() as tasks:
            assert await tasks.async_nolink(answer, 9.0).shutdown() is None
            assert await tasks.async_nolink(answer, 9.0).shutdown(BRUTAL_KILL) is None
            done = tasks.async_nolink(answer)
            await settle()
            assert await done.shutdown() == Ok(42)
            resisting = tasks.async_nolink(stubborn)
            await settle()
            assert await resisting.shutdown(0.1) == Ok(None)

    async def test_ignore(self) -> None:
        """U04: an ignored task goes on."""
        async with TaskSupervisor() as tasks:
            task = tasks.async_nolink(answer, 1.0)
            assert task.ignore() is None
            await asyncio.sleep(2)
            assert await task.yield_() == Ok(42)

    async def test_only_the_owner_may_wait(self) -> None:
        """U01: only the task that started it may await it."""
        async with TaskSupervisor() as tasks:
            task = tasks.async_nolink(answer)
            with pytest.raises(ValueError, match="another task"):
                await asyncio.ensure_future(task.await_())

    async def test_max_children(self) -> None:
        """U06: no more than max_children run; the error is a RuntimeError too."""
        async with TaskSupervisor(max_children=1) as tasks:
            task = tasks.async_nolink(answer, 1.0)
            with pytest.raises(MaxChildren):
                tasks.async_nolink(answer)

            with pytest.raises(RuntimeError):
                await anext(tasks.async_stream(fail, [ValueError()]))

            await task.await_()
            assert await tasks.async_nolink(answer).await_() == 42

    async def test_context_of_the_caller(self) -> None:
        """U06: a task sees the context of its caller, in every form."""
        var = contextvars.ContextVar("var", default="none")
        seen: list[str] = []

        async def read(_: object = None) -> None:
            seen.append(var.get())

        async with TaskSupervisor() as tasks:
            var.set("caller")
            await tasks.async_nolink(read).await_()
            await tasks.start_child(read)
            await settle()
            async for _ in tasks.async_stream(read, [1]):
                pass

        assert seen == ["caller"] * 3


class TestMany:
    async def test_values_in_order(self) -> None:
        """U05: await_many gives the values in the order of the tasks."""
        async with TaskSupervisor() as tasks:
            started = [tasks.async_nolink(answer, float(3 - n)) for n in range(3)]
            assert await await_many(started) == [42] * 3
            assert await await_many([]) == []

    async def test_first_failure_is_told_at_once(self) -> None:
        """U05: await_many fails as soon as one of them does; the others go on."""
        loop = asyncio.get_running_loop()
        async with TaskSupervisor() as tasks:
            began = loop.time()
            started = [tasks.async_nolink(answer, 9.0), tasks.async_nolink(fail, ValueError())]
            with pytest.raises(ServerDied):
                await await_many(started)

            assert loop.time() == began
            assert tasks.child_count() == 1
            with pytest.raises(CallTimeout):
                await await_many(started[:1], 1.0)

            with pytest.raises(ValueError, match="another task"):
                await asyncio.ensure_future(await_many(started))

    @pytest.mark.parametrize(
        ("on_timeout", "left"), [("nothing", 1), ("ignore", 1), ("kill_task", 0)]
    )
    async def test_yield(self, on_timeout: Any, left: int) -> None:
        """U05: yield_many tells how each ended, and what becomes of those that have not."""
        async with TaskSupervisor() as tasks:
            bug = ValueError()
            started = [
                tasks.async_nolink(answer, 1.0),
                tasks.async_nolink(fail, bug),
                tasks.async_nolink(answer, 99.0),
            ]
            pairs = await yield_many(started, 2.0, on_timeout=on_timeout)
            assert [outcome for _, outcome in pairs] == [Ok(42), Exit(Crash(bug)), None]
            assert tasks.child_count() == left

    async def test_limit(self) -> None:
        """U05: yield_many returns when `limit` of them are done."""
        loop = asyncio.get_running_loop()
        async with TaskSupervisor() as tasks:
            started = [tasks.async_nolink(answer, float(n)) for n in range(1, 5)]
            began = loop.time()
            pairs = await yield_many(started, 99.0, limit=2)
            assert loop.time() - began == pytest.approx(2.0)
            assert sum(outcome is not None for _, outcome in pairs) == 2


class TestLink:
    async def test_crash_takes_the_owner(self) -> None:
        """U01: a linked task that crashes cancels its owner."""
        async with TaskSupervisor() as tasks:

            async def owner() -> None:
                tasks.async_(fail, ValueError("bug"))
                await asyncio.Event().wait()

            with pytest.raises(asyncio.CancelledError, match="bug"):
                await asyncio.ensure_future(owner())

    async def test_owner_that_awaits_gets_the_error(self) -> None:
        """U01, U03: an owner that awaits gets the crash there."""
        async with TaskSupervisor() as tasks:
            with pytest.raises(ServerDied):
                await tasks.async_(fail, ValueError("bug")).await_()

            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

    async def test_end_of_the_owner_ends_the_task(self) -> None:
        """U01: when the owner ends, its linked tasks are stopped."""
        async with TaskSupervisor() as tasks:

            async def owner() -> None:
                tasks.async_(answer, 100.0)
                tasks.async_(answer, 100.0).ignore()
                tasks.async_nolink(answer, 100.0)

            await asyncio.ensure_future(owner())
            await settle()
            assert tasks.child_count() == 2


class TestStartChild:
    async def test_temporary_by_default(self) -> None:
        """U02: fire and forget; a crash is reported and not restarted, unless asked for."""
        runs: list[str] = []
        events: list[Any] = []

        async def work(name: str) -> None:
            runs.append(name)
            if runs.count(name) == 1:
                raise ValueError

        async with TaskSupervisor() as tasks:
            terminated = ("supervisor", "child", "terminated")
            tasks.telemetry.attach("t", terminated, lambda *args: events.append(args))
            await tasks.start_child(work, "x")
            await tasks.start_child(work, "t", restart=Restart.TRANSIENT)
            await settle()

        assert runs == ["x", "t", "t"]
        assert len(events) == 2

    async def test_restarted_too_often(self) -> None:
        """I06: tasks that are restarted count in the intensity of their supervisor."""

        async def host() -> None:
            async with TaskSupervisor(intensity=1) as tasks:
                await tasks.start_child(fail, ValueError(), restart=Restart.PERMANENT)
                await asyncio.Event().wait()

        with pytest.raises(MaxRestartsExceeded):
            await host()


class TestEnd:
    async def test_everything_ends_in_one_window(self) -> None:
        """U06: at the end all that runs gets the same `shutdown` seconds at the same time."""
        ended = 0

        async def slow(_: object = None) -> None:
            nonlocal ended
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(1)
                ended += 1

        loop = asyncio.get_running_loop()
        outcomes: list[object] = []

        async def consume(tasks: TaskSupervisor) -> None:
            try:
                stream = tasks.async_stream(slow, range(5), max_concurrency=3, timeout=None)
                while True:
                    outcomes.append(await anext(stream))
            except NoProc:
                outcomes.append("over")

        async with TaskSupervisor(shutdown=2.0) as tasks:
            for _ in range(3):
                tasks.async_nolink(slow)

            await tasks.start_child(slow)
            consumer = asyncio.ensure_future(consume(tasks))
            await settle()
            began = loop.time()

        assert loop.time() - began == pytest.approx(1.0)
        await consumer
        assert ended == 3 + 1 + 3
        assert outcomes == [Exit(Shutdown(), None, 0), "over"]

    async def test_resisting_task_becomes_a_zombie(self) -> None:
        """D5: a task that swallows every cancellation is given up."""
        release = asyncio.Event()

        async def immortal() -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        async with TaskSupervisor(shutdown=0.1) as tasks:
            tree = tasks.tree_context
            tasks.async_nolink(immortal)
            await settle()

        assert len(tree.zombies) == 1
        release.set()
        await settle()
        assert tree.zombies == set()


class TestEdges:
    """What hardly ever happens, and must be right when it does."""

    async def test_refs_forward(self) -> None:
        """U02: a ref to a task supervisor does what that does."""
        seen: list[int] = []

        async def note() -> int:
            seen.append(1)
            return 1

        async with Supervisor([ChildSpec("tasks", TaskSupervisor.child())]) as root:
            tasks = root.ref("tasks", TaskSupervisor)
            await tasks.start_child(note)
            assert await tasks.async_nolink(note).await_() == 1
            assert await tasks.async_(note).await_() == 1
            assert [result async for result in tasks.async_stream(answer, [0.0])] == [Ok(42)]
            assert seen == [1, 1, 1]

    async def test_supervisor_that_is_killed_kills_its_work(self) -> None:
        """T05: a task supervisor without time to stop gives its work none either."""
        async with Supervisor(
            [ChildSpec("tasks", TaskSupervisor.child(), shutdown=BRUTAL_KILL)]
        ) as root:
            tasks = root.ref("tasks", TaskSupervisor)
            single = tasks.async_nolink(stubborn)
            stream = aiter(tasks.async_stream(lambda _: stubborn(), [1, 2], timeout=None))
            first = asyncio.ensure_future(anext(stream))
            await settle()
            assert single.outcome is None
            await root.terminate_child("tasks")
            assert root.zombies == ()
            # They gave in after three cancellations, so their ends are those of work that returned.
            assert isinstance(single.outcome, Ok)
            await asyncio.gather(first, return_exceptions=True)

    async def test_somebody_else_s_timeout(self) -> None:
        """U03: a time limit around a wait is not taken for that of the wait."""
        async with TaskSupervisor() as tasks:
            work = [tasks.async_nolink(answer, 10.0) for _ in range(2)]
            for wait in (work[0].yield_(100.0), await_many(work, 100.0), yield_many(work, 100.0)):
                with pytest.raises(TimeoutError) as caught:
                    async with asyncio.timeout(0.1):
                        await wait

                assert not isinstance(caught.value, CallTimeout)

    async def test_many_too_slow(self) -> None:
        """U05: await_many has one limit for all; yield_many may end or ignore the late ones."""
        async with TaskSupervisor() as tasks:
            work = [tasks.async_nolink(answer, seconds) for seconds in (0.1, 10.0)]
            with pytest.raises(CallTimeout, match="2 tasks"):
                await await_many(work, 1.0)

            assert await await_many([]) == []
            kept, late = await yield_many(work, 1.0, on_timeout="ignore")
            assert kept[1] == Ok(42)
            assert late[1] is None
            ((ended, outcome),) = await yield_many([late[0]], 0.1, on_timeout="kill_task")
            assert outcome is None
            assert isinstance(ended.outcome, Exit)

    async def test_shutdown_of_what_is_over(self) -> None:
        """U04: work that has ended keeps its outcome, whatever is asked of it."""
        async with TaskSupervisor() as tasks:
            work = tasks.async_nolink(answer)
            await settle()
            work.kill()
            work.stop(Shutdown(), 1.0)
            assert await work.shutdown() == Ok(42)
            assert "Ok" in repr(work)
