"""Judges and semantic overlap: programs behind metrics."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.effects import Trace, scope
from dspex.errors import ErrorData, ErrorKind, EvaluationError, ParseError, to_exception
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import Judge, judge, metric_name
from dspex.evaluation.outcome import Stage, Status
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.recipe import build, recipe_of
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel

EXAMPLE = Example(question="Capital of France?", answer="Paris").with_inputs("question")
GIVEN = Prediction(answer="It is Paris")


def marks(*scores: float) -> ScriptedModel:
    """Make a judge's model that gives these marks."""
    return ScriptedModel([{"feedback": f"worth {score}", "score": score} for score in scores])


class Strict(Program):
    """A judge of one's own, without feedback."""

    async def forward(self, task: str, expected: str, answer: str) -> Prediction:
        return Prediction(score=0.25)


class TestJudge:
    async def test_score_with_feedback(self) -> None:
        """The mark and the words come from the model."""
        score = await judge("Short and right", client=marks(0.75))(EXAMPLE, GIVEN)
        assert (score.value, score.feedback) == (0.75, "worth 0.75")

    async def test_is_shown_everything(self) -> None:
        """Criteria, task, labels and answer are in the request."""
        model = marks(1)
        await judge("Short and right", client=model)(EXAMPLE, GIVEN)
        shown = "\n".join(str(message.content) for message in model.requests[0].messages)
        for text in ("Short and right", "Capital of France?", "It is Paris", "answer:\nParis"):
            assert text in shown

    async def test_samples_are_numbered(self) -> None:
        """Each sample is a request of its own, and the feedback that of the nearest."""
        model = marks(0.0, 0.5, 0.9)
        score = await judge("Right", client=model, samples=3)(EXAMPLE, GIVEN)
        assert score.value == pytest.approx(1.4 / 3)
        assert score.feedback == "worth 0.5"
        assert sorted(request.sample for request in model.requests) == [0, 1, 2]

    @pytest.mark.parametrize("bad", [1.5, -0.1])
    async def test_mark_out_of_range(self, bad: float) -> None:
        """A mark beyond 0 and 1 is refused, as any answer that cannot be read."""
        with pytest.raises(ParseError):
            await judge("Right", client=marks(bad, bad))(EXAMPLE, GIVEN)

    async def test_leaves_no_trace(self) -> None:
        """What an optimizer learns from is the program's run and not the judge's."""
        trace = Trace()
        with scope(trace=trace):
            await judge("Right", client=marks(1))(EXAMPLE, GIVEN)

        assert len(trace.entries) == 0

    async def test_own_program(self) -> None:
        """Any program that gives a score can judge."""
        score = await judge(Strict())(EXAMPLE, GIVEN)
        assert (score.value, score.feedback) == (0.25, None)
        assert str(judge(Strict())) == "Judge(Strict)"

    @pytest.mark.parametrize(
        ("criteria", "options", "text"),
        [
            ("", {}, "criteria are ''"),
            ("  ", {}, "criteria are"),
            ("x", {"samples": 0}, "samples is 0"),
            (Strict(), {"samples": 2}, "samples is 2"),
        ],
    )
    def test_refused(self, criteria: Any, options: Any, text: str) -> None:
        """What says nothing, or twice, is refused at once."""
        with pytest.raises(EvaluationError, match=text):
            judge(criteria, **options)


class TestValues:
    def test_recipe(self) -> None:
        """A judge is rebuilt from plain data, its client by name."""
        metric = judge("Polite", client="openai/strong", samples=2)
        again = build(recipe_of(metric))
        assert again == metric
        assert again.client == "openai/strong"
        assert metric_name(metric) == "Judge('Polite', samples=2, client='openai/strong')"

    def test_other_criteria_are_another_metric(self) -> None:
        """Equality is that of what is judged by."""
        assert judge("Polite") != judge("Short")
        assert judge("Polite") == judge("Polite")
        assert judge("Polite") != judge("Polite", client="a/b")

    def test_client_without_a_name(self) -> None:
        """A client object cannot be saved; the error says what can."""
        with pytest.raises(TypeError, match="give the judge its client as 'provider/model'"):
            recipe_of(judge("Polite", client=marks(1)))

    def test_demos_are_kept(self) -> None:
        """An optimized judge keeps what it learnt."""
        demo = {"feedback": "good", "score": 1.0}
        learnt = Judge("Polite").with_demos([demo])
        assert judge(learnt) != judge("Polite")
        assert build(recipe_of(judge(learnt))) == judge(learnt)


class TestInEvaluation:
    async def test_feedback_and_cost_are_the_examples(self) -> None:
        """The outcome holds the judge's words, and the report its calls."""
        program = Predict("question -> answer").with_client(ScriptedModel([{"answer": "Paris"}]))
        report = await evaluate(program, [EXAMPLE], judge("Right", client=marks(0.5)))
        (outcome,) = report.outcomes
        assert (outcome.score, outcome.feedback) == (0.5, "worth 0.5")
        assert report.usage.calls == 2
        assert report.metric == "Judge('Right', client='scripted/model')"

    async def test_outage_of_the_judge_is_no_score(self) -> None:
        """The program was not to blame: the example is unavailable, and run again."""

        async def program(question: str) -> Prediction:
            return GIVEN

        down = to_exception(ErrorData(ErrorKind.SERVER, "down"))
        report = await evaluate(
            program,
            [EXAMPLE],
            judge("Right", client=ScriptedModel(lambda request: down)),
            max_outage_s=0,
        )
        (outcome,) = report.outcomes
        assert outcome.status is Status.UNAVAILABLE
        assert outcome.failure is not None
        assert outcome.failure.stage is Stage.METRIC

    async def test_garbage_of_the_judge_is_the_metrics_failure(self) -> None:
        """An answer that cannot be read fails the metric and not the program."""

        async def program(question: str) -> Prediction:
            return GIVEN

        model = ScriptedModel(lambda request: "I would rather not say")
        report = await evaluate(program, [EXAMPLE], judge("Right", client=model))
        (outcome,) = report.outcomes
        assert outcome.status is Status.FAILED
        assert outcome.failure is not None
        assert outcome.failure.stage is Stage.METRIC
        assert outcome.prediction == {"answer": "It is Paris"}
