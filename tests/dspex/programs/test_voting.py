"""Majority and Ensemble: several predictions, one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.errors import ErrorData, ErrorKind, ServerError
from dspex.messages import Sampling
from dspex.programs.predict import Predict
from dspex.programs.voting import Ensemble, majority
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel


def rows(*answers: Any) -> list[Prediction]:
    return [Prediction(reasoning=str(index), answer=a) for index, a in enumerate(answers)]


class TestMajority:
    def test_the_most_frequent_value_wins(self) -> None:
        """The first prediction that has it is given, whole."""
        assert majority(rows("a", "b", "B ", "c")).reasoning == "1"

    def test_ties_go_to_the_value_seen_first(self) -> None:
        """The order of the predictions decides, so the result is always the same."""
        assert majority(rows("b", "a", "a", "b")).answer == "b"

    def test_empty_values_do_not_vote(self) -> None:
        """None and blanks are no opinion."""
        assert majority(rows(None, " ", None, "x")).answer == "x"

    def test_only_empty_values(self) -> None:
        """Then the first prediction is as good as any."""
        assert majority(rows(None, None)).reasoning == "0"

    def test_another_field_may_count(self) -> None:
        """The last field counts unless another is named."""
        assert majority(rows("a", "a"), field="reasoning").reasoning == "0"

    def test_values_may_be_compared_in_another_way(self) -> None:
        """A function says what is equal."""
        chosen = majority(rows("10", "9", "9.0"), normalize=lambda v: float(v))
        assert chosen.answer == "9"

    async def test_completions_of_one_prediction(self) -> None:
        """A prediction with several completions votes by itself."""
        model = ScriptedModel([{"answer": "a"}, {"answer": "b"}, {"answer": "b"}])
        predict = Predict("question -> answer", client=model, config=Sampling(n=3))
        assert majority(await predict(question="?")).answer == "b"

    def test_no_predictions(self) -> None:
        """There is nothing to choose from."""
        with pytest.raises(ValueError, match="no predictions"):
            majority([])

    def test_an_unknown_field_is_named(self) -> None:
        """The prediction that lacks it is shown."""
        with pytest.raises(ValueError, match="no field 'team' in Prediction"):
            majority(rows("a"), field="team")

    @given(st.lists(st.sampled_from("abc"), min_size=1, max_size=9))
    def test_the_winner_has_the_highest_count(self, answers: list[str]) -> None:
        """Whatever the votes, nobody else has more."""
        winner = majority(rows(*answers)).answer
        assert answers.count(winner) == max(answers.count(a) for a in answers)


class TestEnsemble:
    async def test_all_are_asked_and_the_majority_answers(self) -> None:
        """Usage counts every member."""
        models = [ScriptedModel([{"answer": a}]) for a in ("x", "y", "y")]
        vote = Ensemble([Predict("question -> answer", client=model) for model in models])
        prediction = await vote(question="?")
        assert prediction.answer == "y"
        assert prediction.usage.calls == 3

    async def test_one_program_several_times_is_a_vote_over_samples(self) -> None:
        """Each member has a sample number of its own."""
        model = ScriptedModel(lambda _: {"answer": "x"})
        predict = Predict("question -> answer", client=model)
        await Ensemble([predict, predict, predict])(question="?")
        assert sorted(request.sample for request in model.requests) == [0, 1, 2]

    async def test_any_reduction_will_do(self) -> None:
        """It sees the predictions in the order of the programs."""

        def last(predictions: Sequence[Prediction]) -> Prediction:
            return predictions[-1]

        models = [ScriptedModel([{"answer": a}]) for a in ("x", "y")]
        vote = Ensemble([Predict("q -> answer", client=model) for model in models], reduce=last)
        assert (await vote(q="?")).answer == "y"

    async def test_a_failed_member_fails_the_vote(self) -> None:
        """A vote over fewer members would be another program."""
        down = ServerError(ErrorData(ErrorKind.SERVER, "down", status=503))
        models = [ScriptedModel([{"answer": "x"}]), ScriptedModel([down])]
        vote = Ensemble([Predict("q -> answer", client=model) for model in models])
        with pytest.raises(ServerError):
            await vote(q="?")

    def test_an_empty_ensemble(self) -> None:
        """Refused when it is built."""
        with pytest.raises(ValueError, match="at least one program"):
            Ensemble([])
