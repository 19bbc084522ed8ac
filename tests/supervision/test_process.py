"""Children that are processes of the operating system: the only ones that can be killed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from supervision import (
    BRUTAL_KILL,
    ChildSpec,
    Crash,
    Down,
    Normal,
    ProcessExited,
    Reason,
    Ref,
    Restart,
    Shutdown,
    Supervisor,
    in_process,
)
from supervision.spec import BrutalKill
from supervision.testing import wait_until

pytestmark = [pytest.mark.real_time, pytest.mark.slow]

STUBBORN = """
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path({path!r}).touch()
time.sleep(60)
"""


def spec(function: object, *args: object, shutdown: float | BrutalKill = 5.0) -> ChildSpec:
    assert callable(function)
    start = in_process(function)
    return ChildSpec("it", start, args=args, restart=Restart.TEMPORARY, shutdown=shutdown)


async def end_of(child: ChildSpec) -> Reason:
    """Return how a child ends of itself."""
    async with Supervisor([child]) as root:
        down: Down = await root.ref("it").wait_ended()
        return down.reason


async def test_return_is_normal() -> None:
    """D5: a process whose function returns has ended normally."""
    assert await end_of(spec(time.sleep, 0)) == Normal()


async def test_exit_code_is_a_crash() -> None:
    """D5: any other exit code is the child's crash, and says so."""
    reason = await end_of(spec(exec, "raise SystemExit(3)"))
    assert isinstance(reason, Crash)
    assert isinstance(reason.exc, ProcessExited)
    assert reason.exc.exitcode == 3
    assert "exit code 3" in str(reason.exc)


async def test_stop_asks_it_to_end() -> None:
    """D5, pitfall 15: a process is asked to end, and does so within its time."""
    downs: list[Down] = []
    began = time.monotonic()
    async with Supervisor([spec(time.sleep, 60)]) as root:
        ref: Ref[int] = root.ref("it", int)
        assert ref.info > 0
        ref.monitor(downs.append)

    assert [down.reason for down in downs] == [Shutdown()]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("shutdown", [0.05, BRUTAL_KILL])
async def test_process_that_ignores_it_is_killed(
    tmp_path: Path, shutdown: float | BrutalKill
) -> None:
    """D5, pitfall 15: one that does not end is killed for real: no zombie stays."""
    mark = tmp_path / "up"
    stubborn = spec(exec, STUBBORN.format(path=str(mark)), shutdown=shutdown)
    async with Supervisor([stubborn]) as root:
        ref = root.ref("it")
        downs: list[Down] = []
        ref.monitor(downs.append)
        await wait_until(mark.exists, pause=0.01)
        await root.terminate_child("it")
        assert [str(down.reason) for down in downs] == ["killed"]
        assert root.zombies == ()
