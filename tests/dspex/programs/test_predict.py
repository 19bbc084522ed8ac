"""Predict: the call, its client, samples, repairs, and what is refused before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import pytest

from dspex.adapters.chat import ChatAdapter
from dspex.effects import announce_runtime, current, retract_runtime, scope
from dspex.errors import (
    ErrorData,
    ErrorKind,
    InputError,
    ParseError,
    RuntimeNotFound,
    ServerError,
    SignatureError,
)
from dspex.messages import Choice, Compat, Request, Response, Sampling
from dspex.programs.predict import Predict
from dspex.signatures.example import Example
from dspex.signatures.fields import InputField, OutputField
from dspex.signatures.signature import Signature
from dspex.testing.models import ScriptedModel
from dspex.usage import Usage, UsageMeter
from supervision.telemetry import Bus

ONE = Usage(calls=1, input_tokens=10, output_tokens=1)


class Triage(Signature):
    """Route the ticket to the team that owns it."""

    ticket: str = InputField(desc="what the customer wrote")
    team: Literal["billing", "network", "hardware"] = OutputField()


def triage(*answers: Any, **settings: Any) -> tuple[Predict, ScriptedModel]:
    model = ScriptedModel(answers, usage_per_call=ONE)
    return Predict(Triage, client=model, **settings), model


class FakeRuntime:
    def __init__(self, model: ScriptedModel, name: str = "fake") -> None:
        self.name = name
        self.bus = Bus()
        self.cache: Any = None
        self.tasks: Any = None
        self.asked: list[str | None] = []
        self._model = model

    def client(self, name: str | None = None) -> Any:
        self.asked.append(name)
        return self._model


class TestCall:
    async def test_the_outputs_are_typed_attributes(self) -> None:
        """The face of the library: a class in, an attribute out."""
        predict, model = triage({"team": "hardware"})
        prediction = await predict(ticket="My router is dead")

        assert prediction.team == prediction["team"] == "hardware"
        assert prediction.usage == ONE
        assert "My router is dead" in model.requests[0].messages[-1].text

    async def test_the_request_is_the_adapters(self) -> None:
        """Demonstrations, sampling and inputs as the adapter lays them out."""
        demos = [Example(ticket="late bill", team="billing")]
        predict, model = triage({"team": "network"}, demos=demos, config=Sampling(temperature=0.0))
        await predict(ticket="x")

        expected = ChatAdapter().prepare(
            predict.signature, demos, {"ticket": "x"}, sampling=Sampling(temperature=0.0)
        )
        assert model.requests[0] == expected

    async def test_the_prefix_is_rendered_once(self) -> None:
        """Calls share the messages; a changed copy renders its own."""
        predict, model = triage(*[{"team": "network"}] * 3)
        await predict(ticket="x")
        await predict(ticket="y")
        await predict.with_instructions("Be quick.")(ticket="x")
        first, second, third = model.requests

        assert first.messages[0] is second.messages[0]
        assert "Be quick." in third.messages[0].text

    @pytest.mark.parametrize(
        ("inputs", "words"),
        [
            ({}, "'ticket' is missing"),
            ({"ticket": 3}, "'ticket' must be str, got 3"),
            ({"tickets": "x"}, "did you mean 'ticket'"),
            ({"ticket": "x", "team": "billing"}, "unknown input 'team'"),
            ({"ticket": "x", "config": 3}, "config must be a Sampling, got 3"),
        ],
    )
    async def test_wrong_inputs_cost_nothing(self, inputs: dict[str, Any], words: str) -> None:
        """They are named before any call."""
        predict, model = triage()

        with pytest.raises(InputError, match=words):
            await predict(**inputs)

        assert model.calls == 0

    async def test_positional_inputs_are_named_for_the_caller(self) -> None:
        """The message is the call as it should have been."""
        predict, model = triage()

        with pytest.raises(InputError, match="Predict takes its inputs by name: write ticket='x'"):
            await predict("x")

        assert model.calls == 0

    async def test_defaults_are_filled_in(self) -> None:
        """Left-out inputs are asked with their default."""
        signature = Signature("a -> b").append("style", InputField(default="plain"))
        model = ScriptedModel([{"b": "x"}])
        await Predict(signature, client=model)(a="y")

        assert "[[ ## style ## ]]\nplain" in model.requests[0].messages[-1].text

    async def test_a_field_may_be_called_self(self) -> None:
        """No name of Python's own is taken from the user."""
        predict = Predict("self, args -> inputs", client=ScriptedModel([{"inputs": "x"}]))

        assert (await predict(self="a", args="b")).inputs == "x"

    async def test_config_for_one_call(self) -> None:
        """It holds for that call alone, and is an input where the signature says so."""
        predict, model = triage({"team": "network"}, {"team": "network"})
        await predict(ticket="x", config=Sampling(temperature=0.9))
        await predict(ticket="x")

        assert [request.sampling.temperature for request in model.requests] == [0.9, None]
        other = Predict("config -> b", client=ScriptedModel([{"b": "x"}]))
        assert (await other(config="mine")).b == "x"

    async def test_the_sample_of_the_scope_is_asked(self) -> None:
        """Epochs number their samples, so that none is answered from the cache of another."""
        predict, model = triage({"team": "network"}, {"team": "network"})
        await predict(ticket="x")
        with scope(sample=3):
            await predict(ticket="x")

        assert [request.sample for request in model.requests] == [0, 3]

    async def test_a_providers_error_passes_through(self) -> None:
        """It is not a wrong answer and is not repaired."""
        error = ServerError(ErrorData(ErrorKind.SERVER, "down"))
        predict, model = triage(error)

        with pytest.raises(ServerError) as caught:
            await predict(ticket="x")

        assert caught.value is error
        assert model.calls == 1


