"""An agent over every provider's wire, against the sandbox behind real HTTP."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestServer

import dspex
from dspex.config import ProviderSettings
from dspex.programs import ReAct
from dspex.runtime import Runtime
from dspex.sandbox import Script, create_app
from dspex.sandbox.options import ScriptedCall, ToolTurn

PATHS = {
    "openai-chat": "/v1",
    "openai-responses": "/v1",
    "anthropic-messages": "/v1",
    "gemini": "/v1beta",
    "cohere": "/v2",
}
TURNS = (
    ToolTurn(
        "I look twice.",
        (ScriptedCall("lookup", {"word": "one"}), ScriptedCall("lookup", {"word": "two"})),
    ),
    ToolTurn("And once more.", (ScriptedCall("lookup", {"wrd": "three"}),)),
    ToolTurn("", (ScriptedCall("finish", {}),)),
)


def lookup(word: str) -> str:
    """Look a word up."""
    return f"{word} is known"


@pytest.mark.parametrize("wire", PATHS)
async def test_tools_are_called_over_each_wire(wire: str) -> None:
    """Calls come over, results go back, and the turns before are accepted again."""
    async with TestServer(create_app(script=Script(tool_calls=TURNS, models=("model",)))) as server:
        settings = ProviderSettings(
            wire=wire, base_url=str(server.make_url(PATHS[wire])), api_key="sk-0123"
        )
        runtime = Runtime(default="it/model", providers={"it": settings}, log="off")
        async with runtime:
            prediction = await ReAct("question -> answer", [lookup])(question="What is known?")

    rows = prediction.trajectory.to_json()
    observed = [call["observation"] for row in rows for call in row["calls"]]
    assert observed[:2] == ["one is known", "two is known"]
    assert "`word` is missing" in observed[2]
    assert len(rows) == 3
    assert isinstance(prediction, dspex.Prediction)
    assert prediction.usage.calls >= 4
