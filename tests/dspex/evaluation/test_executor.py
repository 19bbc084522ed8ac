"""The executor: so many at a time, each job its own result, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dspex import effects
from dspex.evaluation.executor import LocalExecutor, open_runtime
from supervision.job import Exit, Ok
from supervision.reasons import Crash, TimedOut
from supervision.task import TaskSupervisor
from supervision.telemetry import Bus

pytestmark = pytest.mark.virtual_time


async def results(work: Any, jobs: Any, **options: Any) -> list[Any]:
    """Run jobs to the end."""
    settings = {"max_concurrency": 4, "timeout_s": None, **options}
    async with LocalExecutor().run(work, jobs, **settings) as stream:
        return [result async for result in stream]


class TestLocalExecutor:
    async def test_all_results_as_they_come(self) -> None:
        """The quick overtake the slow."""

        async def work(delay_s: float) -> float:
            await asyncio.sleep(delay_s)
            return delay_s

        values = [result.value for result in await results(work, [3, 1, 2])]
        assert values == [1, 2, 3]

    async def test_bound_and_lazy_input(self) -> None:
        """No more run at a time than asked for, and no job is pulled before there is room."""
        running = pulled = most = 0

        def jobs() -> Any:
            nonlocal pulled
            for number in range(20):
                pulled += 1
                yield number

        async def work(number: int) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            assert pulled <= number + 5
            await asyncio.sleep(1)
            running -= 1
            return number

        assert len(await results(work, jobs())) == 20
        assert most == 4

    @pytest.mark.parametrize("error", [ValueError(), SystemExit(2), KeyboardInterrupt()])
    async def test_crash_is_the_job_s_own(self, error: BaseException) -> None:
        """A job that raises, whatever it raises, gives an exit with its input."""

        async def work(number: int) -> int:
            if number == 1:
                raise error

            return number

        found = await results(work, range(3))
        assert [result.value for result in found if isinstance(result, Ok)] == [0, 2]
        (crashed,) = (result for result in found if isinstance(result, Exit))
        assert crashed.input == 1
        assert isinstance(crashed.reason, Crash)
        assert crashed.reason.exc is error

    async def test_deaf_job_is_given_up(self) -> None:
        """A job that will not be cancelled ends the wait for it, not the run."""
        released = asyncio.Event()

        async def work(number: int) -> int:
            while number == 0 and not released.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await released.wait()

            return number

        found = await results(work, range(3), timeout_s=10)
        (lost,) = (result for result in found if isinstance(result, Exit))
        assert isinstance(lost.reason, TimedOut)
        assert asyncio.get_running_loop().time() < 20
        released.set()
        await asyncio.sleep(1)
        gc.collect()

    async def test_leaving_early_ends_the_rest(self) -> None:
        """After the block nothing runs any more."""
        cancelled = 0

        async def work(number: int) -> int:
            nonlocal cancelled
            try:
                await asyncio.sleep(number * 1_000)
            except asyncio.CancelledError:
                cancelled += 1
                raise

            return number

        async with LocalExecutor().run(work, range(4), max_concurrency=4, timeout_s=None) as stream:
            async for _ in stream:
                break

        assert cancelled == 3

    async def test_jobs_see_the_caller_s_scope(self) -> None:
        """Jobs run in a copy of the caller's context, for both kinds of input."""

        async def work(number: int) -> tuple[str, ...]:
            return effects.current().path

        async def numbers() -> AsyncIterator[int]:
            yield 0

        with effects.scope("here"):
            found = [*await results(work, [0]), *await results(work, numbers())]

        assert [result.value for result in found] == [("here",), ("here",)]

    async def test_given_supervisor_is_used_and_left_open(self) -> None:
        """Several runs may share the tasks of one supervisor."""

        async def work(number: int) -> int:
            assert tasks.child_count() == 1
            return number

        async with TaskSupervisor() as tasks:
            for _ in range(2):
                async with LocalExecutor(tasks).run(
                    work, [1], max_concurrency=1, timeout_s=None
                ) as stream:
                    assert [result async for result in stream] == [Ok(1, 0)]

    async def test_runtime_s_tasks_by_default(self) -> None:
        """Where a runtime is open, its task supervisor runs the jobs."""

        async def work(number: int) -> int:
            return tasks.child_count()

        async with TaskSupervisor() as tasks:
            runtime = FakeRuntime(tasks)
            effects.announce_runtime(runtime)
            try:
                assert open_runtime() is runtime
                assert await results(work, [0]) == [Ok(1, 0)]
            finally:
                effects.retract_runtime(runtime)

        assert open_runtime() is None


class FakeRuntime:
    """As much of a runtime as evaluation looks at."""

    name = "fake"
    cache = None

    def __init__(self, tasks: TaskSupervisor) -> None:
        self.tasks = tasks
        self.bus = Bus()

    def client(self, name: str | None = None) -> Any:
        """Have none."""
        raise LookupError(name)