class TestClient:
    async def test_its_own_comes_first(self) -> None:
        """Before that of any runtime."""
        predict, model = triage({"team": "network"})
        runtime = FakeRuntime(ScriptedModel([]))
        with scope(runtime=runtime):
            await predict(ticket="x")

        assert model.calls == 1
        assert runtime.asked == []

    async def test_the_runtime_in_scope_then_the_open_one(self) -> None:
        """And a name is asked of the runtime."""
        model = ScriptedModel([{"team": "network"}] * 3)
        inner, outer = FakeRuntime(model, "inner"), FakeRuntime(model, "outer")
        predict = Predict(Triage)
        announce_runtime(outer)
        try:
            await predict(ticket="x")
            await predict.with_client("openai/some-model")(ticket="x")
            with scope(runtime=inner):
                await predict(ticket="x")
        finally:
            retract_runtime(outer)

        assert outer.asked == [None, "openai/some-model"]
        assert inner.asked == [None]

    async def test_nobody_to_ask_is_a_clear_error(self) -> None:
        """It says how to get a client."""
        with pytest.raises(RuntimeNotFound, match="with_client"):
            await Predict(Triage)(ticket="x")


class TestSamples:
    async def test_one_call_for_several(self) -> None:
        """The prediction is the first; all are its completions."""
        predict, model = triage(
            {"team": "network"}, {"team": "billing"}, {"team": "network"}, config=Sampling(n=3)
        )
        prediction = await predict(ticket="x")

        assert prediction.team == "network"
        assert [other.team for other in prediction.completions] == ["network", "billing", "network"]
        assert model.calls == 1

    async def test_numbered_calls_where_the_endpoint_gives_one(self) -> None:
        """They run together and each has a sample number of its own, so no cache folds them."""
        model = ScriptedModel(
            lambda request: {"team": ["billing", "network", "hardware"][request.sample % 3]},
            compat=Compat(n=False),
            usage_per_call=ONE,
        )
        predict = Predict(Triage, client=model, config=Sampling(n=3))
        prediction = await predict(ticket="x")
        with scope(sample=1):
            await predict(ticket="x")

        assert [other.team for other in prediction.completions] == [
            "billing",
            "network",
            "hardware",
        ]
        assert [request.sample for request in model.requests] == [0, 1, 2, 3, 4, 5]
        assert {request.sampling.n for request in model.requests} == {1}
        assert prediction.usage.calls == 3

    async def test_a_bad_sample_is_repaired_by_itself(self) -> None:
        """The others are not asked again."""
        predict, model = triage(
            {"team": "network"}, "junk", {"team": "billing"}, config=Sampling(n=2)
        )
        prediction = await predict(ticket="x")

        assert [other.team for other in prediction.completions] == ["network", "billing"]
        assert [len(other.repairs) for other in prediction.completions] == [0, 1]
        assert model.requests[1].sampling.n == 1
        assert len(prediction.repairs) == 1


