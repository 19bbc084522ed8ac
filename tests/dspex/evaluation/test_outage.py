"""A run holds still while a breaker is open, and ends when that lasts."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from dspex.errors import ErrorData, ErrorKind, to_exception
from dspex.evaluation.evaluator import Evaluation, evaluate
from dspex.evaluation.metrics import exact_match
from dspex.evaluation.outage import Outage
from dspex.evaluation.outcome import Failure, Outcome, Status
from dspex.evaluation.sink import MemorySink
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.usage import Usage

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


def probe_at(outage: Outage, now_s: float) -> None:
    """Begin the one example that may begin then."""
    assert outage.wait_s(now_s) == 0
    assert outage.wait_s(now_s) > 0


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
        outage = Outage(100)
        outage.hear(outcome, 1)
        assert outage.wait_s(1) == 0

    @pytest.mark.parametrize(("asked_s", "pause_s"), [(30, 30), (None, 1), (0, 1), (10_000, 60)])
    def test_as_long_as_the_breaker_asks(self, asked_s: float | None, pause_s: float) -> None:
        """Up to a minute; a second where it does not say."""
        outage = Outage(math.inf)
        outage.hear(down(asked_s), 1)
        assert outage.wait_s(1) == pause_s
        assert outage.wait_s(1 + pause_s) == 0

    def test_an_endpoint_that_is_gone_holds_the_run(self) -> None:
        """Its calls fail as fast as those of an open breaker."""
        outage = Outage(100)
        outage.hear(ended(Status.UNAVAILABLE, ErrorKind.ENDPOINT), 1)
        assert outage.wait_s(1) == 1
        assert "Error: no" in outage.reason

    def test_old_news_do_not_count(self) -> None:
        """What was in flight when it began prolongs nothing."""
        outage = Outage(100)
        outage.hear(down(), 1)
        outage.hear(down(), 2)
        assert outage.wait_s(30) == 1
        probe_at(outage, 31)
        outage.hear(down(5), 31.5)
        assert outage.wait_s(31.5) == 5

    def test_few_begin_until_one_gets_through(self) -> None:
        """One, then twice as many each second without bad news; all, once there is an answer."""
        outage = Outage(100)
        outage.hear(down(10), 0)
        begun = [sum(outage.wait_s(now_s) == 0 for _ in range(50)) for now_s in (10, 11, 12, 13)]
        assert begun == [1, 2, 4, 8]
        outage.hear(replace(ended(Status.SCORED), latency_s=3.0), 13.5)
        assert all(outage.wait_s(13.5) == 0 for _ in range(50))

    def test_bad_news_of_a_probe_begin_anew(self) -> None:
        """With one."""
        outage = Outage(100)
        outage.hear(down(10), 0)
        assert [outage.wait_s(10), outage.wait_s(11), outage.wait_s(11)] == [0, 0, 0]
        outage.hear(down(10), 11)
        assert outage.wait_s(11) == 10
        probe_at(outage, 21)

    def test_the_end(self) -> None:
        """No wait is longer than the limit, and then the run is to end."""
        outage = Outage(40)
        outage.hear(down(), 1)
        assert not outage.too_long(31)
        probe_at(outage, 31)
        outage.hear(down(), 31)
        assert outage.wait_s(31) == 10
        assert outage.too_long(41)

    def test_a_probe_is_waited_for(self) -> None:
        """It may take longer than the limit, and nobody knows yet."""
        outage = Outage(40)
        outage.hear(down(), 1)
        probe_at(outage, 31)
        assert not outage.too_long(100)
        outage.hear(down(), 101)
        assert outage.too_long(101)

    def test_an_answer_ends_the_outage(self) -> None:
        """The next one is counted from its own beginning."""
        outage = Outage(40)
        outage.hear(down(), 1)
        probe_at(outage, 31)
        outage.hear(ended(Status.SCORED), 32)
        outage.hear(down(), 35)
        assert outage.wait_s(35) == 30
        assert not outage.too_long(65)

    def test_an_answer_from_before_opens_nothing(self) -> None:
        """Its call may have been made before; yet the provider lived when it was answered."""
        outage = Outage(40)
        outage.hear(down(), 1)
        outage.hear(replace(ended(Status.SCORED), latency_s=20.0), 11)
        assert outage.wait_s(11) == 20
        assert not outage.too_long(41)
        assert outage.too_long(51)

    def test_an_answer_from_the_cache_is_no_sign_of_life(self) -> None:
        """No provider was asked."""
        outage = Outage(40)
        outage.hear(down(), 1)
        probe_at(outage, 31)
        outage.hear(replace(ended(Status.SCORED), usage=Usage(cache_hits=1)), 31)
        assert outage.wait_s(31) > 0


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

    async def test_what_finishes_meanwhile_is_kept_at_once(self) -> None:
        """Answers that were under way are with the sink long before the outage is over."""
        loop = asyncio.get_running_loop()
        kept: list[float] = []

        class Noting(MemorySink):
            async def put(self, outcome: Outcome) -> int:
                if outcome.score:
                    kept.append(loop.time())

                return await super().put(outcome)

        async def program(question: str) -> Prediction:
            if question == "0":
                raise to_exception(refused())

            await asyncio.sleep(5)
            return Prediction(answer="yes")

        began = loop.time()
        report = await evaluate(
            program, dataset(10), METRIC, max_concurrency=10, max_outage_s=20, sink=Noting()
        )
        assert report.counts.scored == 9
        assert kept == [began + 5] * 9

    async def test_many_at_a_time_are_not_burnt(self) -> None:
        """However many may be in flight, a handful of probes asks whether the provider is back."""
        program = BrokenFor(0, 60)
        refused_at_once = 1_000

        report = await evaluate(
            program, dataset(5_000), METRIC, max_concurrency=refused_at_once, max_outage_s=200
        )

        assert report.counts.scored == 5_000
        assert report.retried <= refused_at_once + 10

    async def test_told_to_come_home_meanwhile(self) -> None:
        """The wait is over at once, and nothing more is begun."""
        program = BrokenFor(0, math.inf)
        loop = asyncio.get_running_loop()
        async with Evaluation(program, dataset(100), METRIC, max_concurrency=5) as run:
            loop.call_later(10, run.drain)
            began = loop.time()
            async for _ in run:
                pass

            report = await run.report()

        assert loop.time() - began == pytest.approx(10, abs=0.01)
        assert program.calls == report.counts.unavailable == 5
