"""Each step of a call is announced to whoever listens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dspex import effects
from dspex.telemetry import LM_EXCEPTION, LM_RETRY, LM_START, LM_STOP
from dspex.testing import FakeTransport, chat_reply
from tests.support.pipeline import answers, ask, error_reply, runtime_on

pytestmark = pytest.mark.virtual_time


class TestEvents:
    async def test_each_step_is_announced_with_the_correlation_id(self) -> None:
        """A request can be followed through its retries by one id."""
        seen: list[tuple[Any, Any]] = []
        transport = FakeTransport(answers(error_reply(500), chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            runtime.bus.attach_many(
                "test",
                (LM_START, LM_RETRY, LM_STOP, LM_EXCEPTION),
                lambda event, measured, about, _: seen.append((event, about["correlation_id"])),
            )
            with effects.scope(correlation_id="abc"):
                await runtime.client().complete(ask())

        assert [(LM_START, "abc"), (LM_RETRY, "abc"), (LM_STOP, "abc")] == seen

    async def test_a_cancelled_call_has_an_end_too(self) -> None:
        """Whoever pairs starts with ends is not left with an open one."""
        seen: list[Any] = []
        transport = FakeTransport(answers(chat_reply("late", delay_s=1e6)))
        async with runtime_on(transport) as runtime:
            runtime.bus.attach_many(
                "test",
                (LM_START, LM_EXCEPTION),
                lambda event, _, about, __: seen.append((event, about.get("kind"))),
            )
            call = asyncio.create_task(runtime.client().complete(ask()))
            await asyncio.sleep(1.0)
            call.cancel()
            await asyncio.wait([call])

        assert [(LM_START, None), (LM_EXCEPTION, "cancelled")] == seen

    async def test_a_failing_listener_never_reaches_the_call(self) -> None:
        """Whoever watches cannot break what is watched."""

        def broken(*_: object) -> None:
            raise RuntimeError("listener")

        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            runtime.bus.attach("broken", LM_STOP, broken)
            response = await runtime.client().complete(ask())

            assert LM_STOP not in runtime.bus.listeners

        assert "yes" == response.text
