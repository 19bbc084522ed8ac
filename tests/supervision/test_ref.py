"""Refs: what they forward, and what they refuse."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from supervision import (
    Actor,
    CallingSelf,
    CallTimeout,
    ChildSpec,
    Crash,
    DynamicSupervisor,
    NoProc,
    NotFound,
    Ref,
    ServerDied,
    Supervisor,
    handle,
)
from supervision.testing import settle


async def forever() -> None:
    """Wait for the end."""
    await asyncio.Event().wait()


class Stopping(Actor):
    """Wants to wait for its own end."""

    @handle.call
    async def stop_itself(self, own: Ref[Stopping]) -> None:
        """Ask oneself to end, and wait for it."""
        await own.stop()

    @handle.call
    async def wait(self) -> None:
        """Take long."""
        await asyncio.sleep(100)


async def test_requests_go_to_the_supervisor_in_the_place() -> None:
    """M01 to M07: a ref to a supervisor does what the supervisor does."""
    spec = ChildSpec("it", forever)
    async with Supervisor([ChildSpec("below", Supervisor.child())]) as root:
        below = root.ref("below")
        started = await below.start_child(spec)
        assert started == below.ref("it")
        assert started.id == "it"
        assert len({started, below.ref("it")}) == 1
        await below.terminate_child("it")
        await below.restart_child("it")
        assert [row.id for row in below.which_children()] == ["it"]
        assert below.count_children().active == 1
        await below.terminate_child("it")
        await below.delete_child("it")
        with pytest.raises(NotFound):
            below.ref("it")


async def test_worker_takes_no_requests() -> None:
    """M09: what is no supervisor has no children, and what is no actor takes no messages."""
    async with Supervisor([ChildSpec("it", forever)]) as root:
        ref: Any = root.ref("it")
        with pytest.raises(TypeError, match="is not a supervisor"):
            ref.which_children()

        with pytest.raises(TypeError, match="not an actor"):
            ref.statistics()


async def test_waiting_for_one_s_own_end_is_refused() -> None:
    """G11: an actor cannot wait for its own end."""
    async with Supervisor([ChildSpec("it", Stopping)]) as root:
        ref = root.ref("it", Stopping)
        with pytest.raises(ServerDied) as died:
            await ref.call(Stopping.stop_itself, ref)

        assert isinstance(died.value.reason, Crash)
        assert isinstance(died.value.reason.exc, CallingSelf)


async def test_time_limit_around_a_wait_is_not_the_wait_s() -> None:
    """Pitfall 4: a TimeoutError from outside is not taken for the limit of the wait itself."""
    async with Supervisor([ChildSpec("it", Stopping)]) as root:
        ref = root.ref("it", Stopping)
        busy = asyncio.ensure_future(ref.call(Stopping.wait, timeout=None))
        await settle()
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(1.0):
                await ref.stop(drain=True, timeout=50.0)

        assert not isinstance(caught.value, CallTimeout)
        await asyncio.gather(busy, ref.stop())
        await root.terminate_child("it")
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(1.0):
                await ref.wait_ready(50.0)

        assert not isinstance(caught.value, CallTimeout)
        with pytest.raises(CallTimeout):
            await ref.wait_ready(1.0)


async def test_ref_from_a_supervisor_that_is_gone() -> None:
    """D12: a ref through a nested supervisor waits for that one, but not for ever."""
    async with Supervisor([ChildSpec("below", DynamicSupervisor.child())]) as root:
        await root.ref("below").start_child(ChildSpec("it", forever))
        ref = root.ref("below").ref("it")
        await root.terminate_child("below")
        with pytest.raises(NoProc):
            _ = ref.info

        waiting = asyncio.ensure_future(ref.wait_ready(10.0))
        await settle()
        await root.restart_child("below")
        with pytest.raises(NoProc):
            await waiting
