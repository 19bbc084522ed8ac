"""A run holds still while a breaker is open, and ends when that lasts."""

from __future__ import annotations

import asyncio
import math

import pytest

from dspex.errors import ErrorData, ErrorKind, to_exception
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match
from dspex.evaluation.outage import Outage
from dspex.evaluation.outcome import Failure, Outcome, Status
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction

METRIC = exact_match("answer")


def refused(retry_after_s: float | None = 30.0) -> ErrorData:
    """Return what an open breaker says."""
    return ErrorData(ErrorKind.CIRCUIT_OPEN, "open", retry_after_s=retry_after_s)


def down(retry_after_s: float | None = 30.0) -> Outcome:
    """Return the outcome of an example that met an open breaker."""
    failure = Failure("CircuitOpen", "open", data=refused(retry_after_s))
    return Outcome(0, "00", Status.UNAVAILABLE, failure=failure)


def ended(status: Status, kind: ErrorKind | None = None) -> Outcome:
    """Return an outcome of another kind."""
    data = None if kind is None else ErrorData(kind, "no")
    failure = None if status is Status.SCORED else Failure("Error", "no", data=data)
    return Outcome(0, "00", status, failure=failure)


class TestOutage:
    @pytest.mark.parametrize(
        "outcome",
        [
            ended(Status.SCORED),
            ended(Status.FAILED),
            ended(Status.UNAVAILABLE, ErrorKind.RATE_LIMIT),
            ended(Status.UNAVAILABLE, ErrorKind.SERVER),
        ],
    )
    def test_nothing_but_an_open_breaker_holds_the_run(self, outcome: Outcome) -> None:
        """Other failures take their time by themselves."""
        assert Outage(100).pause_s(outcome, 1, 1) == 0

    @pytest.mark.parametrize(("asked_s", "pause_s"), [(30, 30), (None, 1), (0, 1), (10_000, 60)])
    def test_as_long_as_the_breaker_asks(self, asked_s: float | None, pause_s: float) -> None:
        """Up to a minute; a second where it does not say."""
        assert Outage(math.inf).pause_s(down(asked_s), 1, 1) == pause_s

    def test_an_endpoint_that_is_gone_holds_the_run(self) -> None:
        """Its calls fail as fast as those of an open breaker."""
        outcome = ended(Status.UNAVAILABLE, ErrorKind.ENDPOINT)
        assert Outage(100).pause_s(outcome, 1, 1) == 1

    def test_old_news_do_not_count(self) -> None:
        """Results that waited during a pause cause no further one."""
        outage = Outage(100)
        assert outage.pause_s(down(), 1, 1) == 30
        assert outage.pause_s(down(), 2, 31) == 0
        assert outage.pause_s(down(5), 31.5, 31.5) == 5

    def test_the_end(self) -> None:
        """The pauses add up to the limit, and then the run is to end."""
        outage = Outage(40)
        assert outage.pause_s(down(), 1, 1) == 30
        assert not outage.too_long(31)
        assert outage.pause_s(down(), 31, 31) == 10
        assert outage.too_long(41)

    def test_an_answer_ends_the_outage(self) -> None:
        """The next one is counted from its own beginning."""
        outage = Outage(40)
        outage.pause_s(down(), 1, 1)
        outage.pause_s(ended(Status.SCORED), 32, 32)
        assert outage.pause_s(down(), 35, 35) == 30
        assert not outage.too_long(65)

    def test_an_answer_from_before_is_no_sign_of_life(self) -> None:
        """What ended before the pause says nothing about the provider now."""
        outage = Outage(40)
        outage.pause_s(down(), 1, 1)
        outage.pause_s(ended(Status.SCORED), 0.5, 31)
        assert outage.too_long(41)


def dataset(count: int) -> list[Example]:
    """Return examples whose right answer is always "yes"."""
    return [
        Example(question=str(number), answer="yes").with_inputs("question")
        for number in range(count)
    ]


class BrokenFor:
    """A program whose breaker is open from `from_s` to `to_s`; it answers in a second."""

    def __init__(self, from_s: float, to_s: float) -> None:
        self.calls = 0
        self._clock = asyncio.get_running_loop().time
        self._open_s = (self._clock() + from_s, self._clock() + to_s)

    async def __call__(self, question: str) -> Prediction:
        self.calls += 1
        begins, ends = self._open_s
        if begins <= self._clock() < ends:
            raise to_exception(refused(min(30.0, ends - self._clock())))

        await asyncio.sleep(1)
        return Prediction(answer="yes")


@pytest.mark.virtual_time
class TestEvaluate:
    async def test_an_outage_is_sat_out(self) -> None:
        """Of a long dataset only what was under way is lost, and that is run again at the end."""
        program = BrokenFor(5.5, 95)

        report = await evaluate(program, dataset(1_000), METRIC, max_concurrency=10)

        assert report.counts.scored == report.counts.total == 1_000
        assert report.stopped_early is None
        assert program.calls - 1_000 == report.retried <= 60
        assert 190 <= report.duration_s < 230

    async def test_of_several_calls_at_once(self) -> None:
        """A program whose calls fail as a group burns no dataset either."""
        single = BrokenFor(5.5, 95)

        async def program(question: str) -> Prediction:
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(single(question)) for _ in range(2)]

            return calls[0].result()

        report = await evaluate(program, dataset(1_000), METRIC, max_concurrency=10)

        assert report.counts.scored == 1_000
        assert report.retried <= 60

    async def test_one_that_lasts_ends_the_run(self) -> None:
        """What has finished is kept, what was not run is not counted, and the report says why."""
        program = BrokenFor(5.5, math.inf)

        report = await evaluate(
            program, dataset(1_000), METRIC, max_concurrency=10, max_outage_s=100
        )

        assert report.score == 1.0
        assert report.counts.scored == 60
        assert report.counts.unavailable <= 60
        assert report.counts.not_run >= 880
        assert report.stopped_early is not None
        assert "no call got through for 100 s (max_outage_s)" in report.stopped_early
        assert 100 <= report.duration_s < 120

    async def test_cancelled_while_it_holds_still(self) -> None:
        """The pause is given up at once."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await evaluate(BrokenFor(0, math.inf), dataset(100), METRIC)

        assert loop.time() - began < 11
