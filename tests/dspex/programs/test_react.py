"""Agents that call tools: natively or by text, side by side, through every kind of failure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from dspex.adapters.json_adapter import JSONAdapter
from dspex.effects import Trace, scope
from dspex.errors import (
    ErrorData,
    ErrorKind,
    InputError,
    ParseError,
    SignatureError,
    ToolError,
    to_exception,
)
from dspex.messages import (
    Choice,
    Compat,
    FinishReason,
    ImagePart,
    ReasoningPart,
    Request,
    Response,
    ToolCall,
)
from dspex.programs import ReAct, load
from dspex.programs.streaming import FieldChunk, ToolStatus
from dspex.programs.trajectory import Trajectory
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel
from dspex.types.tool import Tool
from dspex.usage import Usage

TEXT = Compat(tools=False)
ANSWER = {"reasoning": "I read it.", "answer": "42"}


def search(query: str, k: int = 2) -> list[str]:
    """Find passages.

    Args:
        query: words to look for.
    """
    return [f"{query} {number}" for number in range(k)]


async def wait(seconds: float) -> str:
    """Wait."""
    await asyncio.sleep(seconds)
    return f"waited {seconds}"


def broken() -> str:
    """Raise."""
    raise LookupError("gone")


def step(tool: str, thought: str = "because", /, **arguments: Any) -> dict[str, Any]:
    return {"next_thought": thought, "next_tool_name": tool, "next_tool_args": arguments}


def text_model(*answers: Any) -> ScriptedModel:
    return ScriptedModel(answers, compat=TEXT)


def calling(
    *calls: tuple[str, Mapping[str, Any] | str],
    text: str = "",
    thinking: tuple[ReasoningPart, ...] = (),
) -> Response:
    """Answer with native calls."""
    made = tuple(
        ToolCall(
            f"id_{number}_{name}",
            name,
            arguments if isinstance(arguments, str) else json.dumps(arguments),
            signature=f"proof {number}",
        )
        for number, (name, arguments) in enumerate(calls)
    )
    choice = Choice(
        text,
        tool_calls=made,
        thinking=thinking,
        finish_reason=FinishReason.TOOL_CALLS if made else FinishReason.STOP,
    )
    return Response((choice,), usage=Usage(calls=1, input_tokens=10))


def too_long() -> Exception:
    return to_exception(ErrorData(ErrorKind.CONTEXT_WINDOW, "too long"))


class TestByText:
    async def test_thinks_calls_and_answers(self) -> None:
        """The tools are described, each observation is shown, the outputs are read at the end."""
        model = text_model(step("search", "look", query="x", k="1"), step("finish"), ANSWER)
        prediction = await ReAct("question -> answer", [search], client=model)(question="?")
        assert prediction.answer == "42"
        assert prediction.reasoning == "I read it."
        assert prediction.usage.calls == 3
        first, second, last = model.requests
        assert "search: Find passages." in first.messages[0].text
        assert "words to look for." in first.messages[0].text
        assert first.tools == ()
        assert '[tool_args_0] {"query": "x", "k": "1"}' in second.messages[-1].text
        assert '[observation_0] ["x 0"]' in second.messages[-1].text
        assert '["x 0"]' in last.messages[-1].text
        assert prediction.trajectory.to_json() == [
            {
                "thought": "look",
                "calls": [
                    {
                        "tool": "search",
                        "arguments": {"query": "x", "k": "1"},
                        "observation": ["x 0"],
                    }
                ],
            },
            {"thought": "because", "calls": []},
        ]

    @pytest.mark.parametrize(
        ("called", "words"),
        [
            (step("serch", query="x"), "there is no tool 'serch': there are ['search', 'broken']"),
            (step("search"), "the argument `query` is missing"),
            (step("search", query="x", k="many"), "`k` does not fit"),
            (step("broken"), "LookupError: gone"),
            (step("", query="x"), "there is no tool '(none)'"),
        ],
    )
    async def test_mistakes_are_observations(self, called: dict[str, Any], words: str) -> None:
        """Whatever goes wrong with a call is what the model reads next."""
        model = text_model(called, step("finish"), ANSWER)
        agent = ReAct("question -> answer", [search, broken], client=model)
        prediction = await agent(question="?")
        assert prediction.answer == "42"
        assert words in model.requests[1].messages[-1].text

    @pytest.mark.parametrize("written", ["`search`", "search()", '"search"', "`search()`"])
    async def test_a_name_may_be_quoted(self, written: str) -> None:
        """Quotes and brackets around it belong to no name; `finish` is no other case."""
        quoted = written.replace("search", "finish")
        model = text_model(step(written, query="x"), step(quoted), ANSWER)
        prediction = await ReAct("question -> answer", [search], client=model)(question="?")
        assert [call.name for call in prediction.trajectory.steps[0].calls] == ["search"]
        assert prediction.trajectory.steps[0].results[0].error is None
        assert len(prediction.trajectory) == 2

    async def test_a_tool_may_end_the_program(self) -> None:
        """If it asks to."""
        model = text_model(step("broken"))
        agent = ReAct("question -> answer", [Tool(broken, on_error="raise")], client=model)
        with pytest.raises(ToolError, match="LookupError: gone"):
            await agent(question="?")

    async def test_the_steps_are_bounded(self) -> None:
        """After the last the outputs are read from what there is."""
        model = text_model(step("search", query="a"), step("search", query="b"), ANSWER)
        agent = ReAct("question -> answer", [search], max_steps=2, client=model)
        assert len((await agent(question="?")).trajectory) == 2
        assert model.calls == 3

    async def test_an_unreadable_step_ends_the_work(self) -> None:
        """What was found before may be enough; the first step must be readable."""
        model = text_model(step("search", query="a"), "gibberish", "gibberish", ANSWER)
        agent = ReAct("question -> answer", [search], client=model)
        assert (await agent(question="?")).answer == "42"
        with pytest.raises(ParseError):
            await agent.with_client(text_model("gibberish", "gibberish"))(question="?")

    async def test_native_false_never_calls_natively(self) -> None:
        """A model whose tool calling is poor can be asked by text."""
        model = ScriptedModel([step("finish"), ANSWER])
        await ReAct("question -> answer", [search], native=False, client=model)(question="?")
        assert model.requests[0].tools == ()

    async def test_other_adapters(self) -> None:
        """The text may have any form."""
        model = text_model(json.dumps(step("finish")), json.dumps(ANSWER))
        agent = ReAct("question -> answer", [search], client=model).with_adapter(JSONAdapter())
        assert (await agent(question="?")).answer == "42"


class TestNatively:
    async def test_turns_are_replayed_unchanged(self) -> None:
        """Thinking, signatures and ids go back as they came, each with its result."""
        thinking = (ReasoningPart("hm", signature="sig"),)
        turn = calling(
            ("search", {"query": "a"}), ("search", {"q": 1}), text="look", thinking=thinking
        )
        model = ScriptedModel([turn, calling(("finish", {})), ANSWER])
        prediction = await ReAct("question -> answer", [search], client=model)(question="?")
        second = model.requests[1]
        assert [spec.name for spec in second.tools] == ["search", "finish"]
        assert second.messages[2] == turn.choices[0].to_message()
        results = second.messages[3:]
        assert [(m.role, m.tool_call_id, m.is_error) for m in results] == [
            ("tool", "id_0_search", False),
            ("tool", "id_1_search", True),
        ]
        assert "`query` is missing" in results[1].text
        assert prediction.usage.input_tokens >= 20
        assert model.requests[2].tools == ()
        assert [len(s.calls) for s in prediction.trajectory.steps] == [2, 0]

    async def test_calls_of_one_turn_run_at_the_same_time(self) -> None:
        """And their results stand in the order of the calls."""
        barrier = asyncio.Barrier(3)

        async def meet(number: int) -> int:
            await barrier.wait()
            for _ in range(3 - number):
                await asyncio.sleep(0)

            return number

        turn = calling(*(("meet", {"number": number}) for number in range(3)))
        model = ScriptedModel([turn, calling(text="done"), ANSWER])
        prediction = await ReAct("question -> answer", [meet], client=model)(question="?")
        observed = [result.value for result in prediction.trajectory.steps[0].results]
        assert observed == [0, 1, 2]

    async def test_an_answer_without_calls_ends_the_work(self) -> None:
        """It is the last thought."""
        model = ScriptedModel([calling(text="It is 42."), ANSWER])
        prediction = await ReAct("question -> answer", [search], client=model)(question="?")
        assert prediction.trajectory.steps[0].thought == "It is 42."
        assert "It is 42." in model.requests[1].messages[-1].text

    @pytest.mark.parametrize("arguments", ["{query: 1}", "[]", '"x"'])
    async def test_broken_arguments_are_observations(self, arguments: str) -> None:
        """Text that is no JSON object goes back with the reason, and the call as it was."""
        model = ScriptedModel([calling(("search", arguments)), calling(text="ok"), ANSWER])
        await ReAct("question -> answer", [search], client=model)(question="?")
        turn, result = model.requests[1].messages[2:]
        assert turn.tool_calls[0].arguments == arguments
        assert result.is_error

    @pytest.mark.parametrize(
        "choice",
        [Choice(""), Choice("I was cu", finish_reason=FinishReason.LENGTH)],
        ids=["empty", "cut off"],
    )
    async def test_an_answer_that_is_none_is_repaired(self, choice: Choice) -> None:
        """The model is told what was wrong and asked again."""
        model = ScriptedModel([Response((choice,)), calling(text="ok"), ANSWER])
        prediction = await ReAct("question -> answer", [search], client=model)(question="?")
        assert prediction.answer == "42"
        assert "could not be used" in model.requests[1].messages[-1].text

    async def test_images_of_tools_follow_in_a_turn_of_their_own(self) -> None:
        """Where the endpoint takes images; elsewhere they are only mentioned."""
        image = ImagePart("data:image/png;base64,AA==")

        async def shot() -> ImagePart:
            return image

        for compat, turns in ((Compat(), 1), (Compat(images="none"), 0)):
            answers: list[Any] = [calling(("shot", {})), calling(text="ok"), ANSWER]
            model = ScriptedModel(answers, compat=compat)
            await ReAct("question -> answer", [shot], client=model)(question="?")
            messages = model.requests[1].messages
            assert sum(m.content == (image,) for m in messages) == turns
            words = "1 images follow" if turns else "1 images that cannot be shown"
            assert words in messages[3].text

    async def test_demonstrations_are_shown(self) -> None:
        """Steps that an optimizer found stand in the system message."""
        model = ScriptedModel([calling(text="ok"), ANSWER])
        demo = {"question": "1 + 1?", "trajectory": Trajectory(), **step("search", query="sum")}
        agent = ReAct("question -> answer", [search], client=model)
        await agent.with_demos({"react": [demo]})(question="?")
        assert "next_tool_name: search" in model.requests[0].messages[0].text


class TestMemory:
    @pytest.mark.parametrize("native", [True, False])
    async def test_whole_old_steps_are_left_out(self, native: bool) -> None:
        """When the model cannot hold them all; the prediction keeps them."""
        turns: list[Any] = (
            [calling(("search", {"query": q})) for q in "ab"]
            if native
            else [step("search", query=q) for q in "ab"]
        )
        end: Any = calling(text="ok") if native else step("finish")
        model = ScriptedModel([*turns, too_long(), end, ANSWER], compat=Compat(tools=native))
        prediction = await ReAct("question -> answer", [search], client=model)(question="?")
        assert len(prediction.trajectory) == 3
        shown = "\n".join(m.text for m in model.requests[3].messages)
        assert "1 earlier steps are left out" in shown
        assert "b 0" in shown
        assert "a 0" not in shown

    async def test_a_single_step_that_does_not_fit_is_an_error(self) -> None:
        """There is nothing left to leave out."""
        model = text_model(step("search", query="a"), too_long())
        with pytest.raises(type(too_long())):
            await ReAct("question -> answer", [search], client=model)(question="?")

    async def test_the_shown_steps_are_bounded_by_characters(self) -> None:
        """Only the last ones are shown, whole."""
        turns = [step("search", query=f"{n}" * 50) for n in range(5)]
        model = text_model(*turns, step("finish"), ANSWER)
        agent = ReAct("question -> answer", [search], max_trajectory_chars=500, client=model)
        prediction = await agent(question="?")
        assert len(prediction.trajectory) == 6
        assert len(model.requests[5].messages[-1].text) < 1_000
        assert "4" * 50 in model.requests[5].messages[-1].text

    async def test_a_long_observation_is_cut_in_the_middle(self) -> None:
        """Beginning and end stay, and it is said what is missing."""

        async def flood() -> str:
            return "a" * 5_000 + "z" * 5_000

        model = text_model(step("flood"), step("finish"), ANSWER)
        agent = ReAct("question -> answer", [flood], max_observation_chars=1_000, client=model)
        (result,) = (await agent(question="?")).trajectory.steps[0].results
        assert len(result.text) < 1_100
        assert "9000 characters left out" in result.text
        assert result.text.endswith("z")


class TestTheProgram:
    def test_predictors_have_names(self) -> None:
        """An optimizer finds both."""
        agent = ReAct("question -> answer", [search])
        assert list(agent.named_predictors()) == ["react", "extract"]
        assert agent.input_names() == ["question"]

    @pytest.mark.parametrize(
        ("make", "error", "words"),
        [
            (lambda: ReAct("question -> answer", [search, search]), ToolError, "two tools"),
            (lambda: ReAct("q -> a", [Tool(search, name="finish")]), ToolError, "for itself"),
            (lambda: ReAct("trajectory -> a", [search]), SignatureError, "'trajectory'"),
            (lambda: ReAct("q -> next_thought", [search]), SignatureError, "'next_thought'"),
            (lambda: ReAct("q -> a", [search], max_steps=0), ValueError, "max_steps"),
        ],
    )
    def test_what_cannot_be_built(self, make: Any, error: type[Exception], words: str) -> None:
        """Names that clash and numbers that make no sense."""
        with pytest.raises(error, match=words):
            make()

    async def test_wrong_inputs_ask_nobody(self) -> None:
        """They are an InputError."""
        model = text_model()
        with pytest.raises(InputError):
            await ReAct("question -> answer", [search], client=model)(query="?")

        assert model.calls == 0

    async def test_saved_and_loaded(self, tmp_path: Path) -> None:
        """By the import paths of its tools, with what an optimizer changed."""
        agent = ReAct("question -> answer", [search, Tool(wait, timeout_s=3)], max_steps=4)
        tuned = agent.replace({"react": agent.react.with_instructions("Be quick.")})
        await tuned.save(tmp_path / "agent.json")
        again = await load(tmp_path / "agent.json")
        assert again.digest() == tuned.digest()
        assert isinstance(again, ReAct)
        assert again.react.toolbox == tuned.react.toolbox
        assert again.react.signature.instructions == "Be quick."

    async def test_a_lambda_is_refused_at_save(self, tmp_path: Path) -> None:
        """By the name of its tool."""
        tool = Tool(lambda: 1, name="one")
        with pytest.raises(TypeError, match=r"the tool 'one'.*lambda"):
            await ReAct("question -> answer", [tool]).save(tmp_path / "agent.json")

    async def test_the_trace_holds_every_step(self) -> None:
        """With the predictor in the tree and inputs that can be demonstrations."""
        model = ScriptedModel([calling(("search", {"query": "a"})), calling(text="ok"), ANSWER])
        agent = ReAct("question -> answer", [search], client=model)
        with scope(trace=Trace()) as here:
            await agent(question="?")

        assert here.trace is not None
        assert [entry.predictor for entry in here.trace] == [
            agent.react,
            agent.react,
            agent.extract,
        ]
        first, second, _ = here.trace
        assert first.prediction["next_tool_name"] == "search"
        assert first.prediction["next_tool_args"] == {"query": "a"}
        assert len(second.inputs["trajectory"]) == 1

    async def test_many_calls_at_once_do_not_mix(self) -> None:
        """Each has steps and usage of its own."""

        async def answer(request: Request) -> Any:
            await asyncio.sleep(0)
            question = request.messages[1].text.split()[-1]
            if any(m.role == "tool" for m in request.messages):
                return calling(text=f"seen {question}")

            return calling(("search", {"query": question, "k": 1}))

        async def extract(request: Request) -> Any:
            if request.tools:
                return await answer(request)

            name = next(w for w in request.messages[-1].text.split() if w.startswith("q-"))
            return {"reasoning": "", "answer": name}

        agent = ReAct("question -> answer", [search], client=ScriptedModel(extract))
        found = await asyncio.gather(*(agent(question=f"q-{n}") for n in range(200)))
        assert [prediction.answer for prediction in found] == [f"q-{n}" for n in range(200)]
        assert {len(prediction.trajectory) for prediction in found} == {2}
        assert {prediction.usage.calls for prediction in found} == {3}

    async def test_cancelled_while_a_tool_runs(self) -> None:
        """The tool is cancelled too, and nothing stays behind."""
        model = text_model(step("wait", seconds=60))
        agent = ReAct("question -> answer", [wait], client=model)
        task = asyncio.create_task(agent(question="?"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_a_stream_hears_thoughts_and_tools_in_order(self) -> None:
        """Each call starts and stops between the thoughts before and after it."""
        turns: list[Any] = [
            calling(("search", {"query": "a"}), text="look"),
            calling(text="ok"),
            ANSWER,
        ]
        agent = ReAct("question -> answer", [search], client=ScriptedModel(turns))
        heard: list[str] = []
        async with aclosing(agent.stream(question="?")) as items:
            async for item in items:
                match item:
                    case FieldChunk(predictor, field, text) if predictor.startswith("react"):
                        heard.append(f"{field}: {text}")
                    case ToolStatus(_, tool, status, detail):
                        heard.append(f"{tool} {status} {detail}")
                    case Prediction():
                        heard.append("prediction")
                    case _:
                        pass

        assert heard == [
            "next_thought: look",
            'search start {"query": "a"}',
            'search stop ["a 0", "a 1"]',
            "next_thought: ok",
            "prediction",
        ]

    async def test_the_prediction_survives_json(self) -> None:
        """Its trajectory is plain data there."""
        model = text_model(step("search", query="x"), step("finish"), ANSWER)
        prediction = await ReAct("question -> answer", [search], client=model)(question="?")
        data = json.loads(json.dumps(prediction.to_dict()))
        rows = data["values"]["trajectory"]
        assert Trajectory.from_json(rows).to_json() == rows
        assert "[observation_0]" in str(prediction.trajectory)
