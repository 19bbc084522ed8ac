"""Answers by a program that the model writes and a sandbox runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dspex.errors import InterpreterError
from dspex.messages import Request
from dspex.programs import BubblewrapInterpreter, MontyInterpreter, ProgramOfThought, load
from dspex.testing.models import ScriptedModel


def code(text: str) -> dict[str, str]:
    return {"reasoning": "", "generated_code": f"```python\n{text}\n```"}


ANSWER = {"reasoning": "read", "answer": "5"}


async def test_writes_runs_and_reads() -> None:
    """The outputs are read from what the program printed and gave."""
    model = ScriptedModel([code("x = 2 + 3\nprint('sum')\nx"), ANSWER])
    prediction = await ProgramOfThought("question -> answer: int", client=model)(question="2+3?")
    assert prediction.answer == 5
    assert prediction.code == "x = 2 + 3\nprint('sum')\nx"
    assert prediction.code_output == "sum\nValue of the last line: 5"
    assert prediction.usage.calls == 2
    assert "Value of the last line: 5" in model.requests[1].messages[-1].text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("def f():\n    yield 1", "does not yet support yield"),
        ("open('/etc/passwd')", "PermissionError"),
        ("while True: pass", "time limit"),
    ],
)
async def test_code_that_fails_is_written_anew(wrong: str, words: str) -> None:
    """The model sees its code and the error, whatever it was."""
    model = ScriptedModel([code(wrong), code("print(5)"), ANSWER])
    interpreter = MontyInterpreter(timeout_s=0.2)
    program = ProgramOfThought("question -> answer", interpreter=interpreter, client=model)
    assert (await program(question="?")).code_output == "5"
    repair = model.requests[1].messages[-1].text
    assert words in repair
    assert wrong in repair


async def test_the_tries_are_bounded() -> None:
    """After the last the outputs are read from what there is."""
    model = ScriptedModel([code("1 / 0"), code("2 / 0"), ANSWER])
    program = ProgramOfThought("question -> answer", max_iterations=2, client=model)
    assert "ZeroDivisionError" in (await program(question="?")).code_output


async def test_without_a_sandbox_it_refuses() -> None:
    """Code is never run in our process instead."""
    model = ScriptedModel([code("print(5)")])
    missing = BubblewrapInterpreter(bwrap="no-such-program")
    program = ProgramOfThought("question -> answer", interpreter=missing, client=model)
    with pytest.raises(InterpreterError):
        await program(question="?")


async def test_many_at_once_share_a_pool() -> None:
    """Each has its own code and its own answer."""

    def answer(request: Request) -> Any:
        text = request.messages[-1].text
        if "code_output" not in text:
            number = text.split()[5]
            return code(f"print({number} * 2)")

        return {"reasoning": "", "answer": text.split("[[ ## code_output ## ]]\n")[1].split()[0]}

    async with MontyInterpreter(max_processes=2) as interpreter:
        program = ProgramOfThought(
            "question -> answer: int", interpreter=interpreter, client=ScriptedModel(answer)
        )
        found = await asyncio.gather(*(program(question=f"{n} .") for n in range(40)))

    assert [prediction.answer for prediction in found] == [2 * n for n in range(40)]


async def test_saved_and_loaded(tmp_path: Path) -> None:
    """With its interpreter."""
    program = ProgramOfThought("question -> answer", interpreter=MontyInterpreter(timeout_s=3))
    await program.save(tmp_path / "program.json")
    again = await load(tmp_path / "program.json")
    assert isinstance(again, ProgramOfThought)
    assert again.interpreter == program.interpreter
    assert list(again.named_predictors()) == ["generate", "repair", "extract"]
    assert again.input_names() == ["question"]
