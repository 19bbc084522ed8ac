"""Log lines are written by a thread, in order; a pipe that nobody reads holds nobody up."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from dspex.telemetry import BREAKER_STATE
from dspex.telemetry.log import build_logger, log_child
from dspex.telemetry.sink import LogSink
from supervision import Bus


class TestLogSink:
    def test_lines_come_in_order_after_those_that_are_there(self, tmp_path: Path) -> None:
        """A restart does not lose yesterday's log; its folder is made."""
        path = tmp_path / "logs" / "dspex.log"
        for text in ("one\n", "two\n"):
            sink = LogSink(path)
            for number in range(1_000):
                sink.write(f"{number} {text}")

            sink.close(5.0)

        lines = path.read_text().splitlines()
        assert [f"{n} {text}" for text in ("one", "two") for n in range(1_000)] == lines

    def test_a_pipe_that_nobody_reads_holds_nobody_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What does not fit is dropped and counted."""
        read, write = os.pipe()
        with os.fdopen(write, "w") as pipe, os.fdopen(read, "rb") as reader:
            monkeypatch.setattr("sys.stderr", pipe)
            sink = LogSink()
            began = time.monotonic()
            for _ in range(30_000):
                sink.write("x" * 100)

            sink.close(0.01)
            took_s = time.monotonic() - began
            dropped = sink.dropped
            os.set_blocking(read, False)
            while not sink._thread.close(0.005):
                reader.read1(1 << 20)

        assert dropped > 10_000
        assert took_s < 5

    def test_a_closed_stream_costs_lines_and_no_call(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The application has closed its standard error."""
        stream = (tmp_path / "err").open("w")
        monkeypatch.setattr("sys.stderr", stream)
        sink = LogSink()
        stream.close()

        sink.write("lost")
        sink.close(5.0)

        assert 1 == sink.dropped

    def test_half_a_character_is_written_escaped(self, tmp_path: Path) -> None:
        """Models write lone surrogates, and errors quote them."""
        sink = LogSink(tmp_path / "log")
        sink.write("bad \ud800\n")
        sink.close(5.0)

        assert "bad \\ud800\n" == (tmp_path / "log").read_text()


class TestLogChild:
    async def test_what_was_logged_is_in_the_file_when_the_child_has_ended(
        self, tmp_path: Path
    ) -> None:
        """One JSON line an event."""
        bus, up = Bus(), asyncio.Event()
        path = tmp_path / "dspex.log"
        task = asyncio.create_task(
            log_child(bus, "json", "warning", path, ready=lambda _: up.set())
        )
        await up.wait()

        bus.execute(BREAKER_STATE, {}, {"breaker": "p/m", "new": "open"})
        task.cancel()
        await asyncio.wait([task])

        line = json.loads(path.read_text())
        assert ("dspex.breaker.state", "p/m") == (line["event"], line["breaker"])

    def test_every_level_has_its_method(self, tmp_path: Path) -> None:
        """Whatever an event's level is called."""
        sink = LogSink(tmp_path / "log")
        logger = build_logger("json", "debug", sink)
        for level in ("debug", "info", "warning", "error", "critical"):
            getattr(logger, level)("said")

        sink.close(5.0)
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        assert ["debug", "info", "warning", "error", "critical"] == [
            line["level"] for line in lines
        ]
