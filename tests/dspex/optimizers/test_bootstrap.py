"""Bootstrapped demos: those of the sequential scan, at its pace times many."""

from __future__ import annotations

import asyncio
import random as random_module
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from dspex import effects
from dspex.effects import Trace
from dspex.errors import (
    DatasetError,
    ErrorData,
    ErrorKind,
    OptimizerError,
    ProviderError,
    RuntimeNotFound,
    to_exception,
)
from dspex.evaluation.metrics import Score, exact_match
from dspex.messages import Request
from dspex.optimizers.bootstrap import BootstrapFewShot
from dspex.optimizers.labeled import LabeledFewShot
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.testing.loop import VirtualTimeLoop
from dspex.testing.models import ScriptedModel

pytestmark = pytest.mark.virtual_time

METRIC = exact_match("answer")


def trainset(count: int = 40) -> list[Example]:
    """Return examples with questions that no other holds as a part."""
    return [
        Example(question=f"q{number:03}", answer=f"a{number:03}").with_inputs("question")
        for number in range(count)
    ]


def asked(request: Request) -> int:
    """Return which example a request asks about: the last one named in it."""
    text = str(request.messages[-1])
    return int(text[text.rindex("[[ ## question ## ]]") :].split("q", 2)[2][:3])


class Oracle:
    """A model that knows which examples it gets right, and in which sample."""

    def __init__(
        self,
        good: Callable[[int, int], bool] = lambda number, sample: True,
        *,
        errors: Mapping[int, Exception | list[Exception | None]] | None = None,
        latency_s: float | Callable[[int], float] = 1.0,
    ) -> None:
        self.good = good
        self.errors = dict(errors or {})
        self.latency_s = latency_s
        self.asked: Counter[int] = Counter()
        self.model = ScriptedModel(self.answer)

    async def answer(self, request: Request) -> Mapping[str, Any]:
        """Answer one request."""
        number = asked(request)
        turn = self.asked[number]
        self.asked[number] += 1
        latency_s = self.latency_s
        await asyncio.sleep(latency_s(number) if callable(latency_s) else latency_s)
        error = self.errors.get(number)
        if isinstance(error, list):
            error = error[turn] if turn < len(error) else None

        if error is not None:
            raise error

        right = self.good(number, request.sample)
        return {"reasoning": "because", "answer": f"a{number:03}" if right else "wrong"}

    @property
    def calls(self) -> int:
        """How many requests came."""
        return self.asked.total()


def outage(kind: ErrorKind = ErrorKind.SERVER) -> ProviderError:
    """Return a failed call."""
    return to_exception(ErrorData(kind, "down"))


async def bootstrap(
    oracle: Oracle, examples: list[Example] | None = None, **options: Any
) -> Predict:
    """Compile a lone predictor against an oracle."""
    student = Predict("question -> answer").with_client(oracle.model)
    optimizer = BootstrapFewShot(**{"metric": METRIC, "max_labeled_demos": 0, **options})
    return await optimizer.compile(student, trainset=examples or trainset())


def numbers(program: Predict) -> list[int]:
    """Return which examples are among the demos, in order."""
    return [int(demo["question"][1:]) for demo in program.demos]


def details(program: Program) -> Mapping[str, Any]:
    """Return what the provenance remembers."""
    assert program.provenance is not None
    return program.provenance.details


