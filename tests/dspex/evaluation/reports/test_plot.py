"""Distributions in a terminal."""

from __future__ import annotations

from typing import Any

import plotext
import pytest

from dspex.errors import EvaluationError
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.report import Report
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction


async def make(worth: Any) -> Report:
    """Evaluate fifty examples by this metric."""

    async def program(question: str) -> Prediction:
        return Prediction(answer=question)

    examples = [Example(question=str(n)).with_inputs("question") for n in range(50)]
    return await evaluate(program, examples, lambda e, p: worth(int(p["answer"])))


@pytest.mark.parametrize("width", [24, 40, 80, 200])
async def test_fits(width: int) -> None:
    """No line is wider than asked, and there are no colours in it."""
    report = await make(lambda n: n / 50)
    text = report.plot(width=width, height=8)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert "█" in text


async def test_right_or_wrong() -> None:
    """Two bars, one twice as high as the other."""
    lines = (await make(lambda n: n % 3 == 0)).plot(width=40, height=12).splitlines()
    assert "33┤" in lines[2]


async def test_leaves_the_users_figure_alone() -> None:
    """The library's global figure keeps its size."""
    before = plotext.figure.size()
    (await make(lambda n: n / 50)).plot(width=50)
    assert plotext.figure.size() == before


@pytest.mark.parametrize(("width", "height"), [(10, 12), (80, 2)])
async def test_too_small(width: int, height: int) -> None:
    """Where nothing can be seen nothing is drawn."""
    with pytest.raises(EvaluationError, match="too small"):
        (await make(lambda n: 1)).plot(width=width, height=height)


async def test_nothing_counts() -> None:
    """Without a score the times are still drawn."""

    def broken(n: int) -> float:
        raise ValueError

    report = await make(broken)
    assert "examples by latency" in report.plot(width=60)