class TestRepair:
    async def test_the_model_is_shown_its_error(self) -> None:
        """Once by default; the answer before is kept on the prediction, its cost is counted."""
        predict, model = triage("[[ ## team ## ]]\nsales", {"team": "billing"})
        prediction = await predict(ticket="x")

        assert prediction.team == "billing"
        assert prediction.usage.calls == 2
        assert prediction.repairs[0].text == "[[ ## team ## ]]\nsales"
        assert "not one of: billing; network; hardware" in prediction.repairs[0].problem
        assert model.requests[1].messages[-2].text == "[[ ## team ## ]]\nsales"
        assert "not one of" in model.requests[1].messages[-1].text

    @pytest.mark.parametrize(("max_repairs", "calls"), [(0, 1), (1, 2), (3, 4)])
    async def test_it_gives_up_after_so_many(self, max_repairs: int, calls: int) -> None:
        """With the last error; what was spent is on the meter."""
        predict, model = triage(*["junk"] * 9, max_repairs=max_repairs)
        meter = UsageMeter()

        with scope(meter=meter), pytest.raises(ParseError, match="`team` is missing"):
            await predict(ticket="x")

        assert model.calls == meter.total.calls == calls

    async def test_each_round_shows_the_latest_answer(self) -> None:
        """The conversation grows, so that the model sees all it has tried."""
        predict, model = triage("first", "second", {"team": "billing"}, max_repairs=2)
        prediction = await predict(ticket="x")

        assert [repair.text for repair in prediction.repairs] == ["first", "second"]
        shown = [m.text for m in model.requests[2].messages if m.role == "assistant"]
        assert shown == ["first", "second"]

    async def test_an_answer_without_choices_is_repaired_too(self) -> None:
        """It counts as empty."""
        predict, _ = triage(Response(()), {"team": "billing"})

        assert (await predict(ticket="x")).repairs[0].text == ""

    async def test_a_cut_answer_says_so(self) -> None:
        """The error of the last round names the token limit."""
        cut = Response((Choice("[[ ## te", finish_reason="length"),))  # type: ignore[arg-type]
        predict, _ = triage(cut, cut)

        with pytest.raises(ParseError):
            await predict(ticket="x")


class TestValue:
    def test_settings_are_attributes(self) -> None:
        """The signature is always a value, demos always examples."""
        predict = Predict(Triage, demos=[{"ticket": "x", "team": "billing"}])

        assert isinstance(predict.signature, Signature)
        assert predict.demos == (Example(ticket="x", team="billing"),)
        assert predict.declared == str(predict.signature)
        assert repr(predict) == (
            "Predict(\"ticket -> team: Literal['billing', 'network', 'hardware']\", 1 demos)"
        )

    def test_changed_copies(self) -> None:
        """The original keeps its settings; unknown ones are refused."""
        predict = Predict("a -> b")
        other = predict.changed(max_repairs=3, demos=[{"a": 1}])

        assert (other.max_repairs, predict.max_repairs) == (3, 1)
        assert predict.with_signature("a -> c").declared == "a -> b"
        with pytest.raises(TypeError, match="colour"):
            predict.changed(colour="red")

    @pytest.mark.parametrize(
        ("make", "error"),
        [
            (lambda: Predict("a"), SignatureError),
            (lambda: Predict(3), SignatureError),  # type: ignore[arg-type]  # that is the test
            (lambda: Predict("a -> b", max_repairs=-1), ValueError),
            (lambda: Predict("a -> b", colour="red"), TypeError),  # type: ignore[call-arg]
            (lambda: Predict("a -> b").changed(max_repairs=-1), ValueError),
        ],
    )
    def test_what_cannot_be_is_refused_at_once(
        self, make: Callable[[], object], error: type[Exception]
    ) -> None:
        """At definition, not at the first call."""
        with pytest.raises(error):
            make()


@pytest.mark.virtual_time
async def test_cancellation_leaves_nothing_behind() -> None:
    """A cancelled call gives back its place and the next one works."""
    model = ScriptedModel([{"team": "billing"}], latency_s=60.0)
    predict = Predict(Triage, client=model)
    task = asyncio.create_task(predict(ticket="x"))
    await asyncio.sleep(30.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert model.in_flight == 0
    assert (await predict(ticket="x")).team == "billing"


async def test_predictors_called_concurrently_do_not_share_scopes() -> None:
    """Each sees its own path and meter."""
    seen: dict[str, tuple[str, ...]] = {}

    async def note(request: Request) -> dict[str, str]:
        await asyncio.sleep(0)
        seen[request.messages[-1].text.splitlines()[1]] = current().path
        return {"b": "x"}

    predict = Predict("a -> b", client=ScriptedModel(note))

    async def branch(name: str) -> int:
        with scope(name):
            return (await predict(a=name)).usage.calls

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(branch(f"t{index}")) for index in range(100)]

    assert {task.result() for task in tasks} == {1}
    assert seen == {f"t{index}": (f"t{index}", "Predict") for index in range(100)}
