"""OpenAI's responses: the SDK is the judge."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest

from dspex.sandbox import MODEL_ID, Script
from tests.dspex.sandbox.schemas import ANSWER, TALK, THOUGHT, THOUGHTFUL, WEATHER, check_json
from tests.dspex.sandbox.sdks import openai_sdk
from tests.dspex.sandbox.serving import wire_counts

TOOLS: Any = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}]
ASK = "How is the weather?"


async def test_text_and_usage() -> None:
    """The answer is complete, and the ledger has its tokens."""
    async with openai_sdk(Script(answer="Fine.")) as (sdk, client):
        answer = await sdk.responses.create(model=MODEL_ID, input=ASK, instructions="Be short.")
        assert (answer.output_text, answer.status) == ("Fine.", "completed")
        usage: Any = answer.usage
        tally = await wire_counts(client, "openai_responses")
        assert (tally["prompt_tokens"], tally["completion_tokens"]) == (
            usage.input_tokens,
            usage.output_tokens,
        )


async def test_stream_adds_up() -> None:
    """The SDK's accumulator ends with what the events said, in numbered order."""
    async with openai_sdk(THOUGHTFUL) as (sdk, _):
        whole = await sdk.responses.create(model=MODEL_ID, input=ASK, reasoning={"effort": "low"})
        stream = sdk.responses.stream(model=MODEL_ID, input=ASK, reasoning={"effort": "low"})
        async with stream as events:
            seen = [event async for event in events]
            final = await events.get_final_response()

        assert final.output_text == whole.output_text
        assert final.usage == whole.usage
        assert [event.sequence_number for event in seen] == list(range(len(seen)))
        kinds = [event.type for event in seen]
        assert kinds[:2] == ["response.created", "response.in_progress"]
        assert kinds[-1] == "response.completed"
        assert "response.reasoning_summary_text.delta" in kinds


async def test_reasoning_item() -> None:
    """Reasoning is an item before the text, and counts in the usage."""
    async with openai_sdk(THOUGHTFUL) as (sdk, _):
        answer = await sdk.responses.create(model=MODEL_ID, input=ASK, reasoning={"effort": "low"})
        item: Any = answer.output[0]
        assert (item.type, item.summary[0].text) == ("reasoning", THOUGHT)
        usage: Any = answer.usage
        assert usage.output_tokens_details.reasoning_tokens == 10
        assert usage.input_tokens_details.cached_tokens == usage.input_tokens // 2
        again: Any = [{"role": "user", "content": ASK}, *answer.output]
        await sdk.responses.create(model=MODEL_ID, input=again)


async def test_tool_conversation() -> None:
    """Calls are items of their own; their outputs lead to the next turn."""
    async with openai_sdk(TALK) as (sdk, _):
        first = await sdk.responses.create(model=MODEL_ID, input=ASK, tools=TOOLS)
        calls: list[Any] = [item for item in first.output if item.type == "function_call"]
        assert [orjson.loads(call.arguments)["city"] for call in calls] == ["Rome", "Oslo"]
        outputs = [
            {"type": "function_call_output", "call_id": c.call_id, "output": "9"} for c in calls
        ]
        talk: Any = [{"role": "user", "content": ASK}, *first.output, *outputs]
        last = await sdk.responses.create(model=MODEL_ID, input=talk, tools=TOOLS)
        assert last.output_text == "Rome is warmer."


async def test_tools_in_a_stream() -> None:
    """Arguments come in pieces that the SDK joins."""
    async with openai_sdk(TALK) as (sdk, _):
        async with sdk.responses.stream(model=MODEL_ID, input=ASK, tools=TOOLS) as events:
            final = await events.get_final_response()

        calls: list[Any] = [item for item in final.output if item.type == "function_call"]
        assert orjson.loads(calls[0].arguments) == {"city": "Rome", "days": 2}


async def test_named_tool() -> None:
    """A named function is called with arguments that its schema accepts."""
    async with openai_sdk() as (sdk, _):
        answer = await sdk.responses.create(
            model=MODEL_ID,
            input=ASK,
            tools=TOOLS,
            tool_choice={"type": "function", "name": "weather"},
        )
        call: Any = answer.output[0]
        check_json(orjson.loads(call.arguments), WEATHER)


async def test_structured_output() -> None:
    """The format lies flat under `text`, and the answer validates."""
    form: Any = {"type": "json_schema", "name": "a", "schema": ANSWER}
    async with openai_sdk() as (sdk, _):
        answer = await sdk.responses.create(model=MODEL_ID, input=ASK, text={"format": form})
        check_json(orjson.loads(answer.output_text), ANSWER)


async def test_length_is_incomplete() -> None:
    """A cut answer is `incomplete`, and says why."""
    async with openai_sdk(Script(answer="a b c d e f g h i j k l m")) as (sdk, _):
        answer = await sdk.responses.create(model=MODEL_ID, input=ASK, max_output_tokens=2)
        assert answer.status == "incomplete"
        details: Any = answer.incomplete_details
        assert details.reason == "max_output_tokens"
        assert answer.output_text == "a b c d "


async def test_logprobs() -> None:
    """They come when they are included by name."""
    async with openai_sdk(Script(answer="some words")) as (sdk, _):
        answer = await sdk.responses.create(
            model=MODEL_ID, input=ASK, include=["message.output_text.logprobs"], top_logprobs=2
        )
        item: Any = answer.output[0]
        assert len(item.content[0].logprobs) == 3


async def test_failed_with_status_200() -> None:
    """A response may fail although the request did not, streamed or not."""
    async with openai_sdk(Script(opening=("failed", "failed"))) as (sdk, _):
        answer = await sdk.responses.create(model=MODEL_ID, input=ASK)
        error: Any = answer.error
        assert (answer.status, error.code) == ("failed", "server_error")
        events = [
            e async for e in await sdk.responses.create(model=MODEL_ID, input=ASK, stream=True)
        ]
        assert events[-1].type == "response.failed"


async def test_error_event() -> None:
    """An error inside a stream is an event that the SDK knows."""
    async with openai_sdk(Script(opening=("stream_error",))) as (sdk, _):
        stream = await sdk.responses.create(model=MODEL_ID, input=ASK, stream=True)
        events: list[Any] = [event async for event in stream]
        assert (events[-1].type, events[-1].message) == ("error", "Overloaded")


@pytest.mark.parametrize(
    "changes",
    [
        {"input": []},
        {"input": [{"type": "spell"}]},
        {"input": [{"type": "function_call_output", "output": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "text"}]}]},
        {"previous_response_id": "resp_1"},
        {"tools": [{"type": "web_search"}]},
        {"max_output_tokens": 0},
    ],
)
async def test_bad_request(changes: dict[str, Any]) -> None:
    """What the sandbox cannot honour is a 400 of this wire."""
    async with openai_sdk() as (sdk, client):
        with pytest.raises(openai.BadRequestError):
            await sdk.responses.create(**({"model": MODEL_ID, "input": ASK} | changes))

        assert (await wire_counts(client, "openai_responses"))["bad_requests"] == 1
