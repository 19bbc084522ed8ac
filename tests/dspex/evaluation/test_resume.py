"""A run that was ended is taken up: only what is missing is called, and nothing is mixed up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from dspex import effects
from dspex.errors import ErrorData, ErrorKind, EvaluationError, to_exception
from dspex.evaluation.evaluator import Evaluation, evaluate
from dspex.evaluation.metrics import exact_match
from dspex.evaluation.report import Report
from dspex.evaluation.run_file import RunFile, read_run
from dspex.evaluation.sink import MemorySink
from dspex.evaluation.writer import appender
from dspex.programs.predict import Predict
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel

pytestmark = pytest.mark.virtual_time

METRIC = exact_match("answer")


def dataset(count: int = 10, answer: str = "yes") -> list[Example]:
    """Return examples whose right answer is always the same."""
    return [
        Example(question=str(number), answer=answer).with_inputs("question")
        for number in range(count)
    ]


class Program:
    """Answers after a second; is wrong at 7, fails at 3, is unavailable where it is told."""

    def __init__(self, down: set[int] | None = None) -> None:
        self.down = down or set()
        self.calls: Counter[int] = Counter()

    async def __call__(self, question: str) -> Prediction:
        """Answer."""
        number = int(question)
        await asyncio.sleep(1)
        self.calls[number] += 1
        if number in self.down:
            raise to_exception(ErrorData(ErrorKind.SERVER, "down"))

        if number == 3:
            raise ValueError("bad")

        return Prediction(answer="no" if number == 7 else "yes")


async def cut(
    seconds: float, program: Any, examples: Any, folder: Path, run_id: str = "r", **options: Any
) -> None:
    """Begin the run and end it after so many seconds."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await evaluate(program, examples, METRIC, run_id=run_id, sink=folder, **options)


async def take_up(program: Any, examples: Any, folder: Path, **options: Any) -> Report:
    """Run it to its end."""
    return await evaluate(program, examples, METRIC, run_id="r", sink=folder, **options)


def same(left: Report, right: Report) -> bool:
    """Tell whether two reports say the same of program and dataset."""

    def facts(report: Report) -> list[Any]:
        rows = [(o.index, o.key, o.status, o.score, o.prediction) for o in report.outcomes]
        return [report.score, report.counts, report.coverage, report.ci95, set(report.errors), rows]

    return facts(left) == facts(right)


