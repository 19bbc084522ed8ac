"""An agent with tools, heard while it works: what it thinks, what it calls, what it finds.

    python examples/react_tools.py                      # offline, a second
    DSPEX_DEFAULT=provider/model python examples/react_tools.py "another question"

The tools know Python's standard library as it is installed here, and run arithmetic in a sandbox.
Without DSPEX_DEFAULT the model's part is a script: it calls the real tools with arguments written
down in this file, and shows how an agent runs, not what a model can do. With DSPEX_DEFAULT (and the
provider's key and base URL in the environment) a real model decides.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

# Run as a file, a script sees its own folder and not the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dspex
from dspex.messages import Choice, FinishReason, Request, Response, ToolCall
from dspex.programs.code import run_code
from dspex.testing import ScriptedModel

QUESTION = (
    "Which function of Python's `statistics` gives the middle value of data, which of `heapq` the "
    "n largest, and what is the middle of the three largest of 3, 14, 15, 9, 26?"
)
AREAS = ("statistics", "heapq", "itertools", "functools", "collections", "math", "textwrap")


def members(module: str) -> list[str]:
    """List the public functions of a module of the standard library.

    Args:
        module: one of statistics, heapq, itertools, functools, collections, math, textwrap.
    """
    if module not in AREAS:
        raise ValueError(f"{module!r} is none of {', '.join(AREAS)}")

    found = importlib.import_module(module)
    names: list[str] = list(getattr(found, "__all__", None) or dir(found))
    return [name for name in names if name[0].islower()]


def describe(function: str) -> str:
    """Show the signature of a function, and the first line about it.

    Args:
        function: with its module, such as `math.sqrt`.
    """
    module, _, name = function.rpartition(".")
    if name not in members(module):
        raise ValueError(f"{module!r} has no {name!r}")

    found = getattr(importlib.import_module(module), name)
    try:
        signature = str(inspect.signature(found))
    except ValueError:
        signature = "(...)"

    return f"{function}{signature}: {(inspect.getdoc(found) or '').splitlines()[0]}"


async def calculate(code: str) -> Any:
    """Run a little Python in a sandbox and give the value of its last line.

    Args:
        code: it has no network and no files.
    """
    async with dspex.MontyInterpreter(timeout_s=2).session() as session:
        outcome = await run_code(session, code)

    if outcome.error is not None:
        raise ValueError(outcome.error)

    return outcome.value


TURNS: tuple[tuple[str, tuple[tuple[str, dict[str, str]], ...]], ...] = (
    (
        "I look at both modules at once.",
        (("members", {"module": "statistics"}), ("members", {"module": "heapq"})),
    ),
    (
        "`median` and `nlargest` look right; I make sure, and I try a name that may not be there.",
        (
            ("describe", {"function": "statistics.median"}),
            ("describe", {"function": "heapq.nlargest"}),
            ("describe", {"function": "heapq.largest"}),
        ),
    ),
    (
        "Now the number.",
        (("calculate", {"code": "top = sorted([3, 14, 15, 9, 26])[-3:]\ntop[1]"}),),
    ),
    ("I know all that was asked.", (("finish", {}),)),
)
ANSWER = (
    "`statistics.median` gives the middle value, `heapq.nlargest` the n largest; the three largest "
    "are 26, 15 and 14, and their middle is 15."
)


def scripted(request: Request) -> Any:
    """Play the model's part: the next of the turns above, then the answer."""
    if not request.tools:
        return {"reasoning": "The tools have shown all three.", "answer": ANSWER}

    done = sum(message.role == "assistant" for message in request.messages)
    thought, calls = TURNS[done]
    made = tuple(
        ToolCall(f"call_{done}_{number}", name, json.dumps(arguments))
        for number, (name, arguments) in enumerate(calls)
    )
    choice = Choice(thought, tool_calls=made, finish_reason=FinishReason.TOOL_CALLS)
    return Response((choice,), usage=dspex.Usage(calls=1))


@asynccontextmanager
async def opened() -> AsyncGenerator[tuple[dspex.Program, str], None]:
    """Give the agent, and who answers it."""
    agent = dspex.ReAct("question -> answer", tools=[members, describe, calculate], max_steps=8)
    name = os.environ.get("DSPEX_DEFAULT")
    if name is None:
        words = "scripted: the turns are written in this file, the tools are real"
        yield agent.with_client(ScriptedModel(scripted)), words
        return

    async with dspex.Runtime.from_env():
        yield agent, f"model {name}"


async def run(question: str) -> dspex.Prediction:
    """Ask the agent and print what happens while it happens."""
    prediction: dspex.Prediction | None = None
    async with opened() as (agent, who):
        print(f"\n  {who}\n\n  {question}\n")
        async with aclosing(agent.stream(question=question)) as items:
            async for item in items:
                if isinstance(item, dspex.Prediction):
                    prediction = item
                else:
                    show(item)

    assert prediction is not None
    usage = prediction.usage
    calls = sum(len(step.calls) for step in prediction.trajectory.steps)
    print(f"\n\n  => {prediction.answer}\n")
    print(f"  {usage.calls} calls of the model, {calls} of tools, {usage.total_tokens} tokens\n")
    return prediction


def show(item: object) -> None:
    """Print one thing that happened."""
    match item:
        case dspex.FieldChunk(predictor, "next_thought", text) if predictor.startswith("react"):
            print(f"\n  {text}", end="")
        case dspex.ToolStatus(_, tool, "start", detail):
            print(f"\n     {tool} {detail}", end="")
        case dspex.ToolStatus(_, tool, "stop", detail):
            print(f"\n     {tool} -> {clipped(detail)}", end="")
        case dspex.ToolStatus(_, tool, "error", detail):
            print(f"\n     {tool} !! {clipped(detail)}", end="")
        case _:
            pass


def clipped(text: str) -> str:
    """Return the beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 90 else f"{line[:87]}..."


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("question", nargs="?", default=QUESTION)
    dspex.run(lambda: run(parser.parse_args().question))


if __name__ == "__main__":
    main()
