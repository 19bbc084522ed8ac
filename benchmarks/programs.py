"""The program, the examples and the runtime that evaluations are measured with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.servers import ANSWER
from benchmarks.settings import Setting
from dspex.config import ProviderSettings
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.runtime import Runtime
from dspex.signatures.example import Example

__all__ = ("SIGNATURE", "chain_of_thought", "examples", "open_runtime")

SIGNATURE = "question -> answer"


def chain_of_thought() -> ChainOfThought:
    """Return the program: one call per example, two fields to read from the answer."""
    return ChainOfThought(SIGNATURE)


def examples(count: int, *, name: object) -> list[Example]:
    """Return examples that the load server answers right; another name makes other questions."""
    return [
        Example(question=f"What is 2 + 2? ({name}, {index})", answer=ANSWER).with_inputs("question")
        for index in range(count)
    ]


@asynccontextmanager
async def open_runtime(setting: Setting, latency_s: float) -> AsyncIterator[Runtime]:
    """Open a runtime with default settings whose provider is the load server."""
    provider = ProviderSettings(base_url=setting.server.base_url(latency_s))
    async with Runtime(
        default=f"load/{setting.server.model}", providers={"load": provider}
    ) as runtime:
        yield runtime