class TestDemos:
    async def test_eight_in_the_time_of_one(self) -> None:
        """Where all succeed, eight demos take one call's time and eight calls."""
        oracle = Oracle()
        better = await bootstrap(oracle, max_bootstrapped_demos=8)
        assert numbers(better) == list(range(8))
        assert asyncio.get_running_loop().time() == pytest.approx(1.0)
        assert oracle.calls == 8

    async def test_demos_hold_what_was_said(self) -> None:
        """A demo is the teacher's call: its inputs, and all it answered."""
        oracle = Oracle()
        student = ChainOfThought("question -> answer").with_client(oracle.model)
        better = await BootstrapFewShot(
            metric=METRIC, max_bootstrapped_demos=1, max_labeled_demos=0
        ).compile(student, trainset=trainset())
        (demo,) = better.demos
        assert demo.inputs() == {"question": "q000"}
        assert demo.labels() == {"reasoning": "because", "answer": "a000"}

    async def test_only_accepted_runs(self) -> None:
        """Examples that the metric refuses are passed over."""
        better = await bootstrap(Oracle(lambda number, _: number % 3 == 0))
        assert numbers(better) == [0, 3, 6, 9]
        assert details(better)["accepted"] == [0, 3, 6, 9]
        assert details(better)["attempts"] == 10

    async def test_end_of_the_trainset(self) -> None:
        """Too few successes are what they are, and the provenance says so."""
        better = await bootstrap(Oracle(lambda number, _: number == 5), trainset(10))
        assert numbers(better) == [5]
        assert better.provenance is not None
        assert "end of the trainset: found 1" in better.provenance.stop_reason

    async def test_without_metric_all_are_good(self) -> None:
        """Where nobody judges, the first answers are taken."""
        assert numbers(await bootstrap(Oracle(), metric=None)) == [0, 1, 2, 3]

    async def test_student_is_left_alone(self) -> None:
        """The student keeps what it had; the result has new demos only."""
        old = Example(question="old", answer="old").with_inputs("question")
        student = Predict("question -> answer", demos=[old]).with_client(Oracle().model)
        better = await BootstrapFewShot(
            metric=METRIC, max_bootstrapped_demos=2, max_labeled_demos=0
        ).compile(student, trainset=trainset())
        assert student.demos == (old,)
        assert numbers(better) == [0, 1]


class TestSameAsSequential:
    @pytest.mark.parametrize("seed", range(15))
    @pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
    async def test_whatever_comes_first(self, seed: int, rate: float) -> None:
        """Random results and latencies: the demos of one at a time, at most 1.5 times its calls."""
        chance = random_module.Random(f"{seed}:{rate}")
        pattern = [chance.random() < rate for _ in range(40)]
        latencies = [chance.uniform(0.1, 10) for _ in range(40)]
        slow = Oracle(lambda number, _: pattern[number])
        fast = Oracle(lambda number, _: pattern[number], latency_s=lambda number: latencies[number])
        expected = await bootstrap(slow, max_concurrency=1)
        better = await bootstrap(fast, max_concurrency=100)
        assert better.demos == expected.demos
        assert slow.calls == details(expected)["attempts"] == details(better)["attempts"]
        assert fast.calls <= 1.5 * slow.calls
        assert fast.calls == details(better)["attempts"] + details(better)["extra_attempts"]

    @settings(max_examples=25)
    @given(
        st.lists(st.integers(-1, 2), min_size=1, max_size=25),
        st.lists(st.floats(0.1, 10), min_size=25, max_size=25),
        st.integers(1, 6),
    )
    def test_with_rounds(self, pattern: list[int], latencies: list[float], target: int) -> None:
        """The same with several tries of each example."""

        async def both() -> None:
            options = {"max_bootstrapped_demos": target, "max_rounds": 3}
            slow = Oracle(lambda number, sample: pattern[number] == sample)
            fast = Oracle(
                lambda number, sample: pattern[number] == sample,
                latency_s=lambda number: latencies[number],
            )
            examples = trainset(len(pattern))
            expected = await bootstrap(slow, examples, max_concurrency=1, **options)
            better = await bootstrap(fast, examples, **options)
            assert better.demos == expected.demos
            assert fast.calls <= 1.5 * slow.calls

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(both())


class TestRounds:
    async def test_second_try_is_another_sample(self) -> None:
        """A new round has a new sample number and samples at temperature 1."""
        seen: list[tuple[int, int, float | None]] = []
        oracle = Oracle(lambda number, sample: sample == 2)
        answer = oracle.answer

        async def watching(request: Request) -> Mapping[str, Any]:
            seen.append((asked(request), request.sample, request.sampling.temperature))
            return await answer(request)

        oracle.model = ScriptedModel(watching)
        better = await bootstrap(oracle, trainset(1), max_bootstrapped_demos=1, max_rounds=5)
        assert numbers(better) == [0]
        assert seen == [(0, 0, None), (0, 1, 1.0), (0, 2, 1.0)]


