"""A program or metric that changed is told from one that did not."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dspex.errors import ConfigError
from dspex.evaluation.fingerprint import Fingerprint, models_of, own_digest, spoken_name
from dspex.evaluation.metrics import exact_match, f1
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel

ROOT = Path(__file__).parents[3]


def of(value: object) -> str:
    """Return the digits alone."""
    return Fingerprint.of(value, "x").digest


def typed(source: str, name: str = "f") -> Any:
    """Return what source defines that no file holds."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(source, space)
    return space[name]


async def one(question: str) -> Prediction:
    """Answer."""
    return Prediction(answer="1")


async def two(question: str) -> Prediction:
    """Answer."""
    return Prediction(answer="2")


class Pipeline(Program):
    """A program with a forward of its own."""

    def __init__(self) -> None:
        self.draft = Predict("question -> answer")

    async def forward(self, question: str) -> Prediction:
        """Answer."""
        return await self.draft(question=question)


class TestFingerprint:
    def test_same(self) -> None:
        """Two of a kind are the same."""
        assert of(Predict("question -> answer")) == of(Predict("question -> answer"))
        assert of(one) == of(one)
        assert of(exact_match("answer")) == of(exact_match("answer"))

    @pytest.mark.parametrize(
        ("left", "right"),
        [
            (Predict("question -> answer"), Predict("question -> reply")),
            (Predict("question -> answer"), Predict("question -> answer", max_repairs=3)),
            (one, two),
            (exact_match("answer"), exact_match("reply")),
            (exact_match("answer"), f1("answer")),
            (Pipeline(), Predict("question -> answer")),
        ],
    )
    def test_different(self, left: object, right: object) -> None:
        """Other settings, other source or another class make another."""
        assert of(left) != of(right)

    def test_the_source_of_a_program_counts(self) -> None:
        """Two programs of one name and shape with another forward are two."""
        source = """
from dspex.programs.program import Program
class P(Program):
    async def forward(self, question):
        return {0}
"""
        assert of(typed(source.format(1), "P")()) != of(typed(source.format(2), "P")())

    def test_functions_that_no_file_holds(self) -> None:
        """What was typed at a prompt is told apart by its code."""
        first, again, other = (typed(f"def f(a, b): return a == {n}") for n in (1, 1, 2))
        assert of(first) == of(again) != of(other)
        inner = "def f(a, b):\n  return [x + {0} for x in a]"
        assert of(typed(inner.format(1))) != of(typed(inner.format(2)))

    @pytest.mark.parametrize("value", [functools.partial(one), object(), len, lambda a, b: a])
    def test_anything_has_one(self, value: object) -> None:
        """What tells nothing about itself is known by its kind."""
        assert len(of(value)) == 16

    def test_is_the_same_in_another_process(self) -> None:
        """Whatever the seed of the hash is."""
        script = (
            "from dspex.evaluation.fingerprint import Fingerprint;"
            "from dspex.programs.predict import Predict;"
            "print(Fingerprint.of(Predict('question -> answer'), 'x').digest)"
        )
        told = {
            subprocess.run(
                [sys.executable, "-c", script],
                env={"PYTHONHASHSEED": seed},
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for seed in ("1", "2")
        }
        assert told == {of(Predict("question -> answer"))}

    def test_functions_with_sets_in_another_process(self) -> None:
        """The order of a set is another in each process, and says nothing."""
        script = (
            "from dspex.evaluation.fingerprint import Fingerprint;"
            "space = {};"
            'exec(\'def f(x): return x in {"a", "b", "c", "d"}\', space);'
            "print(Fingerprint.of(space['f'], 'x').digest)"
        )
        told = {
            subprocess.run(
                [sys.executable, "-c", script],
                env={"PYTHONHASHSEED": seed},
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2", "3")
        }
        assert len(told) == 1

    def test_survives_json(self) -> None:
        """It is written into the file of a run, and compared with what is found there."""
        found = Fingerprint.of(one, "one")
        assert Fingerprint.from_dict(found.to_dict()) == found
        assert str(found) == f"one ({found.digest})"


def test_own_digest() -> None:
    """Only what gives a digest of itself has one."""
    program = Predict("question -> answer")
    assert own_digest(program) == program.digest()
    assert own_digest(one) is None


def test_spoken_name() -> None:
    """A function is called by its name, anything else by its class."""
    assert spoken_name(one) == "one"
    assert spoken_name(Predict("question -> answer")) == "Predict"
    assert spoken_name(TestFingerprint().test_same) == "TestFingerprint.test_same"


class FakeRuntime:
    """As much of a runtime as is asked for a model."""

    def __init__(self, model: object) -> None:
        self.model = model

    def client(self, name: str | None = None) -> Any:
        """Return the only model, or fail as one without any does."""
        if isinstance(self.model, Exception):
            raise self.model

        return self.model


class TestModelsOf:
    @pytest.mark.parametrize(
        ("program", "runtime", "expected"),
        [
            (Predict("question -> answer", client="p/b"), None, ("p/b",)),
            (
                Predict("question -> answer").with_client(ScriptedModel([])),
                None,
                ("scripted/model",),
            ),
            (Predict("question -> answer"), FakeRuntime(ScriptedModel([], name="p/a")), ("p/a",)),
            (Predict("question -> answer"), FakeRuntime(ConfigError("no", source="", key="")), ()),
            (Predict("question -> answer"), None, ()),
            (one, None, ()),
        ],
    )
    def test_names(self, program: Any, runtime: Any, expected: tuple[str, ...]) -> None:
        """Each predictor's own, or the runtime's; what does not tell is left out."""
        assert models_of(program, runtime) == expected

    def test_of_several(self) -> None:
        """Each once, in order."""
        program = Pipeline().with_client("p/b")
        pair = MultiPart(program, Predict("question -> answer", client="p/a"))
        assert models_of(pair, None) == ("p/a", "p/b")


class MultiPart(Program):
    """Two programs."""

    def __init__(self, first: Program, second: Program) -> None:
        self.first = first
        self.second = second
