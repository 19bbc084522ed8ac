"""Long inputs explored through code and calls of models, within a budget."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dspex.errors import (
    ErrorData,
    ErrorKind,
    InputError,
    ParseError,
    ServerError,
    ToolError,
    to_exception,
)
from dspex.messages import Request
from dspex.programs import RLM, MontyInterpreter, load
from dspex.testing.models import ScriptedModel
from dspex.types.tool import Tool

LONG = "x" * 50_000 + " the needle is 42 " + "y" * 50_000


def step(code: str) -> dict[str, str]:
    return {"reasoning": "look", "code": code}


def shout(text: str) -> str:
    """Make it loud."""
    return text.upper()


def model_of(*steps: str, last: Any = None) -> ScriptedModel:
    """Answer with the code of each step; queries with the length of their prompt."""
    codes = iter(steps)

    def answer(request: Request) -> Any:
        system = request.messages[0].text
        if "`prompt`" in system:
            return {"response": f"read {len(request.messages[-1].text)}"}

        if "no more steps" in system:
            return last

        return step(next(codes))

    return ScriptedModel(answer)


async def test_explores_and_submits() -> None:
    """The model sees the size and the beginning of the input, never the whole."""
    model = model_of(
        "i = context.find('needle')\nprint(i, context[i:i + 12])", "SUBMIT(answer='42')"
    )
    program = RLM("context, question -> answer: int", client=model)
    prediction = await program(context=LONG, question="Where is it?")
    assert prediction.answer == 42
    assert prediction.trajectory.steps[0].output == "50005 needle is 42"
    assert all(len(m.text) < 10_000 for request in model.requests for m in request.messages)
    assert "str, 100018 characters" in model.requests[0].messages[-1].text


async def test_an_unreadable_step_ends_the_work() -> None:
    """What was found before it is answered from; where nothing was, it is an error."""
    answers: list[Any] = ["what?", "what?", {"reasoning": "seen", "answer": "42"}]
    model = ScriptedModel([step("print(1)"), *answers])
    prediction = await RLM("context -> answer", client=model)(context="c")
    assert (prediction.answer, len(prediction.trajectory)) == ("42", 1)
    with pytest.raises(ParseError):
        await RLM("context -> answer", client=ScriptedModel(answers))(context="c")


async def test_models_are_asked_from_code_and_counted() -> None:
    """One by one or side by side; usage covers them."""
    model = model_of(
        "print(llm_query('a' * 100))\nprint(len(llm_query_batched(['b', 'c', 'd'])))",
        "SUBMIT('done')",
    )
    prediction = await RLM("context -> answer", client=model)(context="")
    assert prediction.answer == "done"
    assert prediction.usage.calls == 2 + 4
    assert prediction.trajectory.steps[0].output.startswith("read ")
    assert prediction.trajectory.steps[0].output.endswith("\n3")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("[llm_query('x') for _ in range(4)]", "0 of 3 are left"),
        ("llm_query_batched(['x'] * 4)", "3 of 3 are left"),
        ("llm_query_batched('x')", "takes a list of texts"),
        ("llm_query(3)", "a prompt is a text, got int"),
        ("SUBMIT(answer='many')", "the output `answer` does not fit"),
        ("SUBMIT(wrong=1)", "takes exactly ['answer']"),
        ("SUBMIT(1, 2)", "takes exactly ['answer']"),
        ("SUBMIT()", "takes exactly ['answer']"),
        ("import socket", "ModuleNotFoundError"),
    ],
)
async def test_mistakes_are_shown(code: str, words: str) -> None:
    """A budget that is spent, wrong outputs, and all the rest; the model goes on."""
    model = model_of(code, "SUBMIT(answer=7)")
    program = RLM("context -> answer: int", max_llm_calls=3, client=model)
    prediction = await program(context="")
    assert prediction.answer == 7
    assert words in prediction.trajectory.steps[0].output


async def test_the_steps_are_bounded() -> None:
    """After the last the outputs are read from what there is."""
    model = model_of("print(1)", "print(2)", last={"reasoning": "", "answer": "2"})
    prediction = await RLM("context -> answer", max_iterations=2, client=model)(context="")
    assert prediction.answer == "2"
    assert len(prediction.trajectory) == 2


async def test_an_outage_below_is_no_matter_of_the_code() -> None:
    """It ends the program, though the code would catch it."""

    def down(request: Request) -> Any:
        raise to_exception(ErrorData(ErrorKind.SERVER, "down"))

    code = "try:\n    llm_query('x')\nexcept BaseException:\n    SUBMIT('caught')"
    program = RLM("context -> answer", client=model_of(code), sub_client=ScriptedModel(down))
    with pytest.raises(ServerError):
        await program(context="")


async def test_inputs_come_back_after_a_crash() -> None:
    """When a limit ends the interpreter, its successor has the inputs again."""
    model = model_of("x = 1\nwhile True: pass", "SUBMIT(context + '!')")
    program = RLM("context -> answer", interpreter=MontyInterpreter(timeout_s=0.2), client=model)
    assert (await program(context="here")).answer == "here!"


async def test_output_is_bounded() -> None:
    """However much code prints."""
    model = model_of("print(context)", "SUBMIT('ok')")
    prediction = await RLM("context -> answer", max_output_chars=500, client=model)(context=LONG)
    assert len(prediction.trajectory.steps[0].output) < 600


async def test_tools_and_structured_inputs() -> None:
    """Tools are functions, lists and objects are data."""
    model = model_of("SUBMIT(shout(rows[1]['name']))")
    program = RLM("rows: list[dict[str, str]] -> answer", tools=[shout], client=model)
    assert (await program(rows=[{"name": "a"}, {"name": "b"}])).answer == "B"


async def test_wrong_inputs_and_names() -> None:
    """Are refused before anything is asked."""
    with pytest.raises(InputError):
        await RLM("context -> answer", client=model_of())(contxt="")

    for name in ("llm_query", "SUBMIT", "context"):
        with pytest.raises(ToolError, match="for itself"):
            RLM("context -> answer", tools=[Tool(shout, name=name)])


async def test_many_at_once_keep_their_budgets_apart() -> None:
    """Nothing of one call is seen by another."""

    def answer(request: Request) -> Any:
        if "`prompt`" in request.messages[0].text:
            return {"response": "ok"}

        return step("llm_query('x')\nSUBMIT(context)")

    async with MontyInterpreter(max_processes=2) as interpreter:
        program = RLM(
            "context -> answer",
            max_llm_calls=1,
            interpreter=interpreter,
            client=ScriptedModel(answer),
        )
        found = await asyncio.gather(*(program(context=str(n)) for n in range(20)))

    assert [prediction.answer for prediction in found] == [str(n) for n in range(20)]
    assert {prediction.usage.calls for prediction in found} == {2}


async def test_saved_and_loaded(tmp_path: Path) -> None:
    """With all its numbers."""
    program = RLM("context, question -> answer", tools=[shout], max_llm_calls=7)
    await program.save(tmp_path / "program.json")
    again = await load(tmp_path / "program.json")
    assert isinstance(again, RLM)
    assert again.max_llm_calls == 7
    assert list(again.named_predictors()) == ["act", "query", "answer"]
    assert again.digest() == program.digest()
