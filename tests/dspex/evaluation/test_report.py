"""What a report says, and what it never hides."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dspex.errors import ErrorData, ErrorKind, to_exception
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match
from dspex.evaluation.outcome import Status
from dspex.evaluation.report import Report
from dspex.programs.predict import Predict
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel

pytestmark = pytest.mark.virtual_time


async def program(question: str) -> Prediction:
    """Take a second for each; fail at 3, be unavailable at 5, be wrong at 7."""
    number = int(question)
    await asyncio.sleep(number + 1)
    if number == 3:
        raise ValueError("cannot\ncount")

    if number == 5:
        raise to_exception(ErrorData(ErrorKind.SERVER, "down", provider="p", model="m"))

    return Prediction(answer="no" if number == 7 else "yes")


async def make(count: int = 20, **options: Any) -> Report:
    """Evaluate that program."""
    examples = [
        Example(question=str(number), answer="yes").with_inputs("question")
        for number in range(count)
    ]
    return await evaluate(program, examples, exact_match("answer"), **options)


class TestFigures:
    async def test_score_and_counts(self) -> None:
        """Seventeen of nineteen are right, and one could not be asked."""
        report = await make()
        assert report.score == pytest.approx(17 / 19)
        assert report.coverage == 0.95
        counts = report.counts
        assert (counts.scored, counts.failed, counts.unavailable) == (18, 1, 1)
        assert (counts.total, counts.not_run) == (20, 0)
        assert report.stderr == pytest.approx((17 / 19 * 2 / 19 / 18) ** 0.5)
        assert report.ci95 is not None
        assert report.ci95[0] < report.score < report.ci95[1] < 1

    async def test_errors_by_class(self) -> None:
        """Each class with its count, whether it was an outage, and an example."""
        report = await make()
        assert set(report.errors) == {"ValueError", "ServerError"}
        (sample,) = report.errors["ValueError"].samples
        assert (sample.index, sample.message) == (3, "cannot\ncount")
        assert report.errors["ServerError"].unavailable == 1

    async def test_latency(self) -> None:
        """Percentiles over all that ended."""
        report = await make()
        assert report.latency is not None
        assert report.latency.p50 == pytest.approx(10.5)
        assert report.latency.max == pytest.approx(20)

    async def test_all_right_is_not_certain(self) -> None:
        """A perfect score of three has a wide interval."""
        report = await make(3)
        assert report.score == 1.0
        assert report.ci95 is not None
        assert report.ci95[0] < 0.5
        assert report.ci95[1] == 1.0


class TestOutcomes:
    async def test_slowest(self) -> None:
        """The slowest first."""
        assert [outcome.index for outcome in (await make()).slowest(3)] == [19, 18, 17]

    async def test_failures(self) -> None:
        """Everything without a score, in dataset order."""
        report = await make()
        assert [outcome.index for outcome in report.failures()] == [3, 5]

    async def test_by_index(self) -> None:
        """Single outcomes can be looked up, and read as often as one likes."""
        outcomes = (await make()).outcomes
        for _ in range(2):
            assert [outcome.index for outcome in outcomes.at(7, 0)] == [7, 0]

        assert [outcome.index for outcome in outcomes.ended(Status.UNAVAILABLE)] == [5]
        with pytest.raises(LookupError, match="example 99 has no outcome"):
            outcomes.at(99)

    async def test_representation(self) -> None:
        """It says how many there are and where."""
        assert repr((await make(3)).outcomes).startswith("<Outcomes 3 in <SpillSink")


class TestText:
    async def test_table(self) -> None:
        """The whole report on a screen, coverage included."""
        assert str(await make()) == (
            "program  by ExactMatch('answer')\n"
            "  score     0.895  95 % [0.686, 0.971] (Wilson)  over 95.0% of the examples\n"
            "  examples  20: 18 scored, 1 failed (counted 0), 1 unavailable\n"
            "  time      50 s, 0.4 examples/s\n"
            "  latency   p50 10 s  p90 18 s  p99 20 s  max 20 s\n"
            "  errors    1 ValueError  e.g. 3: cannot count\n"
            "            1 ServerError  e.g. 5: p/m: down"
        )

    async def test_calls_and_cost(self) -> None:
        """What the model was asked is part of the report."""
        model = ScriptedModel(lambda request: {"answer": "yes"})
        examples = [Example(question="?", answer="yes").with_inputs("question")]
        report = await evaluate(
            Predict("question -> answer").with_client(model), examples, exact_match("answer")
        )
        assert report.cost_usd == 0
        assert (report.cache_hits, report.failed_attempts) == (0, 0)
        assert "calls     1 model call\n" in str(report)
        assert "in, " in str(report)

    async def test_stop_is_told(self) -> None:
        """A run that stopped says why and how much it left out."""
        text = str(await make(max_errors=1, max_concurrency=1))
        assert "16 not run" in text
        assert "stopped   1 of 4 examples gave no score (max_errors=1)" in text
        assert "over 20.0% of the examples" in text

    async def test_many_kinds_of_errors(self) -> None:
        """The table shows the most frequent kinds and says how many more there are."""

        async def program(question: str) -> Prediction:
            raise type(f"Error{question}", (Exception,), {})("x")

        examples = [Example(question=str(n)).with_inputs("question") for n in range(8)]
        text = str(await evaluate(program, examples, exact_match("answer")))
        assert "and 3 more kinds" in text

    async def test_nothing_counts(self) -> None:
        """Without a score there is no number."""

        async def program(question: str) -> Prediction:
            raise ValueError

        examples = [Example(question="?").with_inputs("question")]
        report = await evaluate(program, examples, exact_match("answer"), on_error="skip")
        assert "score     none: no example counts" in str(report)
        assert json.loads(report.to_json())["score"] is None


class TestJson:
    async def test_all_figures(self) -> None:
        """The report as data, without the outcomes."""
        report = await make()
        data = json.loads(report.to_json())
        assert data == report.to_dict()
        assert data["score"] == report.score
        assert data["ci95"] == list(report.ci95 or ())
        assert data["ci95_method"] == "Wilson"
        assert data["counts"] == {
            "scored": 18,
            "failed": 1,
            "unavailable": 1,
            "total": 20,
            "not_run": 0,
        }
        assert data["errors"]["ValueError"]["samples"][0]["index"] == 3
        assert data["latency_s"]["max"] == pytest.approx(20)

    async def test_file(self, tmp_path: Path) -> None:
        """The text is also written where one asks for it, and replaces what was there."""
        report = await make(3)
        (tmp_path / "r.json").write_text("old")
        assert report.to_json(tmp_path / "r.json") == (tmp_path / "r.json").read_text()


class TestNarrow:
    @pytest.mark.parametrize("width", [30, 50, 80])
    async def test_long_lines_go_on_below(self, width: int) -> None:
        """On a narrow terminal nothing is lost and no line is too long."""
        report = await make()
        text = report.table(width=width)
        assert max(map(len, text.splitlines())) <= width
        assert text.split() == str(report).split()
