"""An event loop whose time jumps, and what it must not jump over."""

from __future__ import annotations

import asyncio
import functools
import itertools
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import anyio
import anyio.to_thread
import pytest
from hypothesis import given, strategies as st

from dspex.testing import VirtualTimeLoop

HALF_HOUR_S = 1_800.0
# Far above what a jump costs, far below every virtual time that is waited for here.
SOON_S = 5.0


def run(main: Callable[[], Awaitable[object]], *, grace_s: float = 0.5) -> tuple[float, float]:
    """Run `main` on a new loop; return the virtual and the real seconds it took."""

    async def measured() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        virtual, real = loop.time(), time.monotonic()
        await main()
        return loop.time() - virtual, time.monotonic() - real

    with asyncio.Runner(loop_factory=functools.partial(VirtualTimeLoop, grace_s=grace_s)) as runner:
        return runner.run(measured())


def work(real_s: float = 0.02) -> str:
    """Keep a thread busy for some real time."""
    threading.Event().wait(real_s)
    return "worked"


@contextmanager
def answered(after_s: float) -> Iterator[socket.socket]:
    """Yield a connected socket whose other end answers after some real time."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    timer = threading.Timer(after_s, theirs.sendall, [b"answer"])
    timer.start()
    try:
        yield ours
    finally:
        timer.join()
        ours.close()
        theirs.close()


class TestTimers:
    def test_long_sleep_takes_no_time(self) -> None:
        """Half an hour of sleep is exact on the virtual clock and short on the real one."""
        virtual, real = run(lambda: asyncio.sleep(HALF_HOUR_S))
        assert virtual == HALF_HOUR_S
        assert real < SOON_S

    def test_a_day_and_more_needs_several_jumps(self) -> None:
        """A delay beyond what the loop asks of its selector at once still ends exactly."""
        virtual, real = run(lambda: asyncio.sleep(30 * 86_400.0))
        assert virtual == 30 * 86_400.0
        assert real < SOON_S

    def test_code_takes_no_virtual_time(self) -> None:
        """The clock stands still while nobody waits, however long the code runs."""

        async def main() -> None:
            for _ in range(1_000):
                await asyncio.sleep(0)

        virtual, _ = run(main)
        assert virtual == 0.0

    @given(st.lists(st.floats(min_value=0, max_value=1e4), min_size=1, max_size=20))
    def test_timers_fire_in_the_order_of_their_times(self, delays: list[float]) -> None:
        """Whatever the delays, each timer sees a clock at its own time, earliest first."""
        fired: list[tuple[float, float]] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            for delay in delays:
                loop.call_at(delay, lambda d: fired.append((d, loop.time())), delay)
            await asyncio.sleep(max(delays) + 1)

        run(main)
        assert sorted(delays) == pytest.approx([due for due, _ in fired])
        assert [due for due, _ in fired] == pytest.approx([at for _, at in fired], abs=1e-6)

    def test_timeout_around_silence_fires(self) -> None:
        """A wait for something that never comes ends at its timeout."""

        async def main() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(60):
                    await asyncio.Event().wait()

        virtual, real = run(main)
        assert virtual == 60.0
        assert real < SOON_S

    def test_each_loop_starts_at_zero(self) -> None:
        """Two loops do not share a clock."""
        first, second = VirtualTimeLoop(), VirtualTimeLoop()
        try:
            first.run_until_complete(asyncio.sleep(7))
            assert (first.time(), second.time()) == (7.0, 0.0)
        finally:
            first.close()
            second.close()


class TestSockets:
    def test_late_answer_is_not_overtaken(self) -> None:
        """A one-second timeout does not fire around a read that is answered in five real ms."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            with answered(after_s=0.005) as sock:
                async with asyncio.timeout(1):
                    assert await loop.sock_recv(sock, 100) == b"answer"

        virtual, _ = run(main)
        assert 0 < virtual < 1

    def test_silent_socket_is_given_up(self) -> None:
        """After the grace, a socket that says nothing no longer holds time."""

        async def main() -> None:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            with ours, theirs, pytest.raises(TimeoutError):
                async with asyncio.timeout(HALF_HOUR_S):
                    await asyncio.get_running_loop().sock_recv(ours, 100)

        virtual, real = run(main, grace_s=0.01)
        assert virtual == HALF_HOUR_S
        assert 0.01 <= real < SOON_S

    def test_loopback_server_in_the_same_loop(self) -> None:
        """Streams over loopback work, and a server may take half an hour to answer."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = await reader.readline()
            await asyncio.sleep(HALF_HOUR_S)
            writer.write(line.upper())
            writer.close()
            await writer.wait_closed()

        async def main() -> None:
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            async with server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b"ping\n")
                assert await reader.read() == b"PING\n"
                writer.close()
                await writer.wait_closed()

        virtual, real = run(main, grace_s=0.01)
        assert virtual == pytest.approx(HALF_HOUR_S, abs=1)
        assert real < SOON_S

    def test_short_timers_run_beside_a_socket(self) -> None:
        """A timer shorter than the grace is waited for, not skipped, while a socket is open."""
        ticks: list[float] = []

        async def tick() -> None:
            for _ in range(3):
                await asyncio.sleep(0.002)
                ticks.append(asyncio.get_running_loop().time())

        async def main() -> None:
            with answered(after_s=0.05) as sock:
                async with asyncio.TaskGroup() as group:
                    group.create_task(tick())
                    group.create_task(asyncio.get_running_loop().sock_recv(sock, 100))

        run(main)
        assert ticks == pytest.approx([0.002, 0.004, 0.006], abs=1e-6)


class TestThreads:
    @pytest.mark.parametrize(
        "in_thread",
        [
            pytest.param(lambda: asyncio.to_thread(work), id="asyncio"),
            pytest.param(lambda: anyio.to_thread.run_sync(work), id="anyio"),
            pytest.param(
                lambda: asyncio.get_running_loop().run_in_executor(None, work), id="executor"
            ),
        ],
    )
    def test_thread_at_work_is_not_overtaken(self, in_thread: Callable[[], Awaitable[str]]) -> None:
        """A one-second timeout does not fire around a thread that works for twenty real ms."""

        async def main() -> None:
            async with asyncio.timeout(1):
                assert await in_thread() == "worked"

        virtual, _ = run(main, grace_s=0)
        assert 0 < virtual < 1

    @pytest.mark.parametrize("in_thread", [asyncio.to_thread, anyio.to_thread.run_sync])
    def test_idle_threads_do_not_hold_time(
        self, in_thread: Callable[[Callable[[], str]], Awaitable[str]]
    ) -> None:
        """Workers that wait for their next job cost nothing."""

        async def main() -> None:
            await in_thread(work)
            before = time.monotonic()
            for _ in range(50):
                await asyncio.sleep(HALF_HOUR_S)
            assert time.monotonic() - before < SOON_S

        virtual, _ = run(main)
        assert virtual == pytest.approx(50 * HALF_HOUR_S, abs=1)

    def test_timeout_shorter_than_the_work_fires(self) -> None:
        """While a thread works time passes as it does outside, so a short timeout fires."""
        release = threading.Event()

        async def main() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await asyncio.to_thread(release.wait, SOON_S)
            release.set()

        virtual, real = run(main)
        assert virtual == pytest.approx(0.01)
        assert real < SOON_S

    def test_cancelled_work_no_longer_holds_time(self) -> None:
        """A thread whose result nobody awaits does not stop the clock from jumping."""
        release = threading.Event()

        async def main() -> None:
            future = asyncio.get_running_loop().run_in_executor(None, release.wait, SOON_S)
            future.cancel()
            await asyncio.sleep(HALF_HOUR_S)
            release.set()

        virtual, real = run(main)
        assert virtual == HALF_HOUR_S
        assert real < SOON_S

    def test_failing_work_lets_time_go_on(self) -> None:
        """An exception in the thread arrives, and the clock jumps again afterwards."""

        async def main() -> None:
            with pytest.raises(ZeroDivisionError):
                await asyncio.to_thread(lambda: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await anyio.to_thread.run_sync(lambda: 1 / 0)
            await asyncio.sleep(HALF_HOUR_S)

        virtual, real = run(main)
        assert virtual == pytest.approx(HALF_HOUR_S, abs=1)
        assert real < SOON_S

    def test_own_executor_is_seen(self) -> None:
        """A pool that the caller brings is watched like the loop's own."""

        async def main() -> None:
            with ThreadPoolExecutor(1) as pool:
                async with asyncio.timeout(1):
                    loop = asyncio.get_running_loop()
                    assert await loop.run_in_executor(pool, work, 0.01) == "worked"

        virtual, _ = run(main, grace_s=0)
        assert 0 < virtual < 1

    def test_announced_thread_is_not_overtaken(self) -> None:
        """Whoever runs a thread of their own holds real time for it."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTimeLoop)
            arrived = asyncio.Event()
            timer = threading.Timer(0.01, loop.call_soon_threadsafe, [arrived.set])
            with loop.real_time():
                timer.start()
                async with asyncio.timeout(1):
                    await arrived.wait()
            timer.join()

        virtual, _ = run(main, grace_s=0)
        assert 0 < virtual < 1

    def test_joining_the_executor_is_not_overtaken(self) -> None:
        """The thread that joins the executor's workers is given real time."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.run_in_executor(None, work).cancel()
            async with asyncio.timeout(1):
                await loop.shutdown_default_executor()

        virtual, _ = run(main, grace_s=0)
        assert virtual < 1

    def test_anyio_is_itself_again_afterwards(self) -> None:
        """The watch on anyio's threads ends with the loop's run, also when it fails."""
        before = anyio.to_thread.run_sync

        async def main() -> None:
            assert anyio.to_thread.run_sync is not before
            raise LookupError

        with pytest.raises(LookupError):
            run(main)

        assert anyio.to_thread.run_sync is before

    def test_loop_in_another_thread_is_left_alone(self) -> None:
        """A real loop that runs beside a virtual one keeps its own threads."""
        results: list[str] = []

        async def beside() -> None:
            results.append(await anyio.to_thread.run_sync(work))

        async def main() -> None:
            await asyncio.to_thread(asyncio.run, beside())

        run(main)
        assert results == ["worked"]


class TestAnyio:
    def test_cancel_scopes_follow_the_clock(self) -> None:
        """A cancel scope of anyio ends at its deadline on the virtual clock."""

        async def main() -> None:
            with anyio.move_on_after(HALF_HOUR_S) as scope:
                await anyio.sleep_forever()
            assert scope.cancelled_caught

        virtual, real = run(main)
        assert virtual == HALF_HOUR_S
        assert real < SOON_S


def test_back_off_over_an_outage() -> None:
    """A retry loop rides out a thirty-minute outage with the pauses that it was built with."""
    attempts: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for pause_s in itertools.accumulate(itertools.repeat(2.0), lambda a, b: min(a * b, 300.0)):
            attempts.append(loop.time())
            if loop.time() >= HALF_HOUR_S:
                return
            await asyncio.sleep(pause_s)

    run(main)
    assert attempts[:4] == [0.0, 2.0, 6.0, 14.0]
    assert attempts[-1] >= HALF_HOUR_S
