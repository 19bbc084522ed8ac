"""`async_stream`: concurrency, order, timeouts, crashes, early stop."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from supervision import (
    CallTimeout,
    ChildSpec,
    Crash,
    Exit,
    NoProc,
    Ok,
    ServerDied,
    Supervisor,
    TaskSupervisor,
    TimedOut,
)
from supervision.testing import settle


async def double(n: int) -> int:
    """Take a moment that depends on the number."""
    await asyncio.sleep((n * 7 % 5) * 0.01)
    return 2 * n


async def test_ordered_results_in_input_order() -> None:
    """U07: by default results come in the order of the input."""
    async with TaskSupervisor() as tasks:
        results = [r async for r in tasks.async_stream(double, range(50), max_concurrency=8)]

    assert results == [Ok(2 * n, n) for n in range(50)]


async def test_unordered_results_as_they_come() -> None:
    """U07: unordered results come as they finish, each with the index of its input."""
    async with TaskSupervisor() as tasks:
        stream = tasks.async_stream(double, range(50), max_concurrency=8, ordered=False)
        results = [r async for r in stream]

    assert sorted(r.index for r in results) == list(range(50))
    assert [r.index for r in results] != list(range(50))


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_input_is_read_lazily_and_concurrency_is_bounded(asynchronous: bool) -> None:
    """U07: at most max_concurrency run, and no more input is read than results were asked for."""
    read = running = most = 0

    def numbers() -> Iterator[int]:
        nonlocal read
        for n in range(100):
            read += 1
            yield n

    async def later() -> AsyncIterator[int]:
        for n in numbers():
            await asyncio.sleep(0)
            yield n

    async def work(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return n

    async with TaskSupervisor() as tasks:
        source = later() if asynchronous else numbers()
        async with tasks.async_stream(work, source, max_concurrency=4) as stream:
            for expected in range(5):
                assert await anext(stream) == Ok(expected, expected)
                assert read <= expected + 1 + 4

    assert most == 4


async def test_async_input_to_the_end() -> None:
    """U07: an asynchronous input is read to its end."""

    async def later() -> AsyncIterator[int]:
        for n in range(20):
            await asyncio.sleep(0.001)
            yield n

    async with TaskSupervisor() as tasks:
        stream = tasks.async_stream(double, later(), max_concurrency=3)
        assert [r async for r in stream] == [Ok(2 * n, n) for n in range(20)]


async def test_crashes_are_items() -> None:
    """U07, pitfall 12: whatever an item raises, SystemExit included, is that item's Crash."""

    async def work(n: int) -> int:
        if n == 1:
            raise ValueError("one")

        if n == 2:
            raise SystemExit(2)

        if n == 3:
            raise KeyboardInterrupt

        return n

    async with TaskSupervisor() as tasks:
        stream = tasks.async_stream(work, range(5), max_concurrency=2, zip_input_on_exit=True)
        results = [r async for r in stream]

    reasons = [r.reason for r in results if isinstance(r, Exit)]
    assert [type(r.exc) for r in reasons if isinstance(r, Crash)] == [
        ValueError,
        SystemExit,
        KeyboardInterrupt,
    ]
    assert [r.input for r in results if isinstance(r, Exit)] == [1, 2, 3]
    assert [r for r in results if isinstance(r, Ok)] == [Ok(0, 0), Ok(4, 4)]


async def test_slow_item_is_killed_alone() -> None:
    """U07: with kill_task an item that takes too long since its start ends alone."""

    async def work(n: int) -> int:
        await asyncio.sleep(100 if n == 1 else 0.5)
        return n

    async with TaskSupervisor() as tasks:
        stream = tasks.async_stream(
            work, range(4), max_concurrency=1, timeout=1.0, on_timeout="kill_task"
        )
        results = [r async for r in stream]

    assert results == [Ok(0, 0), Exit(TimedOut(1.0), None, 1), Ok(2, 2), Ok(3, 3)]


async def test_slow_item_ends_the_stream() -> None:
    """U07: by default an item that takes too long ends the stream and the others."""
    ended = 0

    async def work(n: int) -> int:
        nonlocal ended
        try:
            await asyncio.sleep(100)
        finally:
            ended += 1

        return n

    async with TaskSupervisor() as tasks:
        with pytest.raises(CallTimeout):
            async for _ in tasks.async_stream(work, range(4), max_concurrency=3, timeout=1.0):
                pass

        assert tasks.child_count() == 0

    assert ended == 3


