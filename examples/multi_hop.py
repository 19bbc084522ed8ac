"""Answer a question that needs two look-ups: retrieve, read, ask again, answer.

    python examples/multi_hop.py
    DSPEX_DEFAULT=provider/model python examples/multi_hop.py

A program made of programs: its parts are plain attributes, its `forward` is plain async code. Each
hop writes a query from what is known so far, retrieves by embedding, and keeps notes; the last step
answers. Embeddings come from the offline sandbox server, which counts character groups: near texts
have near vectors, and that is all it knows.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

# Run as a file, a script sees its own folder and not the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dspex
from dspex.messages import Request
from dspex.sandbox import EMBEDDING_ID, SandboxServer
from examples.models import open_model

PASSAGES = [
    "The Kestrel bridge spans the Arne river. It was designed by Ida Holm.",
    "Ida Holm was an engineer. She was born in Visby on the island of Gotland.",
    "The Arne river flows into the northern fjord near the town of Sund.",
    "Gotland is an island in the Baltic sea. Visby is its largest town.",
    "The Sund ferry carries forty cars and runs twice a day in summer.",
    "Kestrels are small falcons that hover while they look for voles.",
]

QUESTION = "In which town was the designer of the Kestrel bridge born?"


class MultiHop(dspex.Program):
    """Looks things up until it can answer."""

    def __init__(self, index: dspex.VectorIndex, hops: int = 2) -> None:
        self.hops = hops
        self.retrieve = dspex.Retrieve(index, k=2)
        self.ask = dspex.ChainOfThought("question, notes: list[str] -> query")
        self.answer = dspex.ChainOfThought("question, notes: list[str] -> answer")

    async def forward(self, question: str) -> dspex.Prediction:
        """Return the answer, with the notes that it rests on."""
        notes: list[str] = []
        for _ in range(self.hops):
            asked = await self.ask(question=question, notes=notes)
            found = await self.retrieve(query=asked.query)
            notes += [passage for passage in found.passages if passage not in notes]

        answered = await self.answer(question=question, notes=notes)
        return dspex.Prediction(answered, notes=notes)


def script(request: Request) -> Any:
    """Ask for the bridge, then for its designer, then answer."""
    system, asked = request.messages[0].text, request.messages[-1].text
    known = "designed by Ida Holm" in asked
    if "`query`" in system:
        query = "Ida Holm was born in" if known else "who designed the Kestrel bridge"
        return {"reasoning": "what is still missing", "query": query}

    town = "Visby" if "born in Visby" in asked else "unknown"
    return {
        "reasoning": "the designer is Ida Holm, and where she was born is noted",
        "answer": town,
    }


async def main() -> None:
    """Build the index, ask, and show the way to the answer."""
    async with SandboxServer.start() as server, open_model(script) as client:
        provider = dspex.ProviderSettings(base_url=server.base_url)
        async with dspex.Runtime(providers={"sandbox": provider}, name="embeddings") as runtime:
            embedder = runtime.client(f"sandbox/{EMBEDDING_ID}")
            index = await dspex.VectorIndex.build(PASSAGES, embedder=embedder)
            program = MultiHop(index).with_client(client)
            prediction = await program(question=QUESTION)

    print(QUESTION)
    for number, note in enumerate(prediction.notes, 1):
        print(f"  note {number}: {note}")

    print(f"\nanswer: {prediction.answer}")
    print(f"because: {prediction.reasoning}")
    print(f"{prediction.usage.calls} calls; predictors: {', '.join(program.named_predictors())}")


if __name__ == "__main__":
    asyncio.run(main())
