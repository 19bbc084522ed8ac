"""Show an answer while it is written, and stop one that goes round in circles.

    python examples/streaming.py
    DSPEX_DEFAULT=provider/model python examples/streaming.py

First a pipeline: the fields of each of its predictors arrive piece by piece, under their names.
Then a monitor: the first program repeats itself, is ended in the middle of its sentence, and a
second one answers instead; both are paid for, and the usage says so.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

# Run as a file, a script sees its own folder and not the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dspex
from dspex.messages import Request
from examples.models import open_model

QUESTION = "Why do supervisors restart their children?"

DRAFT = """A process that crashes has met a state it was not written for.
Started again it begins from one that is known to be good.
Most trouble is passing, so the second run succeeds."""


class Explain(dspex.Program):
    """Drafts, then says it in one sentence."""

    def __init__(self) -> None:
        self.draft = dspex.Predict("question -> draft")
        self.polish = dspex.Predict("question, draft -> answer")

    async def forward(self, question: str) -> dspex.Prediction:
        """Return the polished answer."""
        draft = await self.draft(question=question)
        return await self.polish(question=question, draft=draft.draft)


def script(request: Request) -> Any:
    """Draft and polish; or, asked for an essay, go round in circles unless told to be brief."""
    system = request.messages[0].text
    if "`essay`" in system:
        circle = "and so the supervisor starts the child again because the child has ended\n"
        return {"essay": "To begin afresh." if "Be brief" in system else circle * 40}

    if "`draft`" in system.split("output")[-1].split("answer")[0]:
        return {"draft": DRAFT}

    return {"answer": "To go on from a known good state,\nsince most trouble passes."}


async def show(program: dspex.Program) -> None:
    """Print what happens in a program as it happens."""
    place = ""
    async with aclosing(program.stream(question=QUESTION)) as items:
        async for item in items:
            match item:
                case dspex.FieldChunk(predictor, field, text):
                    if place != f"{predictor}.{field}":
                        place = f"{predictor}.{field}"
                        print(f"\n[{place}] ", end="")

                    print(text.replace("\n", "\n    "), end="", flush=True)
                case dspex.Switched(reason):
                    place = ""
                    print(f"\n  -- ended: {reason}; the other program answers")
                case dspex.Prediction():
                    print(f"\n\ndone: {item.usage.calls} calls\n")
                case _:
                    pass


async def main() -> None:
    """Stream a pipeline, then a monitored program."""
    async with open_model(script, latency_s=0.05) as client:
        await show(Explain().with_client(client))

        essay = dspex.Predict("question -> essay", client=client)
        brief = essay.with_instructions("Be brief.")
        await show(dspex.StreamMonitor(essay, fallback=brief, span_tokens=8))


if __name__ == "__main__":
    asyncio.run(main())
