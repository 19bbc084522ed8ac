"""Every step of a run is told of, with what its table says; and nothing where nobody listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import dspex
from dspex import effects
from dspex.errors import BudgetExceeded, ProviderError
from dspex.runtime import Runtime
from dspex.telemetry import (
    BUDGET_REFUSED,
    EVENTS,
    LIMITER_PAUSE,
    LIMITER_WAIT,
    PARSE,
    SETTINGS_CHANGED,
)
from dspex.testing import FakeTransport, chat_reply
from tests.support.pipeline import answers, ask, error_reply, runtime_on

ANSWER = "[[ ## answer ## ]]\n4\n\n[[ ## completed ## ]]"

Seen = list[tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]]


def listen(runtime: Runtime) -> Seen:
    seen: Seen = []

    def note(event: tuple[str, ...], measured: Any, about: Any, config: object) -> None:
        seen.append((event, dict(measured), dict(about)))

    runtime.bus.attach_many("test", EVENTS, note)
    return seen


def told(seen: Seen, event: tuple[str, ...]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(measured, about) for name, measured, about in seen if name == event]


class TestSteps:
    async def test_a_program_from_its_start_to_its_stop(self) -> None:
        """In the order in which they happen."""
        async with runtime_on(FakeTransport(lambda _: chat_reply(ANSWER)), cache=True) as runtime:
            seen = listen(runtime)
            await dspex.Predict("question -> answer")(question="q")

        assert [
            "dspex.program.start",
            "dspex.lm.request.start",
            "dspex.cache.miss",
            "dspex.lm.request.stop",
            "dspex.program.parse",
            "dspex.program.stop",
        ] == [".".join(event) for event, _, _ in seen]

    async def test_reading_tells_after_how_many_repairs(self) -> None:
        """A model that needs one each time is a wrong model."""
        replies = answers(chat_reply("no fields"), chat_reply(ANSWER))
        async with runtime_on(FakeTransport(replies)) as runtime:
            seen = listen(runtime)
            await dspex.Predict("question -> answer: int")(question="q")

        ((measured, about),) = told(seen, PARSE)
        assert {"repairs": 1} == measured
        assert "Predict" == about["program"]

    @pytest.mark.virtual_time
    async def test_a_call_that_waits_for_its_turn(self) -> None:
        """With how long, and for what."""
        transport = FakeTransport(lambda _: chat_reply("yes"))
        async with runtime_on(transport, requests_per_minute=60) as runtime:
            seen = listen(runtime)
            async with asyncio.TaskGroup() as group:
                for n in range(3):
                    group.create_task(runtime.client().complete(ask(str(n))))

        waits = told(seen, LIMITER_WAIT)
        assert [1, 2] == [round(measured["wait_s"]) for measured, _ in waits]
        assert {("fake", "model", "limiter")} == {
            (about["endpoint"], about["model"], about["stage"]) for _, about in waits
        }

    @pytest.mark.virtual_time
    async def test_a_provider_that_refuses_many_pauses_all(self) -> None:
        """With how long."""
        replies = answers(*[error_reply(429, **{"retry-after": "3"})] * 40, chat_reply("yes"))
        async with runtime_on(FakeTransport(replies), max_retries=8) as runtime:
            seen = listen(runtime)
            await effects.map(
                lambda n: _swallow(lambda: runtime.client().complete(ask(str(n)))), range(40)
            )

        pauses = told(seen, LIMITER_PAUSE)
        assert pauses
        assert {3.0} == {measured["pause_s"] for measured, _ in pauses}

    async def test_a_budget_that_is_spent(self) -> None:
        """Beside the call's own failure."""
        async with runtime_on(FakeTransport(lambda _: chat_reply("yes"))) as runtime:
            seen = listen(runtime)
            spent = dspex.LocalBudget(dspex.Budget(calls=0))
            with dspex.scope(budget=spent), pytest.raises(BudgetExceeded):
                await runtime.client().complete(ask())

        ((_, about),) = told(seen, BUDGET_REFUSED)
        assert "fake" == about["endpoint"]

    async def test_settings_that_change(self) -> None:
        """By name."""
        async with runtime_on(FakeTransport(lambda _: chat_reply("yes"))) as runtime:
            seen = listen(runtime)
            runtime.retune("fake", max_retries=1)

        ((_, about),) = told(seen, SETTINGS_CHANGED)
        assert {"table": "providers.fake", "changes": {"max_retries": 1}} == about


async def _swallow(call: Callable[[], Any]) -> None:
    with suppress(ProviderError):
        await call()
