"""Agents whose actions are code that calls tools."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from dspex.errors import ParseError, ToolError
from dspex.programs import CodeAct, MontyInterpreter, load
from dspex.programs.streaming import ToolStatus
from dspex.testing.models import ScriptedModel
from dspex.types.tool import Tool

ANSWER = {"reasoning": "read", "answer": "3"}


def price(item: str, count: int = 1) -> float:
    """Look up a price.

    Args:
        item: what is bought.
    """
    return {"apple": 1.0, "pear": 2.0}[item] * count


def act(code: str, finished: bool = False) -> dict[str, Any]:
    return {"generated_code": code, "finished": finished}


async def test_code_calls_tools_and_keeps_its_variables() -> None:
    """By name or by place; the tools are described, the output is shown."""
    model = ScriptedModel(
        [
            act("a = price('apple')\nprint(a)"),
            act("print(a + price(item='pear', count='1'))", finished=True),
            ANSWER,
        ]
    )
    prediction = await CodeAct("question -> answer", [price], client=model)(question="?")
    assert prediction.answer == "3"
    assert [step.output for step in prediction.trajectory.steps] == ["1.0", "3.0"]
    assert "price: Look up a price." in model.requests[0].messages[0].text
    assert "3.0" in model.requests[2].messages[-1].text
    assert prediction.trajectory.to_json()[0]["code"].startswith("a = price")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("price('plum')", "KeyError: 'plum'"),
        ("price()", "`item` is missing"),
        ("price('apple', 1, 2)", "got 3 arguments"),
        ("price('apple', item='pear')", "got ['item'] twice"),
        ("prize('apple')", "NameError"),
        ("for x in (y for y in [1]): print(x)\nyield 1", "Error"),
    ],
)
async def test_mistakes_are_shown_and_do_not_finish(code: str, words: str) -> None:
    """Even if the model thought that it was done."""
    model = ScriptedModel([act(code, finished=True), act("print(3)", finished=True), ANSWER])
    prediction = await CodeAct("question -> answer", [price], client=model)(question="?")
    assert len(prediction.trajectory) == 2
    assert words in model.requests[1].messages[-1].text


async def test_code_can_handle_the_failure_of_a_tool() -> None:
    """It is an exception there."""
    code = "try:\n    price('plum')\nexcept Exception as e:\n    print('no', 'plum' in str(e))"
    model = ScriptedModel([act(code, finished=True), ANSWER])
    prediction = await CodeAct("question -> answer", [price], client=model)(question="?")
    assert prediction.trajectory.steps[0].output == "no True"


async def test_a_tool_may_end_the_program() -> None:
    """If it asks to, code cannot catch it."""
    code = "try:\n    price('plum')\nexcept BaseException:\n    print('caught')"
    tool = Tool(price, on_error="raise")
    with pytest.raises(ToolError, match="plum"):
        await CodeAct("question -> answer", [tool], client=ScriptedModel([act(code)]))(question="?")


async def test_the_steps_are_bounded() -> None:
    """After the last the outputs are read from what there is; unreadable steps end the work."""
    model = ScriptedModel([act("print(1)"), act("print(2)"), ANSWER])
    assert (await CodeAct("q -> answer", max_steps=2, client=model)(q="?")).answer == "3"
    model = ScriptedModel([act("print(1)"), "gibberish", "gibberish", ANSWER])
    assert (await CodeAct("q -> answer", client=model)(q="?")).answer == "3"
    with pytest.raises(ParseError):
        await CodeAct("q -> answer", client=ScriptedModel(["gibberish"] * 2))(q="?")


def test_names_that_code_cannot_call_are_refused() -> None:
    """Before anything runs."""
    for name in ("my-tool", "class"):
        with pytest.raises(ToolError, match="code cannot call"):
            CodeAct("q -> a", [Tool(price, name=name)])


async def test_a_stream_hears_the_tools() -> None:
    """Calls out of code are told like any other."""
    model = ScriptedModel([act("price('apple')", finished=True), ANSWER])
    program = CodeAct("question -> answer", [price], client=model)
    async with aclosing(program.stream(question="?")) as items:
        heard = [item.status async for item in items if isinstance(item, ToolStatus)]

    assert heard == ["start", "stop"]


async def test_saved_and_loaded(tmp_path: Path) -> None:
    """With tools and interpreter."""
    program = CodeAct("q -> a", [price], interpreter=MontyInterpreter(timeout_s=3))
    await program.save(tmp_path / "program.json")
    again = await load(tmp_path / "program.json")
    assert isinstance(again, CodeAct)
    assert again.toolbox == program.toolbox
    assert again.digest() == program.digest()
