"""Log lines are written for what matters, to the stream that was given, and never about prompts."""

from __future__ import annotations

import asyncio
import io
import json

import pytest

from dspex.telemetry import BREAKER_STATE, LM_RETRY
from dspex.telemetry.log import build_logger, log_exporter
from supervision import Bus


async def run_exporter(bus: Bus, logger: object, level: str) -> asyncio.Task[None]:
    up = asyncio.Event()
    task = asyncio.create_task(log_exporter(bus, logger, level, ready=lambda _: up.set()))
    await up.wait()
    return task


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class TestLogExporter:
    async def test_a_state_change_becomes_one_json_line(self) -> None:
        """An operator's collector gets name, level, time and every field."""
        bus, stream = Bus(), io.StringIO()
        task = await run_exporter(bus, build_logger("json", "warning", stream), "warning")

        bus.execute(BREAKER_STATE, {"retry_after_s": 1.23456}, {"breaker": "p/m", "new": "open"})
        await stop(task)

        line = json.loads(stream.getvalue())
        assert ("dspex.breaker.state", "warning", 1.2346, "p/m") == (
            line["event"],
            line["level"],
            line["retry_after_s"],
            line["breaker"],
        )
        assert "timestamp" in line

    async def test_a_quiet_log_listens_to_nothing_it_would_not_write(self) -> None:
        """Nobody builds an event for a line that is filtered out."""
        bus = Bus()
        task = await run_exporter(bus, build_logger("json", "warning", io.StringIO()), "warning")

        assert BREAKER_STATE in bus.listeners
        assert LM_RETRY not in bus.listeners
        await stop(task)

    async def test_leaves_the_bus_as_it_found_it(self) -> None:
        """A restart of the child does not add a second listener."""
        bus = Bus()

        await stop(await run_exporter(bus, build_logger("json", "debug", io.StringIO()), "debug"))

        assert not bus.active

    async def test_a_closed_stream_costs_the_listener_and_not_the_caller(self) -> None:
        """A full disk or a closed pipe never reaches the call that was watched."""
        bus, stream = Bus(), io.StringIO()
        task = await run_exporter(bus, build_logger("json", "warning", stream), "warning")
        stream.close()

        bus.execute(BREAKER_STATE, {}, {"new": "open"})

        assert BREAKER_STATE not in bus.listeners
        await stop(task)

    async def test_values_that_are_no_json_are_written_as_text(self) -> None:
        """An exception or an object in the metadata is shown, not a crash."""
        bus, stream = Bus(), io.StringIO()
        task = await run_exporter(bus, build_logger("json", "warning", stream), "warning")

        bus.execute(BREAKER_STATE, {}, {"error": ValueError("down")})
        await stop(task)

        assert "down" in json.loads(stream.getvalue())["error"]

    async def test_the_failure_of_another_listener_is_written(self) -> None:
        """Its event has a field of the name that the logger's own call uses."""
        bus, stream = Bus(), io.StringIO()
        task = await run_exporter(bus, build_logger("json", "warning", stream), "warning")

        def broken(*_: object) -> None:
            raise RuntimeError("their bug")

        bus.attach("theirs", LM_RETRY, broken)
        bus.execute(LM_RETRY, {}, {})

        line = json.loads(stream.getvalue())
        assert ("theirs", "RuntimeError: their bug") == (line["handler_id"], line["reason"])
        assert BREAKER_STATE in bus.listeners
        await stop(task)

    async def test_half_a_character_does_not_cost_the_log(self) -> None:
        """Models write lone surrogates, and errors quote them."""
        bus, stream = Bus(), io.StringIO()
        task = await run_exporter(bus, build_logger("json", "warning", stream), "warning")

        bus.execute(BREAKER_STATE, {}, {"error": "bad \ud800"})

        assert "bad \ud800" == json.loads(stream.getvalue())["error"]
        assert BREAKER_STATE in bus.listeners
        await stop(task)

    async def test_the_console_style_is_readable_text(self) -> None:
        """Without a collector a person reads it."""
        bus, stream = Bus(), io.StringIO()
        task = await run_exporter(bus, build_logger("console", "warning", stream), "warning")

        bus.execute(BREAKER_STATE, {}, {"breaker": "p/m", "new": "open"})
        await stop(task)

        assert "dspex.breaker.state" in stream.getvalue()
        assert "breaker=p/m" in stream.getvalue()
