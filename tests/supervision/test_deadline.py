"""Shared timers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from supervision import Deadlines
from supervision.testing import VirtualClockLoop


async def test_callbacks_come_on_time_and_in_order() -> None:
    """Entries of one timeout and of several expire when they are due."""
    loop = asyncio.get_running_loop()
    deadlines = Deadlines()
    fired: list[tuple[str, float]] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: fired.append((name, round(loop.time() - began, 3)))

    began = loop.time()
    deadlines.after(2.0, note("b"))
    deadlines.after(1.0, note("a"))
    await asyncio.sleep(0.5)
    deadlines.after(1.0, note("c"))
    deadlines.after(1.0, note("never")).cancel()
    assert len(deadlines) == 3
    await asyncio.sleep(5)
    assert fired == [("a", 1.0), ("c", 1.5), ("b", 2.0)]
    assert repr(deadlines) == "<Deadlines 0 pending in 0 queues>"


async def test_deadline_added_by_a_callback_does_not_delay_others() -> None:
    """A callback that sets a new deadline leaves those already waiting in time."""
    loop = asyncio.get_running_loop()
    deadlines = Deadlines()
    fired: list[float] = []
    began = loop.time()
    deadlines.after(1.0, lambda: deadlines.after(1.0, lambda: fired.append(loop.time() - began)))
    await asyncio.sleep(0.1)
    deadlines.after(1.0, lambda: fired.append(loop.time() - began))
    await asyncio.sleep(5)
    assert fired == pytest.approx([1.1, 2.0])


async def test_failing_callback_is_reported_and_harms_no_other() -> None:
    """What a callback raises goes to the loop's exception handler."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    deadlines = Deadlines()
    fired: list[int] = []
    deadlines.after(1.0, lambda: 1 // 0)
    deadlines.after(1.0, lambda: fired.append(1))
    await asyncio.sleep(2)
    assert fired == [1]
    assert isinstance(reported[0]["exception"], ZeroDivisionError)


async def test_memory_follows_what_is_open() -> None:
    """Pitfall 27: cancelled deadlines do not pile up until they would have been due."""
    deadlines = Deadlines()
    open_ones = [deadlines.after(60.0, lambda: None) for _ in range(10)]
    for _ in range(100_000):
        deadlines.after(60.0, lambda: None).cancel()

    (queue,) = deadlines._queues.values()
    assert len(queue.entries) < 200
    assert len(deadlines) == 10
    for deadline in open_ones:
        deadline.cancel()
        deadline.cancel()

    assert len(deadlines) == 0
    deadlines.close()


async def test_close_forgets_all() -> None:
    """After close nothing calls back, and a later cancel is harmless."""
    deadlines = Deadlines()
    fired: list[int] = []
    deadline = deadlines.after(1.0, lambda: fired.append(1))
    deadlines.close()
    deadline.cancel()
    await asyncio.sleep(2)
    assert fired == []


@pytest.mark.parametrize("timeout", [-1.0, math.inf, math.nan])
async def test_wrong_timeouts(timeout: float) -> None:
    """A timeout that is no finite time is refused."""
    with pytest.raises(ValueError, match="timeout"):
        Deadlines().after(timeout, lambda: None)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.5, 1.0, 3.0]),
            st.booleans(),
            st.sampled_from([0.0, 0.1, 0.7]),
        ),
        max_size=80,
    )
)
def test_like_timers(steps: list[tuple[float, bool, float]]) -> None:
    """What is not cancelled expires exactly when a timer of its own would have."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        deadlines = Deadlines()
        fired: list[tuple[int, float]] = []
        expected: list[tuple[int, float]] = []

        def note(n: int) -> Callable[[], None]:
            return lambda: fired.append((n, loop.time()))

        for n, (timeout, cancel, pause) in enumerate(steps):
            deadline = deadlines.after(timeout, note(n))
            if cancel:
                deadline.cancel()
            else:
                expected.append((n, loop.time() + timeout))

            await asyncio.sleep(pause)

        await asyncio.sleep(10)
        assert dict(fired) == pytest.approx(dict(expected))

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(main())


def here() -> asyncio.Task[Any]:
    """Return the current task."""
    task = asyncio.current_task()
    assert task is not None
    return task


class TestTimeout:
    @pytest.mark.parametrize("asynchronous", [False, True])
    async def test_expires(self, asynchronous: bool) -> None:
        """A block that takes too long raises TimeoutError and leaves no cancellation behind."""
        deadlines = Deadlines()
        block = deadlines.timeout(1.0)

        async def body() -> None:
            if asynchronous:
                async with block:
                    await asyncio.sleep(2)
            else:
                with block:
                    await asyncio.sleep(2)

        with pytest.raises(TimeoutError):
            await body()

        assert block.expired
        assert here().cancelling() == 0
        await asyncio.sleep(0)

    @pytest.mark.parametrize("timeout", [None, math.inf, 5.0])
    async def test_in_time(self, timeout: float | None) -> None:
        """A block in time, or without a limit, does nothing."""
        deadlines = Deadlines()
        with deadlines.timeout(timeout) as block:
            await asyncio.sleep(1)

        await asyncio.sleep(10)
        assert not block.expired
        assert len(deadlines) == 0

    async def test_error_of_the_block_passes(self) -> None:
        """Errors of the block pass, also a TimeoutError of its own."""
        with pytest.raises(LookupError), Deadlines().timeout(1.0):
            raise LookupError

    async def test_foreign_cancellation_passes(self) -> None:
        """A cancellation by somebody else stays one, also in the moment of expiry."""
        deadlines = Deadlines()

        async def body() -> None:
            with deadlines.timeout(1.0):
                await asyncio.sleep(5)

        for when in (0.5, 1.0):
            task = asyncio.ensure_future(body())
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(when, task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task

    async def test_nested(self) -> None:
        """The outer limit ends the inner block with its own error, past the inner one."""
        deadlines = Deadlines()
        inner = deadlines.timeout(5.0)
        outer = deadlines.timeout(1.0)
        with pytest.raises(TimeoutError), outer, inner:
            await asyncio.sleep(10)

        assert (outer.expired, inner.expired) == (True, False)

    async def test_renew(self) -> None:
        """A renewed block has its full time again."""
        deadlines = Deadlines()
        loop = asyncio.get_running_loop()
        began = loop.time()
        block = deadlines.timeout(1.0)

        async def stream() -> None:
            with block:
                for _ in range(3):
                    await asyncio.sleep(0.9)
                    block.renew()

                await asyncio.sleep(5)

        with pytest.raises(TimeoutError):
            await stream()

        assert loop.time() - began == pytest.approx(3.7)

    def test_needs_a_task(self) -> None:
        """Outside a task there is nothing to cancel."""

        async def main() -> None:
            asyncio.get_running_loop().call_soon(enter)
            await asyncio.sleep(0.01)

        errors: list[RuntimeError] = []

        def enter() -> None:
            try:
                with Deadlines().timeout(1.0):
                    pass
            except RuntimeError as exc:
                errors.append(exc)

        asyncio.run(main())
        assert len(errors) == 1
