"""Who answers in the examples: the model of DSPEX_DEFAULT, or a script that says it is one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import dspex
from dspex.messages import Request
from dspex.testing import ScriptedModel

Answer = Callable[[Request], Any]


@asynccontextmanager
async def open_model(script: Answer, *, latency_s: float = 0.0) -> AsyncIterator[Any]:
    """Yield the client for the programs of an example, and print who it is.

    With DSPEX_DEFAULT (and the provider's key in the environment) it is that model. Without, the
    answers come from `script`, which shows the machinery and not a model's skill.
    """
    if name := os.environ.get("DSPEX_DEFAULT"):
        print(f"model: {name}\n")
        async with dspex.Runtime.from_env() as runtime:
            yield runtime.client()

        return

    print(
        "model: scripted (its answers are written in this file; set DSPEX_DEFAULT for a real one)\n"
    )
    yield ScriptedModel(script, latency_s=latency_s)