class TestTeacher:
    async def test_student_with_labelled_demos_by_default(self) -> None:
        """The teacher is shown labelled examples, but never the answer it is asked for."""
        shown: list[tuple[int, set[str]]] = []
        oracle = Oracle()
        answer = oracle.answer

        async def watching(request: Request) -> Mapping[str, Any]:
            text = "".join(map(str, request.messages))
            shown.append((asked(request), {f"a{n:03}" for n in range(10) if f"a{n:03}" in text}))
            return await answer(request)

        oracle.model = ScriptedModel(watching)
        await bootstrap(oracle, trainset(10), max_labeled_demos=16, max_bootstrapped_demos=10)
        for number, answers in shown:
            assert answers == {f"a{n:03}" for n in range(10)} - {f"a{number:03}"}

        assert len(shown) == 10

    async def test_given_teacher_answers(self) -> None:
        """Another program may make the demos; the student's client stays its own."""
        strong, weak = Oracle(), Oracle(lambda number, _: False)
        student = Predict("question -> answer").with_client(weak.model)
        better = await BootstrapFewShot(metric=METRIC, max_labeled_demos=0).compile(
            student, trainset=trainset(), teacher=student.with_client(strong.model)
        )
        assert (strong.calls, weak.calls) == (4, 0)
        assert numbers(better) == [0, 1, 2, 3]
        assert better.client is weak.model

    async def test_compiled_teacher_keeps_its_demos(self) -> None:
        """A teacher that an optimizer made is used as it is."""
        oracle = Oracle()
        student = Predict("question -> answer").with_client(oracle.model)
        teacher = await LabeledFewShot(k=3, seed=7).compile(student, trainset=trainset())
        await BootstrapFewShot(metric=METRIC).compile(student, trainset=trainset(), teacher=teacher)
        demos = {demo["answer"] for demo in teacher.demos}
        for request in oracle.model.requests:
            text = "".join(map(str, request.messages[:-1]))
            assert {f"a{n:03}" for n in range(40) if f"a{n:03}" in text} <= demos

    @pytest.mark.parametrize(
        ("teacher", "message"),
        [
            (Predict("question -> other"), "demos would not fit"),
            (Predict("question, context -> answer"), "demos would not fit"),
        ],
    )
    async def test_teacher_of_another_kind(self, teacher: Program, message: str) -> None:
        """A teacher whose demos would not fit is refused before anything is called."""
        oracle = Oracle()
        student = Predict("question -> answer").with_client(oracle.model)
        with pytest.raises(OptimizerError, match=message):
            await BootstrapFewShot().compile(student, trainset=trainset(), teacher=teacher)

        assert oracle.calls == 0

    async def test_teacher_of_another_shape(self) -> None:
        """So is one with other predictors."""
        with pytest.raises(OptimizerError, match="has to be built like its student"):
            await BootstrapFewShot().compile(
                Predict("question -> answer"), trainset=trainset(), teacher=Pipeline()
            )

    async def test_student_without_predictors(self) -> None:
        """A program that asks no model cannot take demos."""

        class Constant(Program):
            async def forward(self, question: str) -> Prediction:
                return Prediction(answer="x")

        with pytest.raises(OptimizerError, match="no predictor that could take demos"):
            await BootstrapFewShot().compile(Constant(), trainset=trainset())


class Pipeline(Program):
    """Drafts, then answers; the draft is made anew as often as asked."""

    def __init__(self, drafts: int = 1) -> None:
        self.drafts = drafts
        self.draft = Predict("question -> draft")
        self.polish = Predict("draft -> answer")

    async def forward(self, question: str) -> Prediction:
        """Answer."""
        draft = ""
        for number in range(self.drafts):
            draft = (await self.draft(question=f"{question} {number}"))["draft"]

        return await self.polish(draft=draft)


def pipeline_model(request: Request) -> dict[str, Any]:
    """Answer either predictor of the pipeline."""
    text = str(request.messages[-1])
    number = text[text.rindex("q0") :][1:4]
    return {"draft": f"draft of q{number}", "answer": f"a{number}"}


