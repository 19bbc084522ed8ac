"""A run inside its budget: never overshot, and what met the empty purse is no failure."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dspex import effects
from dspex.clients.limits.budget import Budget, LocalBudget
from dspex.clients.limits.spending import budget as budgeted
from dspex.errors import EvaluationError
from dspex.evaluation.evaluator import Evaluation, evaluate
from dspex.evaluation.metrics import exact_match
from dspex.evaluation.outcome import Status
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.usage import Usage

pytestmark = pytest.mark.virtual_time

METRIC = exact_match("answer")
ONE = Usage(calls=1)


def dataset(count: int = 100) -> list[Example]:
    """Return examples whose right answer is always "yes"."""
    return [
        Example(question=str(number), answer="yes").with_inputs("question")
        for number in range(count)
    ]


class Program:
    """Draws from the purse as a client does: sets aside, calls, settles."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, question: str) -> Prediction:
        """Answer after a second."""
        purse = effects.current().budget
        assert isinstance(purse, LocalBudget)
        lease = await purse.acquire(ONE)
        self.calls += 1
        await asyncio.sleep(1)
        lease.settle(ONE)
        return Prediction(answer="yes")


class TestBudget:
    async def test_is_never_overshot(self) -> None:
        """So many calls and no more; the rest was not run, and the report says why."""
        program = Program()
        report = await evaluate(
            program, dataset(), METRIC, budget=Budget(calls=25), max_concurrency=10
        )
        assert program.calls == report.counts.scored == 25
        assert report.counts.failed == 0
        assert 0 < report.counts.unavailable <= 11
        assert report.counts.not_run >= 64
        assert report.score == 1.0
        assert "no further call is possible" in str(report.stopped_early)
        assert "budget" in str(report.stopped_early)

    async def test_that_is_enough(self) -> None:
        """It is not noticed."""
        report = await evaluate(Program(), dataset(25), METRIC, budget=Budget(calls=25))
        assert (report.counts.scored, report.stopped_early) == (25, None)

    async def test_inside_another(self) -> None:
        """The purse around counts too."""
        with budgeted(calls=10) as around:
            report = await evaluate(
                Program(), dataset(), METRIC, budget=Budget(calls=25), max_concurrency=4
            )

        assert report.counts.scored == around.statistics().used_calls == 10

    async def test_purse_shared_by_runs(self) -> None:
        """What one run leaves the next may use."""
        purse = LocalBudget(Budget(calls=30))
        first = await evaluate(Program(), dataset(20), METRIC, budget=purse)
        second = await evaluate(Program(), dataset(20), METRIC, budget=purse)
        assert (first.counts.scored, second.counts.scored) == (20, 10)

    async def test_is_the_run_s_alone(self) -> None:
        """Whoever takes the outcomes does not pay from it."""
        async with Evaluation(Program(), dataset(3), METRIC, budget=Budget(calls=3)) as run:
            async for _ in run:
                assert effects.current().budget is None

    async def test_taken_up_with_more(self, tmp_path: Path) -> None:
        """What the empty purse left is run when there is money again, and nothing else is."""
        program = Program()
        options: dict[str, Any] = {"run_id": "r", "sink": tmp_path, "max_concurrency": 10}
        await evaluate(program, dataset(), METRIC, budget=Budget(calls=25), **options)
        report = await evaluate(program, dataset(), METRIC, budget=Budget(calls=75), **options)
        assert (report.counts.scored, program.calls) == (100, 100)
        assert report.stopped_early is None

    async def test_epochs_draw_from_one_purse(self) -> None:
        """Each epoch is a call of its own."""
        program = Program()
        report = await evaluate(
            program, dataset(10), METRIC, epochs=5, budget=Budget(calls=20), max_concurrency=5
        )
        assert program.calls == 20
        assert report.counts.scored == 4
        assert {outcome.status for outcome in report.outcomes} >= {Status.SCORED}

    @pytest.mark.parametrize("wrong", [5, "1.00", {"calls": 1}, Budget])
    async def test_no_budget(self, wrong: Any) -> None:
        """What to give is shown."""
        with pytest.raises(EvaluationError, match=r"the budget is .*give a Budget\("):
            await evaluate(Program(), dataset(), METRIC, budget=wrong)
