"""Anthropic's messages: the SDK is the judge."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import orjson
import pytest

from dspex.sandbox import MODEL_ID, Script
from tests.dspex.sandbox.schemas import ANSWER, TALK, THOUGHT, THOUGHTFUL, WEATHER, check_json
from tests.dspex.sandbox.sdks import anthropic_sdk
from tests.dspex.sandbox.serving import CHATS, serving, wire_counts

TOOLS: Any = [{"name": "weather", "input_schema": WEATHER}]
ASK: Any = [{"role": "user", "content": "How is the weather?"}]
BASE: Any = {"model": MODEL_ID, "max_tokens": 500, "messages": ASK}
THINKING: Any = {"type": "enabled", "budget_tokens": 1024}


async def test_text_and_usage() -> None:
    """The message ends its turn; on this wire, input leaves out what came from the cache."""
    async with anthropic_sdk(Script(answer="Fine.", cached_share=0.5)) as (sdk, client):
        answer = await sdk.messages.create(**BASE, system="Be short.")
        block: Any = answer.content[0]
        assert (block.text, answer.stop_reason) == ("Fine.", "end_turn")
        usage = answer.usage
        tally = await wire_counts(client, "anthropic")
        assert tally["prompt_tokens"] == usage.input_tokens + (usage.cache_read_input_tokens or 0)
        assert tally["completion_tokens"] == usage.output_tokens


async def test_stream_adds_up() -> None:
    """The SDK's accumulator ends with the message that comes whole."""
    async with anthropic_sdk(THOUGHTFUL) as (sdk, _):
        whole = await sdk.messages.create(**BASE, thinking=THINKING)
        async with sdk.messages.stream(**BASE, thinking=THINKING) as stream:
            final = await stream.get_final_message()

        assert [b.to_dict() for b in final.content] == [b.to_dict() for b in whole.content]
        assert final.usage.output_tokens == whole.usage.output_tokens
        assert final.stop_reason == whole.stop_reason


async def test_thinking_comes_back_unchanged_or_not_at_all() -> None:
    """A thinking block is taken as it was sent; a changed one is refused."""
    async with anthropic_sdk(THOUGHTFUL) as (sdk, _):
        answer = await sdk.messages.create(**BASE, thinking=THINKING)
        block: Any = answer.content[0]
        assert (block.type, block.thinking) == ("thinking", THOUGHT)
        details: Any = answer.usage.output_tokens_details
        assert details.thinking_tokens == 10
        follow = {"role": "user", "content": "And then?"}
        said = [item.to_dict() for item in answer.content]
        talk: Any = [*ASK, {"role": "assistant", "content": said}, follow]
        assert await sdk.messages.create(**BASE | {"messages": talk})
        said[0]["thinking"] = "Something else."
        with pytest.raises(anthropic.BadRequestError, match="signature"):
            await sdk.messages.create(**BASE | {"messages": talk})


async def test_tool_conversation() -> None:
    """Calls are blocks; their results lead to the next turn."""
    async with anthropic_sdk(TALK) as (sdk, _):
        first = await sdk.messages.create(**BASE, tools=TOOLS)
        calls: list[Any] = [block for block in first.content if block.type == "tool_use"]
        assert first.stop_reason == "tool_use"
        assert [call.input["city"] for call in calls] == ["Rome", "Oslo"]
        said = {"role": "assistant", "content": [block.to_dict() for block in first.content]}
        results = [{"type": "tool_result", "tool_use_id": c.id, "content": "9"} for c in calls]
        talk: Any = [*ASK, said, {"role": "user", "content": results}]
        last = await sdk.messages.create(**BASE | {"messages": talk}, tools=TOOLS)
        block: Any = last.content[0]
        assert (block.text, last.stop_reason) == ("Rome is warmer.", "end_turn")


async def test_tools_in_a_stream() -> None:
    """Partial JSON is put together by the SDK."""
    async with (
        anthropic_sdk(TALK) as (sdk, _),
        sdk.messages.stream(**BASE, tools=TOOLS) as stream,
    ):
        final = await stream.get_final_message()
        block: Any = final.content[-1]
        assert block.input == {"city": "Oslo", "days": 1}


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}])
async def test_forced_tool(choice: Any) -> None:
    """Without a script the tool is called with arguments that its schema accepts."""
    async with anthropic_sdk() as (sdk, _):
        answer = await sdk.messages.create(**BASE, tools=TOOLS, tool_choice=choice)
        block: Any = answer.content[0]
        check_json(block.input, WEATHER)


async def test_structured_output() -> None:
    """A JSON schema in `output_config` is followed."""
    form: Any = {"format": {"type": "json_schema", "schema": ANSWER}}
    async with anthropic_sdk() as (sdk, _):
        answer = await sdk.messages.create(**BASE, output_config=form)
        block: Any = answer.content[0]
        check_json(orjson.loads(block.text), ANSWER)


async def test_ends() -> None:
    """Token limit and stop sequence each have their reason."""
    async with anthropic_sdk(Script(answer="one two three four")) as (sdk, _):
        cut = await sdk.messages.create(**BASE | {"max_tokens": 2})
        stopped = await sdk.messages.create(**BASE, stop_sequences=["three"])
        assert cut.stop_reason == "max_tokens"
        assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "three")


async def test_version_is_required() -> None:
    """Without its version header a request is refused in the wire's own words."""
    chat = next(chat for chat in CHATS if chat.name == "anthropic")
    async with serving() as client:
        async with client.post(chat.path, json=chat.body) as response:
            body = orjson.loads(await response.read())

        assert response.status == 400
        assert body["error"]["type"] == "invalid_request_error"
        assert "anthropic-version" in body["error"]["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": []},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "smell"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
        {"tools": [{"name": "x"}]},
        {"tool_choice": {"type": "tool", "name": "x"}},
        {"output_config": {"format": {"type": "yaml"}}},
    ],
)
async def test_bad_request(changes: dict[str, Any]) -> None:
    """What is wrong is a 400 of this wire."""
    async with anthropic_sdk() as (sdk, client):
        with pytest.raises(anthropic.BadRequestError):
            await sdk.messages.create(**BASE | changes)

        assert (await wire_counts(client, "anthropic"))["bad_requests"] == 1


async def test_error_event() -> None:
    """An overload inside a stream is the SDK's error."""
    async with anthropic_sdk(Script(opening=("stream_error",))) as (sdk, _):
        with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
            async for _ in await sdk.messages.create(**BASE, stream=True):
                pass

        # The loop closes the generators that the SDK has left open, in a task of its own.
        await asyncio.sleep(0.01)


async def test_key() -> None:
    """A demanded key comes in `x-api-key`."""
    async with anthropic_sdk(Script(api_key="right"), "wrong") as (sdk, _):
        with pytest.raises(anthropic.AuthenticationError):
            await sdk.messages.create(**BASE)

    async with anthropic_sdk(Script(api_key="right"), "right") as (sdk, _):
        assert await sdk.messages.create(**BASE)