@pytest.mark.parametrize("how", ["break", "raise"])
async def test_early_stop_leaves_nothing(how: str) -> None:
    """U08: leaving early ends what runs and closes the input."""
    closed = ended = 0

    def numbers() -> Iterator[int]:
        nonlocal closed
        try:
            yield from range(100)
        finally:
            closed += 1

    async def work(n: int) -> int:
        nonlocal ended
        try:
            await asyncio.sleep(n)
        finally:
            ended += 1

        return n

    async def consume(tasks: TaskSupervisor) -> None:
        async for _ in tasks.async_stream(work, numbers(), max_concurrency=5):
            if how == "raise":
                raise LookupError

            break

    async with TaskSupervisor() as tasks:
        try:
            await consume(tasks)
        except LookupError:
            assert how == "raise"

        await asyncio.sleep(0.001)
        assert tasks.child_count() == 0

    assert (closed, ended) == (1, 5)


async def test_failing_input_ends_the_stream_and_is_raised() -> None:
    """U08: an error of the input ends what runs and is raised to the consumer."""

    def numbers() -> Iterator[int]:
        yield 1
        raise LookupError("input")

    async def later() -> AsyncIterator[int]:
        for n in numbers():
            yield n

    async with TaskSupervisor() as tasks:
        for source in (numbers(), later()):
            with pytest.raises(LookupError):
                async for _ in tasks.async_stream(double, source, max_concurrency=2):
                    pass

        assert tasks.child_count() == 0


async def test_consumer_cancelled_ends_what_runs() -> None:
    """U08: a cancelled consumer leaves no task behind."""
    async with TaskSupervisor() as tasks:

        async def consume() -> None:
            async for _ in tasks.async_stream(
                asyncio.sleep, [100] * 5, max_concurrency=5, timeout=None
            ):
                pass

        consumer = asyncio.ensure_future(consume())
        await asyncio.sleep(1)
        assert tasks.child_count() == 5
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer

        assert tasks.child_count() == 0


async def test_ref_streams_like_the_supervisor() -> None:
    """3.2: a ref to a task supervisor forwards async_stream and async_nolink."""
    async with Supervisor([ChildSpec("tasks", TaskSupervisor.child(max_children=64))]) as root:
        tasks = root.ref("tasks", TaskSupervisor)
        results = [r async for r in tasks.async_stream(double, [1, 2], max_concurrency=2)]
        assert results == [Ok(2, 0), Ok(4, 1)]
        task = tasks.async_nolink(double, 21)
        assert await task.await_(timeout=10) == 42


@pytest.mark.parametrize(
    "options",
    [
        {"max_concurrency": 0},
        {"timeout": 0},
        {"timeout": -1.0},
        {"on_timeout": "explode"},
    ],
)
async def test_wrong_options(options: dict[str, Any]) -> None:
    """U07: an option that makes no sense is refused before anything runs."""
    async with TaskSupervisor() as tasks:
        with pytest.raises(ValueError, match=next(iter(options))):
            tasks.async_stream(double, [1], **options)


async def test_linked_stream_ends_with_the_first_crash() -> None:
    """U07: in a linked stream the first crash reaches the consumer and ends the rest."""

    async def work(n: int) -> int:
        if n == 2:
            raise ValueError("two")

        await asyncio.sleep(n)
        return n

    async with TaskSupervisor() as tasks:
        with pytest.raises(ServerDied) as death:
            async for _ in tasks.async_stream(work, range(9), max_concurrency=5, linked=True):
                pass

        assert isinstance(death.value.__cause__, ValueError)
        assert tasks.child_count() == 0


async def test_two_consumers_are_refused() -> None:
    """A stream has one consumer at a time."""
    async with TaskSupervisor() as tasks:
        stream = tasks.async_stream(asyncio.sleep, [1.0], timeout=None)
        first = asyncio.ensure_future(stream.__anext__())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(stream)

        assert await first == Ok(None, 0)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_slow_item_that_resists_is_given_up() -> None:
    """U07, D5: an item that resists its end is given up, and the stream goes on."""
    release = asyncio.Event()

    async def work(n: int) -> int:
        while n == 0 and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

        return n

    async with TaskSupervisor() as tasks:
        stream = tasks.async_stream(
            work, range(3), max_concurrency=1, timeout=1.0, on_timeout="kill_task"
        )
        results = [r async for r in stream]
        assert results == [Exit(TimedOut(1.0), None, 0), Ok(1, 1), Ok(2, 2)]
        assert len(tasks.zombies) == 1
        release.set()
        await settle()
        assert not tasks.zombies


@pytest.mark.parametrize("started", [False, True])
async def test_asynchronous_input_is_closed(started: bool) -> None:
    """U08, pitfall 19: the task that reads an asynchronous input also closes it."""
    log: list[object] = []

    async def numbers() -> AsyncIterator[int]:
        reader = asyncio.current_task()
        try:
            for n in range(100):
                await asyncio.sleep(0.01)
                yield n
        finally:
            log.append(asyncio.current_task() is reader)

    async with TaskSupervisor() as tasks:
        async with tasks.async_stream(double, numbers(), max_concurrency=2) as stream:
            if started:
                await anext(stream)

        assert log == ([True] if started else [])
        assert tasks.child_count() == 0


