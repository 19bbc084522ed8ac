"""The events of a call, for those who listen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dspex.effects import announce_runtime, retract_runtime, scope
from dspex.errors import ParseError
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.signatures.prediction import Prediction
from dspex.telemetry.events import PROGRAM_EXCEPTION, PROGRAM_START, PROGRAM_STOP, REPAIR
from dspex.testing.models import ScriptedModel
from supervision.telemetry import Bus

_ALL = (PROGRAM_START, PROGRAM_STOP, PROGRAM_EXCEPTION, REPAIR)


class FakeRuntime:
    name = "fake"
    cache: Any = None
    tasks: Any = None

    def __init__(self) -> None:
        self.bus = Bus()
        self.seen: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = []

    def client(self, name: str | None = None) -> Any:
        raise AssertionError("no client is asked for")

    def listen(self) -> None:
        self.bus.attach_many("test", _ALL, self._note)

    def _note(
        self,
        event: tuple[str, ...],
        measurements: Mapping[str, Any],
        metadata: Mapping[str, Any],
        config: object,
    ) -> None:
        self.seen.append((event[-1], measurements, metadata))


class Wrapper(Program):
    def __init__(self, *answers: Any) -> None:
        self.part = Predict("a -> b", client=ScriptedModel(answers))

    async def forward(self, a: str) -> Prediction:
        return await self.part(a=a)


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


async def test_start_and_stop_of_every_program(runtime: FakeRuntime) -> None:
    """With its place, duration and the id of the whole call."""
    runtime.listen()
    with scope(runtime=runtime, correlation_id="id"):
        await Wrapper({"b": "x"})(a="y")

    shown = [(event, data["program"], data["path"]) for event, _, data in runtime.seen]
    assert shown == [
        ("start", "Wrapper", ("Wrapper",)),
        ("start", "Predict", ("Wrapper", "part")),
        ("stop", "Predict", ("Wrapper", "part")),
        ("stop", "Wrapper", ("Wrapper",)),
    ]
    assert {data["correlation_id"] for _, _, data in runtime.seen} == {"id"}
    assert all(m["duration_s"] >= 0 for event, m, _ in runtime.seen if event == "stop")


async def test_repairs_and_errors(runtime: FakeRuntime) -> None:
    """The error is in the metadata."""
    runtime.listen()
    with scope(runtime=runtime), pytest.raises(ParseError):
        await Wrapper("junk", "junk")(a="y")

    assert [event for event, _, _ in runtime.seen] == [
        "start",
        "start",
        "repair",
        "exception",
        "exception",
    ]
    assert all(isinstance(data["error"], ParseError) for _, _, data in runtime.seen[2:])


async def test_the_open_runtime_is_found(runtime: FakeRuntime) -> None:
    """Also by programs that have clients of their own."""
    runtime.listen()
    announce_runtime(runtime)
    try:
        await Wrapper({"b": "x"})(a="y")
    finally:
        retract_runtime(runtime)

    assert len(runtime.seen) == 4


async def test_nobody_listens(runtime: FakeRuntime) -> None:
    """Then nothing is built, and nothing needs a runtime."""
    with scope(runtime=runtime):
        await Wrapper({"b": "x"})(a="y")

    await Wrapper({"b": "x"})(a="y")
    assert runtime.seen == []


async def test_a_handler_that_fails_is_not_felt(runtime: FakeRuntime) -> None:
    """The bus lets go of it and the call goes on."""

    def fail(*_: object) -> None:
        raise RuntimeError("handler")

    runtime.bus.attach_many("bad", _ALL, fail)
    with scope(runtime=runtime):
        assert (await Wrapper({"b": "x"})(a="y")).b == "x"
