"""Cohere's chat in version 2: the SDK is the judge."""

from __future__ import annotations

from typing import Any

import cohere
import orjson
import pytest
from cohere.errors import BadRequestError, UnauthorizedError

from dspex.sandbox import MODEL_ID, Script
from tests.dspex.sandbox.schemas import ANSWER, TALK, THOUGHT, THOUGHTFUL, WEATHER, check_json
from tests.dspex.sandbox.sdks import cohere_sdk
from tests.dspex.sandbox.serving import wire_counts

TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
ASK: Any = [{"role": "user", "content": "How is the weather?"}]
BASE: Any = {"model": MODEL_ID, "messages": ASK}
THINKING = cohere.Thinking(type="enabled")


async def test_text_and_usage() -> None:
    """The message is complete, and the ledger has its tokens."""
    async with cohere_sdk(Script(answer="Fine.")) as (sdk, client):
        answer: Any = await sdk.chat(**BASE)
        tally = await wire_counts(client, "cohere")
        assert (answer.message.content[0].text, answer.finish_reason) == ("Fine.", "COMPLETE")
        assert tally["prompt_tokens"] == answer.usage.tokens.input_tokens
        assert tally["completion_tokens"] == answer.usage.billed_units.output_tokens


async def test_stream_adds_up() -> None:
    """The deltas are the whole text and the whole thought; the usage is at the end."""
    async with cohere_sdk(THOUGHTFUL) as (sdk, _):
        whole: Any = await sdk.chat(**BASE, thinking=THINKING)
        events: list[Any] = [e async for e in sdk.chat_stream(**BASE, thinking=THINKING)]

    deltas = [event.delta.message.content for event in events if event.type == "content-delta"]
    assert "".join(delta.thinking or "" for delta in deltas) == THOUGHT
    assert "".join(delta.text or "" for delta in deltas) == whole.message.content[1].text
    assert events[0].type == "message-start"
    assert events[-1].delta.usage == whole.usage
    assert whole.usage.cached_tokens > 0


async def test_tool_conversation() -> None:
    """Calls come with a plan; their results lead to the next turn."""
    async with cohere_sdk(TALK) as (sdk, _):
        first: Any = await sdk.chat(**BASE, tools=TOOLS)
        calls = first.message.tool_calls
        assert (first.finish_reason, first.message.tool_plan) == ("TOOL_CALL", "Let me see.")
        assert [orjson.loads(c.function.arguments)["city"] for c in calls] == ["Rome", "Oslo"]
        said = {
            "role": "assistant",
            "tool_plan": "Let me see.",
            "tool_calls": [call.model_dump() for call in calls],
        }
        results = [{"role": "tool", "tool_call_id": c.id, "content": "9"} for c in calls]
        talk: Any = [*ASK, said, *results]
        last: Any = await sdk.chat(model=MODEL_ID, messages=talk, tools=TOOLS)
        assert last.message.content[0].text == "Rome is warmer."


async def test_tools_in_a_stream() -> None:
    """A call has a start, deltas of its arguments, and an end."""
    async with cohere_sdk(TALK) as (sdk, _):
        events: list[Any] = [event async for event in sdk.chat_stream(**BASE, tools=TOOLS)]

    text = ""
    for event in events:
        if event.type == "tool-call-delta" and event.index == 1:
            text += event.delta.message.tool_calls.function.arguments

    assert orjson.loads(text) == {"city": "Oslo", "days": 1}
    assert [e.type for e in events].count("tool-call-end") == 2


async def test_required_tool() -> None:
    """REQUIRED calls a tool with arguments that its schema accepts."""
    async with cohere_sdk() as (sdk, _):
        answer: Any = await sdk.chat(**BASE, tools=TOOLS, tool_choice="REQUIRED")
        arguments = orjson.loads(answer.message.tool_calls[0].function.arguments)
        check_json(arguments, WEATHER)


async def test_structured_output() -> None:
    """A JSON schema of a response format is followed."""
    form = cohere.JsonObjectResponseFormatV2(json_schema=ANSWER)
    async with cohere_sdk() as (sdk, _):
        answer: Any = await sdk.chat(**BASE, response_format=form)
        check_json(orjson.loads(answer.message.content[0].text), ANSWER)


async def test_ends_and_logprobs() -> None:
    """Token limit and stop sequence each have their reason; log probabilities have token ids."""
    async with cohere_sdk(Script(answer="one two three four")) as (sdk, _):
        cut: Any = await sdk.chat(**BASE, max_tokens=2)
        stopped: Any = await sdk.chat(**BASE, stop_sequences=["three"])
        shown: Any = await sdk.chat(**BASE, logprobs=True)
        assert (cut.finish_reason, stopped.finish_reason) == ("MAX_TOKENS", "STOP_SEQUENCE")
        assert "".join(item.text for item in shown.logprobs) == "one two three four"


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": []},
        {"messages": [{"role": "tool", "content": "x", "tool_call_id": ""}]},
        {"stop_sequences": ["a", "b", "c", "d", "e", "f"]},
        {"tool_choice": "SOMETIMES"},
        {"temperature": 1.5},
    ],
)
async def test_bad_request(changes: dict[str, Any]) -> None:
    """What is wrong is a 400 of this wire."""
    async with cohere_sdk() as (sdk, client):
        with pytest.raises(BadRequestError):
            await sdk.chat(**BASE | changes)

        assert (await wire_counts(client, "cohere"))["bad_requests"] == 1


async def test_key() -> None:
    """A demanded key comes as a bearer token."""
    async with cohere_sdk(Script(api_key="right"), "wrong") as (sdk, _):
        with pytest.raises(UnauthorizedError):
            await sdk.chat(**BASE)

    async with cohere_sdk(Script(api_key="right"), "right") as (sdk, _):
        await sdk.chat(**BASE)