class TestSeveralPredictors:
    async def test_each_gets_its_own_calls(self) -> None:
        """Demos go to the predictor that made them, by path."""
        student = Pipeline().with_client(ScriptedModel(pipeline_model))
        better = await BootstrapFewShot(
            metric=METRIC, max_bootstrapped_demos=2, max_labeled_demos=0
        ).compile(student, trainset=trainset())
        demos = {path: part.demos for path, part in better.named_predictors().items()}
        assert [dict(demo) for demo in demos["draft"]] == [
            {"question": "q000 0", "draft": "draft of q000"},
            {"question": "q001 0", "draft": "draft of q001"},
        ]
        assert [dict(demo) for demo in demos["polish"]] == [
            {"draft": "draft of q000", "answer": "a000"},
            {"draft": "draft of q001", "answer": "a001"},
        ]

    async def test_one_demo_of_several_calls(self) -> None:
        """Of a predictor's calls in one run one is kept: the last, or as often an earlier one."""
        student = Pipeline(drafts=3).with_client(ScriptedModel(pipeline_model))
        optimizer = BootstrapFewShot(metric=METRIC, max_bootstrapped_demos=40, max_labeled_demos=0)
        better = await optimizer.compile(student, trainset=trainset())
        again = await optimizer.compile(student, trainset=trainset())
        drafts = better.named_predictors()["draft"].demos
        assert len(drafts) == 40
        kinds = Counter(demo["question"][-1] for demo in drafts)
        assert 10 <= kinds["2"] <= 30
        assert kinds["0"] > 2
        assert kinds["1"] > 2
        assert drafts == again.named_predictors()["draft"].demos

    async def test_labelled_demos_are_drawn_as_the_reference_does(self) -> None:
        """Shuffled by the seed; each predictor draws from what the one before it drew."""
        student = Pipeline().with_client(ScriptedModel(pipeline_model))
        examples = trainset(12)
        better = await BootstrapFewShot(
            metric=METRIC, max_bootstrapped_demos=2, max_labeled_demos=5
        ).compile(student, trainset=examples)
        left = examples[2:]
        random_module.Random(0).shuffle(left)
        draw = random_module.Random(0)
        for predictor in better.named_predictors().values():
            left = draw.sample(left, 3)
            assert predictor.demos[2:] == tuple(left)


class TestLabelledDemos:
    async def test_fill_up(self) -> None:
        """Labelled examples that were not bootstrapped fill up to the number wanted."""
        better = await bootstrap(Oracle(lambda n, _: n % 2 == 0), max_labeled_demos=10)
        assert numbers(better)[:4] == [0, 2, 4, 6]
        assert len(set(numbers(better))) == 10
        assert better.provenance is not None
        assert better.provenance.candidates == (
            {"bootstrapped": {"self": 4}, "labeled": {"self": 6}},
        )

    async def test_fewer_than_bootstrapped(self) -> None:
        """No labelled demo is added where the bootstrapped ones are enough."""
        assert len((await bootstrap(Oracle(), max_labeled_demos=2)).demos) == 4

    async def test_labelled_only(self) -> None:
        """Without bootstrapped demos nothing is called."""
        oracle = Oracle()
        better = await bootstrap(oracle, max_bootstrapped_demos=0, max_labeled_demos=3)
        assert (len(better.demos), oracle.calls) == (3, 0)


class TestMetric:
    async def test_threshold(self) -> None:
        """A graded metric needs a least score; without one any score but zero is good."""

        def graded(example: Example, prediction: Prediction) -> Score:
            return Score(int(example["question"][1:]) / 10)

        low = await bootstrap(Oracle(), trainset(10), metric=graded)
        high = await bootstrap(Oracle(), trainset(10), metric=graded, quality_threshold=0.7)
        assert numbers(low) == [1, 2, 3, 4]
        assert numbers(high) == [7, 8, 9]

    async def test_zero_threshold_is_a_threshold(self) -> None:
        """A least score of zero accepts zero."""
        better = await bootstrap(
            Oracle(), metric=lambda example, prediction: 0.0, quality_threshold=0.0
        )
        assert numbers(better) == [0, 1, 2, 3]

    async def test_gets_the_trace(self) -> None:
        """A metric with an optional trace is strict while optimizing."""

        async def strict(
            example: Example, prediction: Prediction, trace: Trace | None = None
        ) -> bool:
            return trace is not None and trace.entries[0].inputs == example.inputs()

        assert numbers(await bootstrap(Oracle(), metric=strict)) == [0, 1, 2, 3]


