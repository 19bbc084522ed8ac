"""Outcomes one by one: at the pace of who takes them, and nothing left when he leaves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dspex import effects
from dspex.effects import Draining, enter_draining
from dspex.errors import DatasetError, EvaluationError
from dspex.evaluation.evaluator import Evaluation, evaluate
from dspex.evaluation.metrics import exact_match
from dspex.evaluation.outcome import Status
from dspex.evaluation.sink import JsonlSink, read_outcomes
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction

pytestmark = pytest.mark.virtual_time

METRIC = exact_match("answer")


def dataset(count: int = 10) -> list[Example]:
    """Return examples whose right answer is always "yes"."""
    return [
        Example(question=str(number), answer="yes").with_inputs("question")
        for number in range(count)
    ]


class Program:
    """Answers after a second and counts what it began, ended, and what was cut short."""

    def __init__(self) -> None:
        self.begun = self.ended = self.cut = 0

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return self.begun - self.ended - self.cut

    async def __call__(self, question: str) -> Prediction:
        """Answer."""
        self.begun += 1
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            self.cut += 1
            raise

        self.ended += 1
        return Prediction(answer="yes")


class TestIteration:
    async def test_outcomes_as_they_come(self) -> None:
        """Each one the moment it is there, and the report at the end."""

        async def program(question: str) -> Prediction:
            await asyncio.sleep(10 - int(question))
            return Prediction(answer="yes")

        seen: list[int] = []
        async with Evaluation(program, dataset(), METRIC) as run:
            async for outcome in run:
                assert asyncio.get_running_loop().time() >= 10 - outcome.index
                seen.append(outcome.index)

            report = await run.report()

        assert seen == list(range(9, -1, -1))
        assert (report.score, report.counts.scored, report.stopped_early) == (1.0, 10, None)

    async def test_slow_consumer_holds_the_run_back(self) -> None:
        """No more is begun than is asked for, whatever the concurrency."""
        program, taken = Program(), 0
        async with Evaluation(program, dataset(40), METRIC, max_concurrency=5) as run:
            async for _ in run:
                taken += 1
                await asyncio.sleep(10)
                assert program.begun <= taken + 5

        assert program.begun == 40

    async def test_nothing_is_begun_unasked(self) -> None:
        """Opening is not running."""
        program = Program()
        async with Evaluation(program, dataset(), METRIC) as run:
            await asyncio.sleep(10)
            assert program.begun == 0
            assert run.progress().finished == 0

    async def test_leaving_early_leaves_nothing_running(self, tmp_path: Path) -> None:
        """What is in flight is ended and what was taken is in the sink."""
        program, path = Program(), tmp_path / "o.jsonl"
        async with Evaluation(
            program, dataset(100), METRIC, sink=JsonlSink(path), max_concurrency=8
        ) as run:
            async for _ in run:
                break

        assert program.in_flight == 0
        assert program.begun <= 9
        assert len(list(read_outcomes(path))) == 1

    async def test_error_in_the_block(self) -> None:
        """It comes out, and nothing is left running."""
        program = Program()

        async def consume() -> None:
            async with Evaluation(program, dataset(100), METRIC, max_concurrency=8) as run:
                async for _ in run:
                    raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await consume()

        assert program.in_flight == 0

    async def test_report_after_an_early_end(self) -> None:
        """It covers what was taken, and asking for it ends the run."""
        program = Program()
        async with Evaluation(program, dataset(100), METRIC, max_concurrency=4) as run:
            async for outcome in run:
                if outcome.index >= 5:
                    break

            report = await run.report()
            assert program.in_flight == 0

        assert (report.score, report.counts.total) == (1.0, 100)
        assert report.counts.not_run == 100 - report.counts.scored > 90
        assert "over" in str(report)

    async def test_cancelled_consumer(self) -> None:
        """Cancellation ends the examples first."""
        program = Program()

        async def consume() -> None:
            async with Evaluation(program, dataset(100), METRIC, max_concurrency=4) as run:
                async for _ in run:
                    pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(2.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (program.ended, program.cut, program.in_flight) == (8, 4, 0)

    async def test_async_dataset_is_closed(self) -> None:
        """A dataset that holds something open is told that nobody reads on."""
        closed = False

        async def pulled() -> AsyncIterator[Example]:
            nonlocal closed
            try:
                for example in dataset(100):
                    yield example
            finally:
                closed = True

        async with Evaluation(Program(), pulled(), METRIC, max_concurrency=4) as run:
            async for _ in run:
                break

        assert closed

    async def test_stays_where_it_was_begun(self) -> None:
        """Where outcomes are asked for does not change the scope that examples run in."""
        seen: set[tuple[str, ...]] = set()

        async def program(question: str) -> Prediction:
            seen.add(effects.current().path[:-1])
            return Prediction(answer="yes")

        with effects.scope("here"):
            async with Evaluation(program, dataset(), METRIC, max_concurrency=1) as run:
                outcomes = aiter(run)
                await anext(outcomes)
                with effects.scope("there"):
                    async for _ in outcomes:
                        pass

        assert seen == {("here", "evaluate")}

    async def test_not_open(self) -> None:
        """The message shows how to open it."""
        with pytest.raises(EvaluationError, match="async with Evaluation"):
            aiter(Evaluation(Program(), dataset(), METRIC))

    async def test_used_once(self) -> None:
        """A second time would have to begin anew."""
        run = Evaluation(Program(), dataset(1), METRIC)
        async with run:
            pass

        with pytest.raises(EvaluationError, match="has been run: make a new one"):
            async with run:
                pass

    async def test_closed_twice(self) -> None:
        """The second time does nothing."""
        async with Evaluation(Program(), dataset(1), METRIC) as run:
            await run.aclose()
            await run.aclose()

    async def test_empty_dataset(self) -> None:
        """The report is what says that there was nothing."""
        async with Evaluation(Program(), [], METRIC) as run:
            assert [outcome async for outcome in run] == []
            with pytest.raises(DatasetError, match="gave no example"):
                await run.report()

    async def test_wrong_options_before_anything_is_open(self) -> None:
        """Making one checks what it is given."""
        with pytest.raises(EvaluationError, match="epochs is 0"):
            Evaluation(Program(), dataset(), METRIC, epochs=0)


class TestShuffle:
    async def test_order_by_seed(self) -> None:
        """One seed is one order, and every example is in it once."""

        async def order(**options: Any) -> list[int]:
            async with Evaluation(
                Program(), dataset(50), METRIC, max_concurrency=1, **options
            ) as run:
                return [outcome.index async for outcome in run]

        first = await order(shuffle=True, seed=1)
        assert sorted(first) == list(range(50)) != first
        assert first == await order(shuffle=True, seed=1)
        assert first != await order(shuffle=True, seed=2)
        assert list(range(50)) == await order(seed=1)

    async def test_needs_an_index(self) -> None:
        """An iterator has no order but its own."""
        with pytest.raises(DatasetError, match="shuffle=True needs a dataset that can be indexed"):
            await evaluate(Program(), iter(dataset()), METRIC, shuffle=True)


class TestDrain:
    async def test_what_is_in_flight_comes_home(self) -> None:
        """Nothing new is begun, nothing is cut short, and the report says what happened."""
        program = Program()
        async with Evaluation(program, dataset(100), METRIC, max_concurrency=4) as run:
            async for outcome in run:
                if outcome.index == 6:
                    run.drain()

            report = await run.report()

        assert program.cut == 0
        assert program.begun == report.counts.scored <= 12
        assert report.stopped_early == "interrupted: told to come home"

    async def test_wakes_a_run_that_waits(self) -> None:
        """A pause between rounds is given up at once."""
        from dspex.errors import ErrorData, ErrorKind, to_exception

        async def program(question: str) -> Prediction:
            raise to_exception(ErrorData(ErrorKind.SERVER, "down"))

        loop = asyncio.get_running_loop()
        async with Evaluation(program, dataset(2), METRIC) as run:
            loop.call_later(1, run.drain)
            assert [outcome.status async for outcome in run] == [Status.UNAVAILABLE] * 4

        assert loop.time() < 2

    async def test_before_the_first(self) -> None:
        """A run that is told at once reports that nothing was run."""
        program = Program()
        async with Evaluation(program, dataset(3), METRIC) as run:
            run.drain()
            assert [outcome async for outcome in run] == []
            report = await run.report()

        assert (report.counts.not_run, program.begun, report.coverage) == (3, 0, 0.0)

    async def test_whoever_stops_the_program_is_joined(self) -> None:
        """Evaluations of a program are asked together, and it hears when the last is home."""
        draining, home = Draining(), Counter[str]()

        async def both() -> list[int]:
            enter_draining(draining)
            reports = await effects.map(
                lambda count: evaluate(Program(), dataset(count), METRIC, max_concurrency=2),
                [50, 100],
            )
            return [report.counts.scored for report in reports]

        task = asyncio.create_task(both())
        await asyncio.sleep(3.5)
        assert draining.request(lambda: home.update(["home"]))
        assert not home
        assert await task == [8, 8]
        assert home == {"home": 1}

    async def test_one_that_begins_meanwhile(self) -> None:
        """It is told at once."""
        draining, program = Draining(), Program()
        enter_draining(draining)
        assert not draining.request(lambda: None)
        report = await evaluate(program, dataset(3), METRIC)
        assert (program.begun, report.counts.not_run) == (0, 3)