async def test_supervisor_that_ends_ends_its_streams() -> None:
    """U06: when the supervisor ends, the consumer of a stream is told; the input is closed."""
    closed: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for n in range(100):
                yield n
        finally:
            closed.append("input")

    async with TaskSupervisor() as tasks:
        stream = tasks.async_stream(lambda n: asyncio.sleep(100), numbers(), timeout=None)
        asking = asyncio.ensure_future(stream.__anext__())
        await settle()

    outcome = (await asyncio.gather(asking, return_exceptions=True))[0]
    assert isinstance(outcome, Exit | ServerDied | NoProc)
    assert closed == ["input"]


async def test_many_items_at_little_memory() -> None:
    """U07: what is alive at a time is bounded by the concurrency, not by the input."""
    alive: weakref.WeakSet[Big] = weakref.WeakSet()
    most = 0

    class Big:
        pass

    async def work(_: int) -> Big:
        big = Big()
        alive.add(big)
        return big

    async with TaskSupervisor() as tasks:
        stream = tasks.async_stream(work, range(20_000), max_concurrency=100, ordered=False)
        async for _ in stream:
            most = max(most, len(alive))

    assert most <= 100 + 64 + 1


async def test_supervisor_without_patience_ends_its_streams() -> None:
    """U06, T05: a task supervisor that is killed gives the items of its streams no grace."""
    stops: list[int] = []

    async def stubborn(number: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stops.append(number)
            await asyncio.Event().wait()

    async with Supervisor(
        [ChildSpec("tasks", TaskSupervisor.child(shutdown=1000.0), shutdown=1.0)]
    ) as root:
        tasks = root.ref("tasks", TaskSupervisor)
        stream = aiter(tasks.async_stream(stubborn, range(3), max_concurrency=3, timeout=None))
        first = asyncio.ensure_future(anext(stream))
        await settle()
        began = asyncio.get_running_loop().time()
        await root.terminate_child("tasks")
        assert asyncio.get_running_loop().time() - began < 10
        assert sorted(stops) == [0, 1, 2]
        assert "running" in repr(stream)
        first.cancel()
        await asyncio.wait([first])


async def test_a_thousand_at_once_leave_the_loop_its_turns() -> None:
    """U07: tasks are started in batches, from an asynchronous input as well."""

    async def inputs() -> AsyncIterator[int]:
        for number in range(1_000):
            yield number

    async def work(number: int) -> int:
        return number

    async with TaskSupervisor() as tasks:
        for items in (range(1_000), inputs()):
            results = [
                result.value
                async for result in tasks.async_stream(work, items, max_concurrency=1_000)
                if isinstance(result, Ok)
            ]
            assert results == list(range(1_000))


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_closed_by_others_while_its_consumer_waits(asynchronous: bool) -> None:
    """U08: any number may close a stream; its consumer comes to the end and no item begins."""
    begun = 0

    async def work(n: int) -> int:
        nonlocal begun
        begun += 1
        await asyncio.sleep(1)
        return n

    async def numbers() -> AsyncIterator[int]:
        for n in range(1000):
            yield n

    async with TaskSupervisor() as tasks:
        items = numbers() if asynchronous else range(1000)
        stream = tasks.async_stream(work, items, max_concurrency=4)

        async def consume() -> list[object]:
            return [each async for each in stream]

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            consumer = group.create_task(consume())
            await asyncio.sleep(1.5)
            group.create_task(stream.aclose())
            group.create_task(stream.aclose())

        seen = begun
        await asyncio.sleep(5)

    assert consumer.result() == [Ok(n, n) for n in range(4)]
    assert begun == seen == 8


async def test_exit_in_an_asynchronous_input_is_raised_to_the_consumer() -> None:
    """U08: SystemExit in the input comes out of the loop over the results, no further."""

    async def numbers() -> AsyncIterator[int]:
        yield 1
        raise SystemExit(3)

    async with TaskSupervisor() as tasks:
        with pytest.raises(SystemExit) as caught:
            async for _ in tasks.async_stream(double, numbers()):
                pass

        assert tasks.alive

    assert caught.value.code == 3


@pytest.mark.virtual_time
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_places_are_refilled_while_the_consumer_is_busy(asynchronous: bool) -> None:
    """U07: each result taken starts the next item, whatever the consumer does in between."""

    async def work(n: int) -> None:
        await asyncio.sleep(1)

    async def later() -> AsyncIterator[int]:
        for n in range(500):
            yield n

    loop = asyncio.get_running_loop()
    began = loop.time()
    async with TaskSupervisor() as tasks:
        source = later() if asynchronous else range(500)
        async for _ in tasks.async_stream(work, source, max_concurrency=100, ordered=False):
            await asyncio.sleep(0.005)

    # Five rounds of a second; taking a hundred results takes half of one.
    assert loop.time() - began < 6
