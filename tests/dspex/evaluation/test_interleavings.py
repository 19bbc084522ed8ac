"""Whatever fails, is cut short and is taken up again: the report is that of a calm run."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from dspex import effects
from dspex.errors import ErrorData, ErrorKind, to_exception
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import Score
from dspex.evaluation.reducers import Reduce, at_least, pass_at
from dspex.evaluation.report import Report
from dspex.evaluation.run_file import RunFile
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.testing.loop import VirtualTimeLoop

MAX_OUTAGES = 3


@dataclass(frozen=True)
class Script:
    """What one epoch of one example does: outages first, then its end, each after a while."""

    outages: int
    ends: str
    latency_s: float


class Program:
    """Follows a script for each example and epoch; counts what ended, not what was cut short."""

    def __init__(self, scripts: dict[tuple[int, int], Script]) -> None:
        self.scripts = scripts
        self.ended: Counter[tuple[int, int]] = Counter()

    async def __call__(self, number: int) -> Prediction:
        """Do what the script says next."""
        place = (number, effects.current().sample)
        script = self.scripts[place]
        await asyncio.sleep(script.latency_s)
        self.ended[place] += 1
        if self.ended[place] <= script.outages:
            raise to_exception(ErrorData(ErrorKind.SERVER, "down"))

        if script.ends == "crash":
            raise ValueError("bad")

        if script.ends == "exit":
            raise SystemExit(3)

        return Prediction(answer=script.ends)


def metric(example: Example, prediction: Prediction) -> Score:
    """Score by the answer; some answers cannot be judged."""
    return Score({"right": 1.0, "half": 0.5, "wrong": 0.0}[prediction["answer"]])


endings = st.sampled_from(["right", "half", "wrong", "crash", "exit", "nonsense"])
outages = st.integers(0, MAX_OUTAGES) | st.just(10**6)
scripts = st.builds(Script, outages, endings, st.sampled_from([0.5, 1.0, 1.25, 3.0]))
cuts = st.lists(st.floats(0.1, 30.0), max_size=5)
reducers: st.SearchStrategy[Reduce] = st.sampled_from(
    ["mean", "median", "mode", pass_at(1), at_least(1)]
)


def facts(report: Report) -> dict[str, Any]:
    """Return all that must not depend on how a run went."""
    return {
        "score": pytest.approx(report.score, nan_ok=True),
        "coverage": report.coverage,
        "counts": report.counts,
        "partial": report.partial,
        "errors": {name: (g.count, g.unavailable) for name, g in report.errors.items()},
        "outcomes": [
            (
                outcome.index,
                outcome.key,
                outcome.status,
                outcome.score,
                [(epoch.epoch, epoch.status, epoch.score) for epoch in outcome.epochs],
            )
            for outcome in report.outcomes
        ],
    }


async def disturbed(
    program: Program, examples: list[Example], path: Path, cuts: list[float], **options: Any
) -> Report:
    """Cut the run short after each of `cuts` seconds, and take it up until it comes to its end."""
    for cut_s in cuts:
        try:
            async with asyncio.timeout(cut_s):
                return await evaluate(program, examples, metric, sink=RunFile(path), **options)
        except TimeoutError:
            continue

    return await evaluate(program, examples, metric, sink=RunFile(path), **options)


@pytest.mark.slow
@settings(max_examples=30)
@given(data=st.data(), count=st.integers(1, 6), epochs=st.integers(1, 3), cuts=cuts)
def test_any_course_gives_the_report_of_a_calm_one(
    data: st.DataObject, count: int, epochs: int, cuts: list[float]
) -> None:
    """Failures, outages that pass or stay, cancellations and resumptions leave no trace in it."""
    drawn = {
        (index, epoch): data.draw(scripts) for index in range(count) for epoch in range(epochs)
    }
    options: dict[str, Any] = {
        "epochs": epochs,
        "reduce": data.draw(reducers),
        "on_error": data.draw(st.sampled_from(["score", "skip"])),
    }
    concurrency = data.draw(st.integers(1, 8))
    shuffle = data.draw(st.booleans())
    examples = [Example(number=index).with_inputs("number") for index in range(count)]

    async def both() -> tuple[dict[str, Any], Program, dict[str, Any]]:
        calm = await evaluate(Program(drawn), examples, metric, max_concurrency=100, **options)
        program = Program(drawn)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.run"
            report = await disturbed(
                program,
                examples,
                path,
                cuts,
                max_concurrency=concurrency,
                shuffle=shuffle,
                **options,
            )
            return facts(calm), program, facts(report)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        expected, program, found = runner.run(both())

    # An outage without end is asked once more in each session, and counted as often as it stays.
    assert found == expected
    for place, script in drawn.items():
        if script.outages <= MAX_OUTAGES:
            assert program.ended[place] == script.outages + 1
