"""What a call is known by: program, models, inputs and what their files hold."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from dspex.programs.identity import call_key, identify_call
from dspex.programs.predict import Predict
from dspex.programs.two_step import TwoStep
from dspex.runtime import Runtime
from dspex.testing.models import ScriptedModel
from dspex.types import Image

PNG = b"\x89PNG\r\n\x1a\n"


def named(name: str) -> ScriptedModel:
    return ScriptedModel([], name=name)


async def key_of(program: Predict, **inputs: Any) -> str | None:
    return await identify_call(program, program.digest(), inputs)


class TestIdentifyCall:
    async def test_models_are_told_apart(self) -> None:
        """Digests leave clients out, and two models do not give one answer."""
        program = Predict("question -> answer")
        first, second = program.with_client(named("a/x")), program.with_client(named("b/y"))
        extracting = program.with_client(named("a/x")).changed(adapter=TwoStep(named("c/z")))
        keys = [await key_of(asked, question="?") for asked in (first, second, extracting)]
        assert len(set(keys)) == 3
        again = program.with_client(named("a/x"))
        assert keys[0] == await key_of(again, question="?")

    async def test_the_default_model_of_a_runtime_counts(self) -> None:
        """A client that is left open is whoever would answer now."""
        program = Predict("question -> answer")
        keys = {await key_of(program, question="?")}
        for default in ("openai/a", "openai/b"):
            async with Runtime(log="off", default=default):
                keys |= {
                    await key_of(program, question="?"),
                    await key_of(program.with_client(default), question="?"),
                }

        assert len(keys) == 3

    async def test_files_count_by_what_they_hold(self, tmp_path: Path) -> None:
        """A file that was written again is another input."""
        program = Predict("photo: Image -> answer", client=named("a/x"))
        (tmp_path / "x.png").write_bytes(PNG + b"1")
        first = await key_of(program, photo=Image(tmp_path / "x.png"))
        (tmp_path / "x.png").write_bytes(PNG + b"2")
        second = await key_of(program, photo=Image(tmp_path / "x.png"))
        assert first != second
        assert first == await key_of(program, photo=Image(PNG + b"1"))

    async def test_some_inputs_are_known_by_nothing(self, tmp_path: Path) -> None:
        """A missing file, a value without a JSON form: the program itself says what is wrong."""
        program = Predict("given: object -> answer", client=named("a/x"))
        assert await key_of(program, given=object()) is None
        assert await key_of(program, given=Image(tmp_path / "none.png")) is None


class TestCallKey:
    def test_equal_calls_share_a_key(self) -> None:
        """Whatever the order of the inputs."""
        assert call_key("d", {"a": 1, "b": [2]}) == call_key("d", {"b": [2], "a": 1})

    def test_whatever_differs_tells_calls_apart(self) -> None:
        """Program, names and values."""
        keys = {
            call_key("d", {"a": 1}),
            call_key("e", {"a": 1}),
            call_key("d", {"b": 1}),
            call_key("d", {"a": "1"}),
            call_key("d", {"a": datetime.date(2026, 1, 1)}),
        }
        assert len(keys) == 5

    def test_a_value_without_a_json_form_is_named(self) -> None:
        """It could not be known again in another process."""
        with pytest.raises(TypeError, match="object"):
            call_key("d", {"a": object()})