class TestResume:
    async def test_only_what_is_missing(self, tmp_path: Path) -> None:
        """The two sessions together call each example once, and report as one would."""
        program = Program()
        calm = await evaluate(Program(), dataset(), METRIC)
        await cut(2.5, program, dataset(), tmp_path, max_concurrency=2)
        assert program.calls.total() == 4
        report = await take_up(program, dataset(), tmp_path, max_concurrency=4)
        assert program.calls == Counter(range(10))
        assert same(calm, report)
        assert (report.run_id, report.resumed) == ("r", 4)
        assert "resumed   4 from an earlier session of 'r'" in str(report)

    async def test_finished_run(self, tmp_path: Path) -> None:
        """Run again, it calls nothing and says the same."""
        program = Program()
        first = await take_up(program, dataset(), tmp_path)
        again = await take_up(program, dataset(), tmp_path)
        assert program.calls.total() == 10
        assert same(first, again)
        assert (again.resumed, again.usage) == (10, first.usage)
        assert "examples/s" not in str(again)

    async def test_longer_dataset(self, tmp_path: Path) -> None:
        """What was added is run."""
        program = Program()
        await take_up(program, dataset(4), tmp_path)
        report = await take_up(program, dataset(10), tmp_path)
        assert program.calls == Counter(range(10))
        assert report.counts.total == 10

    @pytest.mark.parametrize("kind", ["iterator", "async"])
    async def test_any_dataset(self, tmp_path: Path, kind: str) -> None:
        """One that can only be pulled is passed over to where the run stands."""

        def pulled() -> Iterator[Example]:
            yield from dataset()

        async def pulled_async() -> AsyncIterator[Example]:
            for example in dataset():
                yield example

        make: Any = pulled if kind == "iterator" else pulled_async
        program = Program()
        await cut(2.5, program, make(), tmp_path, max_concurrency=2)
        await take_up(program, make(), tmp_path)
        assert program.calls == Counter(range(10))

    async def test_shuffled(self, tmp_path: Path) -> None:
        """The order may change between sessions; what is missing stays what it is."""
        program = Program()
        await cut(2.5, program, dataset(), tmp_path, max_concurrency=2, shuffle=True, seed=1)
        await take_up(program, dataset(), tmp_path, shuffle=True, seed=2)
        assert program.calls == Counter(range(10))

    async def test_unavailable_is_run_again(self, tmp_path: Path) -> None:
        """What was an outage then may be an answer now; failures stay what they are."""
        program = Program(down={2, 5})
        first = await take_up(program, dataset(), tmp_path)
        assert (first.counts.unavailable, first.counts.failed) == (2, 1)
        program.down.clear()
        second = await take_up(program, dataset(), tmp_path)
        assert (second.counts.unavailable, second.counts.scored) == (0, 9)
        assert set(second.errors) == {"ValueError"}
        assert program.calls[3] == 1
        assert program.calls[2] == 5

    async def test_more_epochs(self, tmp_path: Path) -> None:
        """Epochs are added to those there are."""
        seen: list[tuple[str, int]] = []

        async def program(question: str) -> Prediction:
            seen.append((question, effects.current().sample))
            return Prediction(answer="yes")

        await take_up(program, dataset(3), tmp_path)
        report = await take_up(program, dataset(3), tmp_path, epochs=3)
        assert sorted(seen) == [(str(n), e) for n in range(3) for e in range(3)]
        assert report.epochs == 3
        fewer = await take_up(program, dataset(3), tmp_path, epochs=2)
        assert len(seen) == 9
        assert [len(outcome.epochs) for outcome in fewer.outcomes] == [2, 2, 2]

    async def test_other_worth_of_failures(self, tmp_path: Path) -> None:
        """What is made of the outcomes may change from session to session."""
        program = Program()
        await take_up(program, dataset(), tmp_path)
        report = await take_up(program, dataset(), tmp_path, on_error="skip")
        assert (report.coverage, report.score) == (0.9, 8 / 9)

    async def test_limit_of_errors_is_the_session_s(self, tmp_path: Path) -> None:
        """What failed before does not end a run that was taken up because it had stopped."""
        program = Program(down={0, 1, 8})
        first = await take_up(program, dataset(), tmp_path, max_errors=3, max_concurrency=1)
        assert "3 of 4 examples gave no score" in str(first.stopped_early)
        program.down = {0, 1}
        second = await take_up(program, dataset(), tmp_path, max_errors=3, max_concurrency=1)
        assert second.stopped_early is None
        program.down = {0, 1}
        third = await take_up(program, dataset(), tmp_path, max_errors=2, max_concurrency=1)
        assert "2 of 2 examples gave no score" in str(third.stopped_early)

    async def test_records_that_are_there_twice(self, tmp_path: Path) -> None:
        """A file that was put together from copies counts each example once."""
        first = await take_up(Program(), dataset(), tmp_path)
        path = tmp_path / "r.run"
        path.write_bytes(path.read_bytes() * 2)
        program = Program()
        second = await take_up(program, dataset(), tmp_path)
        assert same(first, second)
        assert program.calls.total() == 0

    async def test_stopped_before_the_dataset_is_read_again(self, tmp_path: Path) -> None:
        """What an earlier session has finished is part of the dataset."""
        await take_up(Program(), dataset(), tmp_path)
        more = iter(dataset(20))
        async with Evaluation(Program(), more, METRIC, run_id="r", sink=tmp_path) as run:
            run.drain()
            async for _ in run:
                pass

            report = await run.report()

        assert (report.counts.total, report.counts.not_run, report.coverage) == (10, 0, 1.0)

    async def test_after_an_early_stop(self, tmp_path: Path) -> None:
        """A run that stopped by itself is taken up as well."""
        program = Program()
        first = await take_up(program, dataset(), tmp_path, max_errors=1, max_concurrency=1)
        assert first.counts.not_run == 6
        second = await take_up(program, dataset(), tmp_path)
        assert (second.counts.not_run, program.calls) == (0, Counter(range(10)))

    async def test_progress_starts_where_it_stands(self, tmp_path: Path) -> None:
        """What was there already is finished, and not counted into the rate."""
        program = Program()
        await cut(5.5, program, dataset(), tmp_path, max_concurrency=1)
        async with Evaluation(program, dataset(), METRIC, sink=tmp_path, run_id="r") as run:
            progress = run.progress()
            assert (progress.finished, progress.resumed, progress.rate) == (5, 5, 0.0)

    async def test_run_file_as_the_sink(self, tmp_path: Path) -> None:
        """Without a name the file's is the run's."""
        program = Program()
        for _ in range(2):
            report = await evaluate(
                program, dataset(), METRIC, sink=RunFile(tmp_path / "x.run", fsync="always")
            )

        assert (report.run_id, program.calls.total()) == ("x", 10)
        assert len(list(read_run(tmp_path / "x.run"))) == 10


