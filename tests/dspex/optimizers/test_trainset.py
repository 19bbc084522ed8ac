"""A trainset is checked before the first call is paid for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from dspex.errors import DatasetError
from dspex.optimizers.trainset import check_examples, collect_examples
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction

GOOD = Example(question="?", answer="!").with_inputs("question")


class Pipeline(Program):
    """A program with one input that has to be given and one that may be."""

    def __init__(self) -> None:
        self.draft = Predict("question -> draft")

    async def forward(self, question: str, hint: str = "") -> Prediction:
        """Answer."""
        return await self.draft(question=question)


class Open(Program):
    """A program that takes anything."""

    async def forward(self, **inputs: Any) -> Prediction:
        """Answer."""
        return Prediction()


class TestCollect:
    async def test_any_iterable(self) -> None:
        """Lists, generators and async generators are all data."""

        async def items() -> AsyncIterator[Example]:
            yield GOOD

        for dataset in ([GOOD], iter([GOOD]), items()):
            assert await collect_examples(dataset, "trainset") == (GOOD,)

    @pytest.mark.parametrize(
        ("dataset", "message"),
        [
            (None, "trainset is None"),
            (7, "trainset is 7"),
            ([], "trainset is empty"),
            (iter([]), "a generator gives its examples only once"),
            ([GOOD, {"question": "?"}], r"trainset\[1\] is .* \(dict\), not an Example"),
        ],
    )
    async def test_refused(self, dataset: Any, message: str) -> None:
        """The message says which data, which place, and what was found."""
        with pytest.raises(DatasetError, match=message):
            await collect_examples(dataset, "trainset")


class TestCheck:
    @pytest.mark.parametrize(
        ("program", "example", "message"),
        [
            (Predict("question -> answer"), Example(question="?"), r"\[1\] does not say"),
            (
                Predict("question, context -> answer"),
                GOOD,
                r"\[1\] has no input 'context', which Predict needs; its inputs are \['question'\]",
            ),
            (
                Predict("question -> answer"),
                Example(question="?", answer="!").with_inputs("question", "answer"),
                r"\[1\] has an input 'answer', which Predict does not take",
            ),
            (Pipeline(), Example(hint="x").with_inputs("hint"), r"\[1\] has no input 'question'"),
            (
                Pipeline(),
                Example(question="?", more=1).with_inputs("question", "more"),
                r"has an input 'more', which Pipeline does not take",
            ),
        ],
    )
    def test_refused(self, program: Program, example: Example, message: str) -> None:
        """The message names the example, the field and the fix."""
        good = Example(question="?", context="c").with_inputs(
            *(["question", "context"] if "context" in str(program) else ["question"])
        )
        with pytest.raises(DatasetError, match=message):
            check_examples((good, example), program, "trainset")

    @pytest.mark.parametrize(
        ("program", "example"),
        [
            (Predict("question -> answer"), GOOD),
            (Pipeline(), GOOD),
            (Pipeline(), Example(question="?", hint="h").with_inputs("question", "hint")),
            (Open(), Example(anything=1).with_inputs("anything")),
        ],
    )
    def test_accepted(self, program: Program, example: Example) -> None:
        """What the program can be called with is fine."""
        check_examples((example,), program, "trainset")
