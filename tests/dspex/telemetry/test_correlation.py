"""One id follows a request through its tasks, into every event and every log line."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import structlog

import dspex
from dspex import telemetry
from dspex.telemetry.log import add_correlation_id, build_logger
from dspex.testing import FakeTransport, chat_reply
from tests.support.pipeline import runtime_on

ANSWER = "[[ ## answer ## ]]\n4\n\n[[ ## completed ## ]]"
OF_A_CALL = (
    telemetry.PROGRAM_START,
    telemetry.PROGRAM_STOP,
    telemetry.PARSE,
    telemetry.LM_START,
    telemetry.LM_STOP,
    telemetry.CACHE_HIT,
    telemetry.CACHE_MISS,
)


class TestCorrelation:
    async def test_into_every_event_of_a_request_across_tasks(self) -> None:
        """Two requests at once keep theirs."""
        seen: list[tuple[str, str]] = []

        def note(event: tuple[str, ...], _: Any, about: Any, config: object) -> None:
            seen.append((about["correlation_id"], event[-1]))

        program = dspex.Predict("question -> answer")

        async def serve(name: str) -> None:
            with dspex.scope(correlation_id=name):
                await dspex.map(lambda n: program(question=f"{name} {n}"), range(3))

        transport = FakeTransport(lambda _: chat_reply(ANSWER))
        async with runtime_on(transport, cache=True) as runtime:
            runtime.bus.attach_many("test", OF_A_CALL, note)
            async with asyncio.TaskGroup() as group:
                group.create_task(serve("one"))
                group.create_task(serve("two"))

        assert {"one", "two"} == {name for name, _ in seen}
        for name in ("one", "two"):
            events = sorted(event for given, event in seen if given == name)
            assert sorted(["start", "start", "stop", "stop", "parse", "miss"] * 3) == events

    async def test_a_program_makes_one_where_there_is_none(self) -> None:
        """And all below it share that."""
        seen: set[str] = set()
        transport = FakeTransport(lambda _: chat_reply(ANSWER))
        async with runtime_on(transport) as runtime:
            runtime.bus.attach_many(
                "test", OF_A_CALL, lambda _e, _m, about, _c: seen.add(str(about["correlation_id"]))
            )
            await dspex.Predict("question -> answer")(question="q")

        assert 1 == len(seen)
        assert 16 == len(seen.pop())

    def test_into_the_lines_of_the_applications_own_log(self) -> None:
        """By a structlog processor; what a line says itself stays."""
        stream = io.StringIO()
        logger = structlog.wrap_logger(
            structlog.PrintLogger(stream),
            processors=[add_correlation_id, structlog.processors.JSONRenderer()],
        )
        with dspex.scope(correlation_id="mine"):
            logger.info("inside")
            logger.info("other", correlation_id="theirs")

        logger.info("outside")

        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert ["mine", "theirs", None] == [line.get("correlation_id") for line in lines]

    def test_into_our_own_log(self) -> None:
        """Whatever wrote the line."""
        stream = io.StringIO()
        with dspex.scope(correlation_id="mine"):
            build_logger("json", "info", stream).info("said")

        assert "mine" == json.loads(stream.getvalue())["correlation_id"]