class TestChanged:
    async def test_another_example(self, tmp_path: Path) -> None:
        """It is named with both keys, and nothing is called."""
        program = Program()
        await take_up(program, dataset(), tmp_path)
        changed = dataset()
        changed[6] = changed[6].with_values(answer="no")
        with pytest.raises(EvaluationError, match=r"example 6 of the dataset is not the one .*key"):
            await take_up(program, changed, tmp_path)

        assert program.calls.total() == 10

    async def test_another_example_where_the_run_was_unavailable(self, tmp_path: Path) -> None:
        """What would be run again is compared as well."""
        program = Program(down={6})
        await take_up(program, dataset(), tmp_path)
        before = program.calls.total()
        with pytest.raises(EvaluationError, match="example 6 of the dataset"):
            await take_up(program, [*dataset(6), *dataset(1), *dataset()[7:]], tmp_path)

        assert program.calls.total() == before

    @pytest.mark.parametrize("wrap", [list, iter], ids=["list", "iterator"])
    async def test_shorter_dataset(self, tmp_path: Path, wrap: Any) -> None:
        """Outcomes of examples that are gone are not counted silently."""
        await take_up(Program(), dataset(), tmp_path)
        with pytest.raises(EvaluationError, match=r"has 4 examples.*up to number 9"):
            await take_up(Program(), wrap(dataset(4)), tmp_path)

    async def test_another_program(self, tmp_path: Path) -> None:
        """Two programs never share a run."""

        async def other(question: str) -> Prediction:
            return Prediction(answer="yes")

        await take_up(Program(), dataset(), tmp_path)
        with pytest.raises(EvaluationError, match=r"another program: Program .* then, .*other"):
            await take_up(other, dataset(), tmp_path)

    async def test_another_metric(self, tmp_path: Path) -> None:
        """Nor do two metrics."""
        await take_up(Program(), dataset(), tmp_path)
        with pytest.raises(EvaluationError, match=r"another metric: .*answer.* then, .*question"):
            await evaluate(Program(), dataset(), exact_match("question"), run_id="r", sink=tmp_path)

    async def test_another_model(self, tmp_path: Path) -> None:
        """The same program that asks another model is another run."""

        def asking(name: str) -> Predict:
            model = ScriptedModel(lambda request: {"answer": "yes"}, name=name)
            return Predict("question -> answer").with_client(model)

        await take_up(asking("p/a"), dataset(), tmp_path)
        await take_up(asking("p/a"), dataset(), tmp_path)
        with pytest.raises(EvaluationError, match="another model: p/a then, p/b now"):
            await take_up(asking("p/b"), dataset(), tmp_path)

    async def test_two_processes(self, tmp_path: Path) -> None:
        """The second is refused before it calls anything, and the first goes on."""
        program, late = Program(), Program()
        async with Evaluation(program, dataset(), METRIC, run_id="r", sink=tmp_path) as run:
            await anext(aiter(run))
            with pytest.raises(EvaluationError, match="being written by another process"):
                await take_up(late, dataset(), tmp_path)

            async for _ in run:
                pass

        assert (program.calls.total(), late.calls.total()) == (10, 0)
        assert (await take_up(late, dataset(), tmp_path)).counts.scored == 9
        assert late.calls.total() == 0

    async def test_refused_run_lets_go_of_its_file(self, tmp_path: Path) -> None:
        """A mistake does not lock anybody out."""
        await take_up(Program(), dataset(), tmp_path)
        for _ in range(2):
            with pytest.raises(EvaluationError, match="has 4 examples"):
                await take_up(Program(), dataset(4), tmp_path)

    async def test_a_name_needs_a_place(self) -> None:
        """Before anything is called."""
        program = Program()
        for sink in (None, MemorySink()):
            with pytest.raises(EvaluationError, match="has no place to be resumed from"):
                await evaluate(program, dataset(), METRIC, run_id="r", sink=sink)

        assert program.calls.total() == 0


class TestFull:
    async def test_report_shows_what_was_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the disk did not take is counted, and is not looked for in the file."""
        taken = 0

        def limited(fd: int) -> Any:
            write = appender(fd)

            def write_some(block: bytes) -> None:
                nonlocal taken
                taken += 1
                if taken == 5:
                    write(block[: len(block) // 2])
                    raise OSError("no space left")

                write(block)

            return write_some

        monkeypatch.setattr("dspex.evaluation.run_file.appender", limited)
        report = await take_up(Program(), dataset(), tmp_path, max_concurrency=1)
        assert "no space left" in str(report.stopped_early)
        kept = [outcome.index for outcome in read_run(tmp_path / "r.run")]
        assert [outcome.index for outcome in report.outcomes] == kept
        assert len(kept) < report.counts.scored + report.counts.failed

    async def test_disk_that_is_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The run stops and says so; what was kept is taken up when there is room again."""
        program = Program()
        written = 0
        real = RunFile.put

        async def put(self: RunFile, outcome: Any) -> int:
            nonlocal written
            written += 1
            if written > 4:
                raise OSError("no space left")

            return await real(self, outcome)

        with monkeypatch.context() as patch:
            patch.setattr(RunFile, "put", put)
            first = await take_up(program, dataset(), tmp_path, max_concurrency=1)

        assert "no space left" in str(first.stopped_early)
        second = await take_up(program, dataset(), tmp_path)
        assert second.counts.not_run == 0
        assert second.resumed == 4
