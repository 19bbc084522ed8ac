"""The watchdog and thread children: what needs threads and the real clock."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from supervision import (
    ChildSpec,
    Crash,
    Down,
    Restart,
    Stall,
    StopToken,
    Supervisor,
    in_thread,
    watchdog,
)
from supervision.testing import wait_until
from supervision.watchdog import STALL

pytestmark = pytest.mark.real_time


def block(seconds: float) -> None:
    """Do what nobody should do in an event loop."""
    threading.Event().wait(seconds)


async def test_stall_is_reported_once_with_its_task() -> None:
    """Pitfall 14: one event per stall, with the name of the child and where it is."""
    stalls: list[Stall] = []
    ended = asyncio.Event()

    def heard(_: object, __: object, metadata: object, ___: object) -> None:
        assert isinstance(metadata, dict)
        stalls.append(metadata["stall"])
        ended.set()

    async def blocking() -> None:
        await asyncio.sleep(0.02)
        block(0.15)

    kwargs = {"threshold": 0.05, "interval": 0.01}
    async with Supervisor([ChildSpec("watchdog", watchdog, kwargs=kwargs)], name="root") as root:
        root.telemetry.attach("s", STALL, heard)
        await root.start_child(ChildSpec("culprit", blocking, restart=Restart.TEMPORARY))
        async with asyncio.timeout(5):
            await ended.wait()

        await asyncio.sleep(0.05)

    assert [stall.task for stall in stalls] == ["root/culprit#1"]
    assert "in block" in stalls[0].stack


async def test_quiet_loop_is_not_reported() -> None:
    """A loop that turns in time is no news, and the thread ends with its child."""
    threads = threading.active_count()
    kwargs = {"threshold": 5.0, "interval": 0.001}
    stalls: list[object] = []
    async with Supervisor([ChildSpec("watchdog", watchdog, kwargs=kwargs)]) as root:
        root.telemetry.attach("s", STALL, lambda *news: stalls.append(news))
        await asyncio.sleep(0.02)

    assert stalls == []
    assert threading.active_count() == threads


class TestThread:
    async def test_stops_when_told(self) -> None:
        """Pitfall 15: a thread child gets a token and ends with it."""
        log: list[object] = []

        def body(stop: StopToken, name: str) -> None:
            log.append(name)
            while not stop.wait(0.001):
                pass

            log.append("stopped")

        spec = ChildSpec("it", in_thread(body), args=("thread",))
        async with Supervisor([spec]):
            await wait_until(lambda: log, pause=0.001)

        assert log == ["thread", "stopped"]

    async def test_crash_is_its_reason(self) -> None:
        """Pitfall 15: what the thread raises is the exit reason of the child."""
        go = threading.Event()

        def body(_: StopToken) -> None:
            go.wait(10)
            raise ValueError("bug")

        downs: list[Down] = []
        over = asyncio.Event()

        def heard(down: Down) -> None:
            downs.append(down)
            over.set()

        async with Supervisor() as root:
            spec = ChildSpec("it", in_thread(body), restart=Restart.TEMPORARY)
            ref = await root.start_child(spec)
            assert ref is not None
            ref.monitor(heard)
            go.set()
            await over.wait()

        reason = downs[0].reason
        assert isinstance(reason, Crash)
        assert isinstance(reason.exc, ValueError)

    async def test_thread_that_ignores_the_token_is_given_up(self) -> None:
        """Pitfall 15: a thread that does not listen does not hold up the stop."""
        release = threading.Event()

        def body(_: StopToken) -> None:
            release.wait(10)

        began = time.monotonic()
        async with Supervisor([ChildSpec("it", in_thread(body), shutdown=0.01)]) as root:
            tree = root.tree_context
            await asyncio.sleep(0.01)

        assert time.monotonic() - began < 5
        assert len(tree.zombies) == 1
        release.set()
        await wait_until(lambda: not tree.zombies, pause=0.001)
