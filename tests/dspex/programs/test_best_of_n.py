"""BestOfN: tries are independent samples, the reward chooses, failures do not count."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any

import pytest

from dspex.effects import Trace, scope
from dspex.errors import DspexError, ErrorData, ErrorKind, ParseError, ServerError
from dspex.messages import Request, Sampling
from dspex.programs.best_of_n import BestOfN
from dspex.programs.predict import Predict
from dspex.programs.saving import load
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel
from dspex.usage import Usage

ONE = Usage(calls=1, input_tokens=10, output_tokens=1)


def length(inputs: Mapping[str, Any], prediction: Prediction) -> float:
    """Longer answers are better."""
    return len(prediction.answer)


def outage() -> ServerError:
    return ServerError(ErrorData(ErrorKind.SERVER, "down", status=503))


def numbered(*answers: Any) -> ScriptedModel:
    """Answer by the sample number of the request, however the tries overtake each other."""

    async def answer(request: Request) -> Any:
        for _ in range(len(answers) - request.sample):
            await asyncio.sleep(0)

        return answers[request.sample]

    return ScriptedModel(answer, usage_per_call=ONE)


def best_of(model: ScriptedModel, n: int = 3, **settings: Any) -> BestOfN:
    predict = Predict("question -> answer", client=model, max_repairs=0)
    return BestOfN(predict, n, reward=settings.pop("reward", length), **settings)


class TestChoice:
    async def test_the_highest_reward_wins(self) -> None:
        """Every try is judged; usage counts them all."""
        model = numbered({"answer": "a"}, {"answer": "ccc"}, {"answer": "bb"})
        prediction = await best_of(model)(question="?")
        assert prediction.answer == "ccc"
        assert prediction.usage.calls == 3

    async def test_the_first_of_equals_wins(self) -> None:
        """Which answer came first in time does not count."""
        model = numbered({"answer": "xx"}, {"answer": "yy"}, {"answer": "z"})
        assert (await best_of(model)(question="?")).answer == "xx"

    async def test_tries_differ_in_sample_and_temperature(self) -> None:
        """Equal requests would be answered as one by a cache."""
        model = numbered({"answer": "a"}, {"answer": "b"}, {"answer": "c"})
        await best_of(model)(question="?")
        assert sorted(request.sample for request in model.requests) == [0, 1, 2]
        assert {request.sampling.temperature for request in model.requests} == {1.0}

    async def test_samples_of_samples_stay_apart(self) -> None:
        """Under another sample number other tries are made."""
        model = ScriptedModel(lambda _: {"answer": "a"})
        program = best_of(model, 2)
        with scope(sample=3):
            await program(question="?")

        assert sorted(request.sample for request in model.requests) == [6, 7]

    async def test_the_temperature_may_be_left_alone(self) -> None:
        """None keeps what each predictor says."""
        model = ScriptedModel(lambda _: {"answer": "a"})
        predict = Predict("question -> answer", client=model, config=Sampling(temperature=0.2))
        await BestOfN(predict, 2, reward=length, temperature=None)(question="?")
        assert {request.sampling.temperature for request in model.requests} == {0.2}

    async def test_an_async_reward_is_awaited(self) -> None:
        """A reward may ask a model itself."""

        async def shortest(inputs: Mapping[str, Any], prediction: Prediction) -> float:
            return -len(prediction.answer)

        model = numbered({"answer": "aaa"}, {"answer": "b"}, {"answer": "cc"})
        assert (await best_of(model, reward=shortest)(question="?")).answer == "b"

    async def test_the_trace_shows_the_chosen_try_alone(self) -> None:
        """An optimizer must not learn from what was thrown away."""
        model = numbered({"answer": "a"}, {"answer": "ccc"}, {"answer": "bb"})
        with scope(trace=Trace()) as here:
            await best_of(model)(question="?")

        assert here.trace is not None
        assert [entry.prediction.answer for entry in here.trace] == ["ccc"]


class TestThreshold:
    async def test_the_first_good_try_in_order_ends_the_search(self) -> None:
        """A better one behind it is not waited for."""
        model = numbered({"answer": "a"}, {"answer": "bb"}, {"answer": "ccc"})
        prediction = await best_of(model, threshold=2.0)(question="?")
        assert prediction.answer == "bb"

    async def test_later_tries_are_cancelled(self) -> None:
        """What is no longer needed is not paid for."""

        async def answer(request: Request) -> Any:
            if request.sample:
                await asyncio.Event().wait()

            return {"answer": "good"}

        model = ScriptedModel(answer)
        assert (await best_of(model, 5, threshold=1.0)(question="?")).answer == "good"
        assert model.in_flight == 0

    async def test_one_at_a_time_stops_early(self) -> None:
        """With a bound of one it is the sequential search."""
        model = numbered({"answer": "a"}, {"answer": "bb"}, {"answer": "ccc"})
        await best_of(model, threshold=2.0, max_concurrency=1)(question="?")
        assert model.calls == 2


class TestFailures:
    async def test_a_failed_try_does_not_count(self) -> None:
        """Neither an unreadable answer nor a refusal ends the others."""
        model = numbered(outage(), "no fields here", {"answer": "fine"})
        assert (await best_of(model)(question="?")).answer == "fine"

    async def test_all_failed_is_an_error(self) -> None:
        """The first error is raised, with the number of the tries."""
        model = numbered("nothing", "nothing", "nothing")
        with pytest.raises(ParseError) as caught:
            await best_of(model)(question="?")

        assert "all 3 tries failed" in caught.value.__notes__[0]

    async def test_an_outage_among_failures_is_told(self) -> None:
        """Whoever scores must see that it was no wrong answer."""
        with pytest.raises(ServerError):
            await best_of(numbered("nothing", outage(), "nothing"))(question="?")

    async def test_a_mistake_in_the_reward_is_raised(self) -> None:
        """It would otherwise look like a bad answer."""

        def broken(inputs: Mapping[str, Any], prediction: Prediction) -> float:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await best_of(numbered(*[{"answer": "a"}] * 3), reward=broken)(question="?")

    async def test_a_reward_that_is_no_number_is_named(self) -> None:
        """The error shows the function and what it gave."""

        def wordy(inputs: Mapping[str, Any], prediction: Prediction) -> Any:
            return "very good"

        with pytest.raises(TypeError, match="wordy gave 'very good': it must give a number"):
            await best_of(numbered({"answer": "a"}), 1, reward=wordy)(question="?")

    def test_no_tries_make_no_sense(self) -> None:
        """Refused when the program is built."""
        with pytest.raises(ValueError, match="n must be 1 or more, got 0"):
            BestOfN(Predict("question -> answer"), 0, reward=length)

    async def test_inputs_are_those_of_the_program(self) -> None:
        """A positional input is answered with the names."""
        with pytest.raises(DspexError, match="question='what'"):
            await best_of(numbered({"answer": "a"}))("what")


async def test_it_is_saved_with_its_reward(tmp_path: Any) -> None:
    """A reward travels by its name."""
    program = BestOfN(Predict("question -> answer"), 4, reward=length, threshold=2.0)
    await program.save(tmp_path / "best.json")
    loaded = await load(tmp_path / "best.json")
    assert isinstance(loaded, BestOfN)
    assert (loaded.n, loaded.threshold, loaded.reward) == (4, 2.0, length)


class TestRewards:
    async def test_an_answer_of_no_worth_is_better_than_none(self) -> None:
        """A failed try never wins over an answer."""
        model = numbered(outage(), {"answer": "a"})
        best = best_of(model, 2, reward=lambda _, __: float("-inf"))
        assert (await best(question="?")).answer == "a"

    async def test_not_a_number_is_no_reward(self) -> None:
        """Nothing could be compared with it."""
        with pytest.raises(TypeError, match="gave nan: it must give a number"):
            await best_of(numbered({"answer": "a"}), 1, reward=lambda _, __: math.nan)(question="?")
