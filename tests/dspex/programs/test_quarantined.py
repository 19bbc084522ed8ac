"""Quarantined: an input that keeps failing is refused, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from dspex.config import QuarantineSettings, Settings
from dspex.errors import (
    ErrorData,
    ErrorKind,
    InputError,
    InputQuarantined,
    ParseError,
    RuntimeNotFound,
    ServerError,
)
from dspex.programs.predict import Predict
from dspex.programs.quarantined import Quarantined
from dspex.runtime import Runtime
from dspex.telemetry import INPUT_QUARANTINED
from dspex.testing.models import ScriptedModel


def quarantined(*answers: Any) -> tuple[Quarantined, ScriptedModel]:
    model = ScriptedModel(answers)
    return Quarantined(Predict("question -> answer", client=model, max_repairs=0)), model


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    settings = Settings.from_code(log="off", quarantine=QuarantineSettings(max_failures=2))
    async with Runtime(settings) as runtime:
        yield runtime


class TestQuarantined:
    async def test_it_is_refused_without_asking(self, runtime: Runtime) -> None:
        """The error shows the input, its errors, the time left and the way out."""
        program, model = quarantined("bad", "bad", {"answer": "never asked"})
        for _ in range(2):
            with pytest.raises(ParseError):
                await program(question="poison")

        with pytest.raises(InputQuarantined, match=r"poison.*release\(\)") as caught:
            await program(question="poison")

        assert model.calls == 2
        assert 3_590.0 < caught.value.retry_after_s <= 3_600.0
        assert len(caught.value.failures) == 2
        assert runtime.quarantine.statistics(0.0).refused == 1

    async def test_other_inputs_pass(self, runtime: Runtime) -> None:
        """And so does the same input once it is released."""
        program, _ = quarantined("bad", "bad", {"answer": "a"}, {"answer": "b"})
        for _ in range(2):
            with pytest.raises(ParseError):
                await program(question="poison")

        assert (await program(question="fine")).answer == "a"
        runtime.quarantine.release()
        assert (await program(question="poison")).answer == "b"

    async def test_an_outage_is_not_the_inputs_fault(self, runtime: Runtime) -> None:
        """However often the provider is down, nobody is locked out."""
        down = ServerError(ErrorData(ErrorKind.SERVER, "down", status=503))
        program, _ = quarantined(down, down, down, {"answer": "a"})
        for _ in range(3):
            with pytest.raises(ServerError):
                await program(question="?")

        assert (await program(question="?")).answer == "a"

    async def test_a_wrong_call_is_not_the_inputs_fault(self, runtime: Runtime) -> None:
        """A missing input is the caller's mistake."""
        program, _ = quarantined()
        for _ in range(3):
            with pytest.raises(InputError):
                await program(quesiton="?")

    async def test_it_is_announced(self, runtime: Runtime) -> None:
        """One event, when the input enters."""
        heard: list[Any] = []

        def hear(name: object, numbers: object, about: object, config: object) -> None:
            heard.append((numbers, about))

        runtime.bus.attach("test", INPUT_QUARANTINED, hear)
        program, _ = quarantined("bad", "bad")
        for _ in range(2):
            with pytest.raises(ParseError):
                await program(question="poison")

        ((numbers, about),) = heard
        assert numbers == {"failures": 2}
        assert "poison" in about["input"]

    async def test_it_needs_a_runtime(self) -> None:
        """The memory is the runtime's; without one there is none to ask."""
        program, _ = quarantined({"answer": "a"})
        with pytest.raises(RuntimeNotFound):
            await program(question="?")
