"""Examples that are run several times: each epoch by itself, and the example as a whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from dspex import effects
from dspex.errors import ErrorData, ErrorKind, EvaluationError, to_exception
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match
from dspex.evaluation.outcome import Outcome, Status
from dspex.evaluation.reducers import at_least, pass_at
from dspex.evaluation.report import Report
from dspex.evaluation.sink import JsonlSink, MemorySink
from dspex.programs.predict import Predict
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel
from dspex.usage import Usage

pytestmark = pytest.mark.virtual_time

METRIC = exact_match("answer")


def dataset(count: int) -> list[Example]:
    """Return examples whose right answer is always "yes"."""
    return [
        Example(question=str(number), answer="yes").with_inputs("question")
        for number in range(count)
    ]


class Program:
    """Ends each epoch as a letter says: right, wrong, crash, or unavailable for good."""

    def __init__(self, *letters: str) -> None:
        self.letters = letters
        self.calls: Counter[tuple[str, int]] = Counter()
        self.paths: list[tuple[str, ...]] = []

    async def __call__(self, question: str) -> Prediction:
        """Do as the letter says."""
        here = effects.current()
        self.calls[question, here.sample] += 1
        self.paths.append(here.path)
        assert here.meter is not None
        here.meter.add(Usage(calls=1))
        letter = self.letters[int(question)][here.sample]
        await asyncio.sleep(1 + here.sample)
        if letter == "u":
            raise to_exception(ErrorData(ErrorKind.SERVER, "down"))

        if letter == "c":
            raise ValueError("bad")

        return Prediction(answer="yes" if letter == "r" else "no")


async def run(*letters: str, **options: Any) -> Report:
    """Evaluate that program."""
    program = Program(*letters)
    return await evaluate(program, dataset(len(letters)), METRIC, epochs=len(letters[0]), **options)


class TestScore:
    @pytest.mark.parametrize(
        ("reduce", "score"),
        [
            ("mean", (3 / 4 + 1 / 4) / 2),
            ("median", (1 + 0) / 2),
            ("mode", (1 + 0) / 2),
            (pass_at(2), (1 + 1 / 2) / 2),
            (at_least(2), (1 + 0) / 2),
        ],
    )
    async def test_reducers(self, reduce: Any, score: float) -> None:
        """Each example counts what its epochs are reduced to."""
        report = await run("rrrw", "wwrw", reduce=reduce)
        assert report.score == pytest.approx(score)
        assert (report.counts.scored, report.counts.total, report.coverage) == (2, 2, 1.0)
        assert (report.epochs, report.reduce, report.partial) == (4, str(reduce), 0)

    async def test_each_epoch_is_run_once_with_its_sample(self) -> None:
        """Every example is called so often, each time with another sample number and place."""
        program = Program("rrr", "www")
        await evaluate(program, dataset(2), METRIC, epochs=3)
        assert program.calls == Counter({(str(n), e): 1 for n in range(2) for e in range(3)})
        assert ("evaluate", "1", "epoch 2") in program.paths

    async def test_samples_reach_the_requests(self) -> None:
        """No cache can answer one epoch with the answer of another."""
        model = ScriptedModel(lambda request: {"answer": "yes"})
        program = Predict("question -> answer").with_client(model)
        await evaluate(program, dataset(1), METRIC, epochs=3)
        assert {request.sample for request in model.requests} == {0, 1, 2}
        assert len({request.digest() for request in model.requests}) == 3

    async def test_samples_inside_a_sample(self) -> None:
        """Epochs below a numbered sample do not meet those below the next one."""
        seen: list[int] = []

        async def program(question: str) -> Prediction:
            seen.append(effects.current().sample)
            return Prediction(answer="yes")

        for sample in (0, 1):
            with effects.scope(sample=sample):
                await evaluate(program, dataset(1), METRIC, epochs=3)

        assert sorted(seen) == list(range(6))

    async def test_failures_count_their_worth(self) -> None:
        """A crash in one epoch is worth what a failure is worth, and the example is scored."""
        report = await run("rc", failure_score=-1.0)
        assert (report.score, report.counts.scored) == (0.0, 1)
        assert report.errors["ValueError"].count == 1

    async def test_skipped_failures_are_not_missing(self) -> None:
        """Left out on purpose is not the same as not known."""
        report = await run("rc", on_error="skip")
        assert (report.score, report.partial) == (1.0, 0)

    async def test_all_failed(self) -> None:
        """An example none of whose epochs could be scored has failed."""
        report = await run("cc", "rr")
        assert (report.counts.failed, report.counts.scored, report.score) == (1, 1, 0.5)


class TestMissing:
    async def test_counts_in_part(self) -> None:
        """A mean of fewer epochs counts, and the report says how many such there are."""
        report = await run("rru", "rrr")
        assert (report.score, report.partial, report.counts.scored) == (1.0, 1, 2)
        assert "epochs    3, reduced by mean, 1 example with fewer" in str(report)

    async def test_undecided(self) -> None:
        """Where the missing epoch could turn the answer, the example does not count."""
        report = await run("ruw", "rrr", reduce=at_least(2))
        assert (report.score, report.coverage) == (1.0, 0.5)
        assert (report.counts.unavailable, report.counts.scored) == (1, 1)

    async def test_decided_all_the_same(self) -> None:
        """Two passes of three are two passes, whatever the third would have been."""
        report = await run("rru", reduce=at_least(2))
        assert (report.score, report.partial) == (1.0, 1)

    async def test_all_missing(self) -> None:
        """Nothing is known of it."""
        report = await run("uu", "rr")
        assert (report.counts.unavailable, report.score, report.coverage) == (1, 1.0, 0.5)

    async def test_failed_or_missing(self) -> None:
        """Without a scored epoch an example has failed if its failures count."""
        assert (await run("cu")).counts.failed == 1
        assert (await run("cu", on_error="skip")).counts.unavailable == 1

    async def test_only_missing_epochs_are_run_again(self) -> None:
        """The others are not paid for twice."""
        program = Program("rur")
        await evaluate(program, dataset(1), METRIC, epochs=3)
        assert program.calls == Counter({("0", 0): 1, ("0", 1): 4, ("0", 2): 1})


class TestOutcomes:
    async def test_hold_each_epoch(self) -> None:
        """An example's outcome shows the whole, and each epoch in it."""
        (outcome,) = (await run("rwcu")).outcomes
        assert (outcome.index, outcome.status, outcome.score) == (0, Status.SCORED, 1 / 3)
        assert [(epoch.epoch, epoch.status, epoch.score) for epoch in outcome.epochs] == [
            (0, Status.SCORED, 1.0),
            (1, Status.SCORED, 0.0),
            (2, Status.FAILED, None),
            (3, Status.UNAVAILABLE, None),
        ]
        assert outcome.usage.calls == 4
        assert outcome.latency_s == pytest.approx((1 + 2 + 3 + 4) / 4)
        assert outcome.prediction == {"answer": "yes"}

    async def test_survive_json(self) -> None:
        """Epochs included."""
        (outcome,) = (await run("rw")).outcomes
        assert Outcome.from_json(outcome.to_json()) == outcome

    async def test_a_sink_gets_each_epoch(self) -> None:
        """The moment it exists, with its number."""
        sink = MemorySink()
        report = await run("rw", "wr", sink=sink)
        assert sorted((outcome.index, outcome.epoch) for outcome in sink) == [
            (0, 0),
            (0, 1),
            (1, 0),
            (1, 1),
        ]
        assert [outcome.score for outcome in report.outcomes] == [0.5, 0.5]

    async def test_a_file_gets_each_epoch(self, tmp_path: Any) -> None:
        """And the report reads from it."""
        report = await run("rw", "wr", sink=JsonlSink(tmp_path / "o.jsonl"))
        assert [len(outcome.epochs) for outcome in report.outcomes] == [2, 2]
        (second,) = report.outcomes.at(1)
        assert second.index == 1

    async def test_failures(self) -> None:
        """Examples without a score can be asked for, as ever."""
        report = await run("cc", "rr", "uu")
        assert [outcome.index for outcome in report.failures()] == [0, 2]
        first, _ = report.failures()
        assert first.failure is not None
        assert first.failure.error == "ValueError"

    async def test_store_that_fails(self) -> None:
        """An example of which an epoch could not be kept is counted and not shown."""

        class Full(MemorySink):
            async def put(self, outcome: Outcome) -> int:
                if len(self) == 3:
                    raise OSError("full")

                return await super().put(outcome)

        report = await run("rr", "rr", sink=Full(), max_concurrency=1)
        assert report.counts.scored == 2
        assert [outcome.index for outcome in report.outcomes] == [0]


class TestOptions:
    async def test_progress_counts_epochs(self) -> None:
        """What is left to do is so many runs, not so many examples."""
        totals: set[int | None] = set()
        await run("rr", "rr", progress=lambda progress: totals.add(progress.total))
        assert totals == {4}

    async def test_reducer_that_can_never_be_computed(self) -> None:
        """It is refused before anything is called."""
        with pytest.raises(EvaluationError, match=r"pass_at\(3\) needs 3 epochs"):
            await run("rr", reduce=pass_at(3))

    async def test_stopped_between_epochs(self) -> None:
        """An early stop leaves epochs out, and the example counts in part."""
        report = await run("rrr", "rrr", "ccc", max_errors=1, max_concurrency=1)
        assert report.stopped_early is not None
        assert (report.counts.scored, report.counts.failed) == (2, 1)
