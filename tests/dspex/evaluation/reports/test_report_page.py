"""The page of a report: bounded, safe, honest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dspex.errors import DatasetError, ErrorData, ErrorKind, to_exception
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import Score, exact_match
from dspex.evaluation.report import Report
from dspex.evaluation.reports import report_page
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction

EVIL = "<script>alert(1)</script><img src=//x.example onerror=alert(1)>"
EXAMPLES = [
    Example(
        question=f"{EVIL} {number}",
        answer=f"the answer to this question is number {number}",
        kind="x",
    ).with_inputs("question")
    for number in range(30)
]


async def program(question: str) -> Prediction:
    """Fail at 3, be unavailable at 5, be wrong at each fifth."""
    number = int(question.split()[-1])
    if number == 3:
        raise ValueError(EVIL)

    if number == 5:
        raise to_exception(ErrorData(ErrorKind.SERVER, EVIL, provider="p", model="m"))

    said = number + 1 if number % 5 == 0 else number
    return Prediction(answer=f"the answer to this question is number {said}", extra=EVIL)


def metric(example: Example, prediction: Prediction) -> Score:
    """Judge with feedback."""
    right = example["answer"] == prediction["answer"]
    return Score(right, None if right else f"wrong {EVIL}")


async def make(**options: Any) -> Report:
    """Evaluate it."""
    return await evaluate(program, EXAMPLES, metric, max_outage_s=0, **options)


class TestSafe:
    async def test_nothing_is_run_or_loaded(self) -> None:
        """What models, datasets and errors say is text, wherever it stands on the page."""
        text = report_page(await make(), EXAMPLES)
        assert "<script" not in text
        assert "<img" not in text
        assert "&lt;script&gt;" in text
        assert not re.search(r"(?:src|href)=\"(?!#)", text)
        assert not re.search(r"url\(|@import|https?:", text)

    async def test_strange_values(self, tmp_path: Path) -> None:
        """Values without a JSON form, surrogates and very long texts are shown somehow."""

        async def odd(question: str) -> Prediction:
            return Prediction(answer="\ud800" + "x" * 9_000, thing=object(), n=float("nan"))

        report = await evaluate(odd, EXAMPLES[:2], exact_match("answer"))
        report.to_html(tmp_path / "r.html", examples=EXAMPLES)
        text = (tmp_path / "r.html").read_text()
        assert "more characters" in text
        assert len(text) < 60_000


class TestContent:
    async def test_sections(self) -> None:
        """Score, certainty, coverage, errors by class, fields, single examples."""
        text = report_page(await make(), EXAMPLES)
        for part in (
            "over 96.7% of the examples",
            "95 % interval",
            "1 failed (counted 0)",
            "1 unavailable (left out)",
            "ValueError",
            "ServerError",
            "Differences by field",
            "<ins>",
            "<del>",
            "wrong &lt;script",
            "Slowest",
        ):
            assert part in text, part

    async def test_without_the_dataset(self) -> None:
        """The page says what it lacks."""
        text = report_page(await make())
        assert "Made without the dataset" in text
        assert "Differences by field" not in text

    async def test_stopped_run(self) -> None:
        """An early stop stands on top."""
        text = report_page(await make(max_errors=1, max_concurrency=1))
        assert "Stopped early" in text
        assert "not run" in text

    async def test_nothing_counts(self) -> None:
        """Without a score there is still a page."""

        async def broken(question: str) -> Prediction:
            raise ValueError

        report = await evaluate(broken, EXAMPLES[:3], metric, on_error="skip")
        text = report_page(report, EXAMPLES)
        assert "no score" in text
        assert "over 0.0% of the examples" in text

    async def test_epochs_and_clusters(self) -> None:
        """Epochs are told one by one, clusters beside the error."""
        text = report_page(await make(epochs=2, cluster="kind"), EXAMPLES)
        assert "reduced by mean" in text
        assert "epoch 1" in text


class TestBounded:
    @pytest.mark.slow
    async def test_many_outcomes(self) -> None:
        """Thousands of failures make no page of thousands of rows, and are counted."""

        async def hopeless(question: str) -> Prediction:
            raise ValueError(question * 50)

        examples = [
            Example(question=str(n), answer="").with_inputs("question") for n in range(3_000)
        ]
        report = await evaluate(hopeless, examples, metric)
        text = report_page(report, examples)
        assert text.count("<details") < 120
        assert "60 of 3,000 shown" in text
        assert len(text) < 300_000


class TestDataset:
    async def test_other_dataset(self) -> None:
        """A dataset that is not the run's is refused by its first example that differs."""
        other = [example.with_values(answer="?") for example in EXAMPLES]
        with pytest.raises(DatasetError, match=r"example 0, .* is not the one of the report"):
            report_page(await make(), other)

    @pytest.mark.parametrize(
        ("examples", "text"), [(3, "not an iterable"), (["x"], "item 0 of examples is 'x'")]
    )
    async def test_no_dataset(self, examples: Any, text: str) -> None:
        """What is none is refused."""
        with pytest.raises(DatasetError, match=text):
            report_page(await make(), examples)

    async def test_async_dataset(self) -> None:
        """One that can only be read asynchronously has to be a list first."""

        async def stream() -> Any:
            yield EXAMPLES[0]

        with pytest.raises(DatasetError, match="read into a list first"):
            report_page(await make(), stream())