class TestErrors:
    async def test_failed_run_is_no_demo(self) -> None:
        """A program that crashes on an example goes on with the next."""

        def metric(example: Example, prediction: Prediction) -> bool:
            return bool(1 / (example["question"] != "q001"))

        better = await bootstrap(Oracle(), metric=metric)
        assert numbers(better) == [0, 2, 3, 4]
        assert details(better)["errors"] == 1

    async def test_too_many(self) -> None:
        """Enough errors end the search, with the last one as cause; counted in scan order."""

        def metric(example: Example, prediction: Prediction) -> bool:
            raise KeyError(example["question"])

        with pytest.raises(
            OptimizerError, match=r"trainset\[2\] failed in the metric: KeyError"
        ) as e:
            await bootstrap(Oracle(), metric=metric, max_errors=3)

        assert isinstance(e.value.__cause__, KeyError)

    async def test_errors_beyond_the_result_do_not_count(self) -> None:
        """What a call that was not needed raises changes nothing."""
        oracle = Oracle(
            lambda number, _: number not in (0, 1),
            errors=dict.fromkeys(range(6, 40), ValueError("beyond")),
            latency_s=lambda number: 1 if number > 5 else 5,
        )
        better = await bootstrap(oracle, max_errors=1)
        assert numbers(better) == [2, 3, 4, 5]
        assert details(better)["errors"] == 0

    async def test_deadline_while_a_model_is_waited_for(self) -> None:
        """Time that the provider took is an outage: tried again, then set aside."""
        oracle = Oracle(latency_s=lambda number: 1_000 if number == 1 else 1)
        better = await bootstrap(oracle, timeout_s=10)
        assert numbers(better) == [0, 2, 3, 4]
        assert (details(better)["unavailable"], details(better)["errors"]) == (1, 0)
        assert oracle.asked[1] == 3

    async def test_deadline_while_the_metric_computes(self) -> None:
        """Time that program or metric took is their error."""

        async def metric(example: Example, prediction: Prediction) -> bool:
            await asyncio.sleep(1_000 if example["question"] == "q001" else 1)
            return True

        better = await bootstrap(Oracle(), metric=metric, timeout_s=10)
        assert numbers(better) == [0, 2, 3, 4]
        assert (details(better)["unavailable"], details(better)["errors"]) == (0, 1)

    async def test_no_runtime(self) -> None:
        """A student without a client is an error of the search, not of its examples."""
        with pytest.raises(RuntimeNotFound):
            await BootstrapFewShot().compile(Predict("question -> answer"), trainset=trainset())

    async def test_bad_trainset(self) -> None:
        """An example that cannot be used is named before anything is called."""
        oracle = Oracle()
        bad = [*trainset(3), Example(text="?").with_inputs("text")]
        with pytest.raises(DatasetError, match=r"trainset\[3\] has no input 'question'"):
            await bootstrap(oracle, bad)

        assert oracle.calls == 0


class TestOutages:
    async def test_passing_outage_costs_nothing_but_time(self) -> None:
        """An example that was unavailable is tried again, and becomes the demo it is."""
        oracle = Oracle(errors={1: [outage(), outage(), None]})
        better = await bootstrap(oracle)
        assert numbers(better) == [0, 1, 2, 3]
        assert details(better)["unavailable"] == 0
        assert oracle.asked[1] == 3

    async def test_lasting_outage_is_set_aside(self) -> None:
        """After a few tries the example is left out, and counted apart from wrong answers."""
        oracle = Oracle(errors={1: outage()})
        better = await bootstrap(oracle)
        assert numbers(better) == [0, 2, 3, 4]
        assert (details(better)["unavailable"], details(better)["errors"]) == (1, 0)
        assert oracle.asked[1] == 3

    async def test_provider_is_down(self) -> None:
        """When nothing can be had, the search says so instead of returning nothing."""
        oracle = Oracle(errors=dict.fromkeys(range(40), outage()))
        with pytest.raises(OptimizerError, match="could not be run: ServerError") as caught:
            await bootstrap(oracle, max_errors=5)

        assert isinstance(caught.value.__cause__, ProviderError)

    async def test_spent_budget_keeps_what_is_found(self) -> None:
        """An empty purse ends the search with the demos so far."""
        oracle = Oracle(errors={2: outage(ErrorKind.BUDGET)})
        better = await bootstrap(oracle)
        assert numbers(better) == [0, 1]
        assert oracle.asked[2] == 1
        assert better.provenance is not None
        assert "no further call is possible" in better.provenance.stop_reason


class TestProvenance:
    async def test_bill_and_settings(self) -> None:
        """What it took is remembered: calls made, calls beyond the scan, who and how."""
        oracle = Oracle(lambda number, _: number % 2 == 1)
        better = await bootstrap(oracle)
        provenance = better.provenance
        assert provenance is not None
        assert provenance.optimizer.startswith("BootstrapFewShot(metric=ExactMatch('answer')")
        assert provenance.calls == oracle.calls - oracle.model.in_flight
        assert provenance.details["attempts"] == 8
        assert provenance.details["recipe"]["arguments"]["max_bootstrapped_demos"] == 4

    async def test_places(self) -> None:
        """Every call stands at a place fixed by its example."""
        seen: set[tuple[str, ...]] = set()
        oracle = Oracle(lambda number, sample: sample == 1)
        answer = oracle.answer

        async def watching(request: Request) -> Mapping[str, Any]:
            seen.add(effects.current().path)
            return await answer(request)

        oracle.model = ScriptedModel(watching)
        await bootstrap(oracle, trainset(1), max_rounds=2)
        assert seen == {
            ("BootstrapFewShot", "bootstrap", "0", "Predict"),
            ("BootstrapFewShot", "bootstrap", "0#1", "Predict"),
        }


class FanOut(Program):
    def __init__(self) -> None:
        self.votes = Predict("question, voter: int -> vote")
        self.answer = Predict("question -> answer")

    async def forward(self, question: str) -> Prediction:
        async def ask(voter: int) -> Prediction:
            return await self.votes(question=question, voter=voter)

        await effects.map(ask, range(5))
        return await self.answer(question=question)


@pytest.mark.parametrize("seed", range(4))
async def test_demos_do_not_depend_on_timing_inside_a_program(seed: int) -> None:
    """A program whose own calls overlap gives the demos of one whose calls come in turn."""
    latencies = random_module.Random(seed)

    async def answer(request: Request) -> Mapping[str, str]:
        await asyncio.sleep(latencies.random())
        return {"vote": request.messages[-1].text[:60], "answer": "yes"}

    async def in_turn(request: Request) -> Mapping[str, str]:
        return {"vote": request.messages[-1].text[:60], "answer": "yes"}

    optimizer = BootstrapFewShot(max_bootstrapped_demos=6, max_labeled_demos=6)
    found = [
        await optimizer.compile(FanOut().with_client(ScriptedModel(model)), trainset=trainset())
        for model in (answer, in_turn)
    ]
    assert found[0].digest() == found[1].digest()


class TestWrongSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("metric", "exact"), ("quality_threshold", "0.5"), ("timeout_s", "1")],
    )
    def test_refused_when_made(self, name: str, value: Any) -> None:
        """Not after the calls are paid for; the message names setting and value."""
        with pytest.raises(OptimizerError, match=f"{name} is {value!r}"):
            BootstrapFewShot(**{"metric": METRIC, name: value})

    async def test_a_teacher_is_a_program(self) -> None:
        """A model's name is not a teacher; the message says how to make one of it."""
        with pytest.raises(OptimizerError, match=r"the teacher is 'some/model'.*with_client"):
            await BootstrapFewShot(METRIC).compile(
                Predict("question -> answer"),
                trainset=trainset(),
                teacher="some/model",  # type: ignore[arg-type]  # the mistake
            )


async def test_an_outage_is_waited_for_as_long_as_it_asks() -> None:
    """Attempts that meet an open breaker come again when it lets calls through."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def answer(request: Request) -> Mapping[str, str]:
        if loop.time() - began < 30:
            raise to_exception(ErrorData(ErrorKind.CIRCUIT_OPEN, "open", retry_after_s=30.0))

        return {"answer": "yes"}

    better = await BootstrapFewShot(max_bootstrapped_demos=4).compile(
        Predict("question -> answer", client=ScriptedModel(answer)), trainset=trainset()
    )
    assert better.provenance is not None
    assert better.provenance.details["unavailable"] == 0
    assert 30 <= loop.time() - began < 40
