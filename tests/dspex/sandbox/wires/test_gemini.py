"""Gemini's generateContent: the SDK is the judge."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from google.genai import errors, types

from dspex.sandbox import MODEL_ID, Script
from tests.dspex.sandbox.schemas import ANSWER, TALK, THOUGHT, THOUGHTFUL, WEATHER, check_json
from tests.dspex.sandbox.sdks import gemini_sdk
from tests.dspex.sandbox.serving import CHATS, serving, wire_counts

# The SDK's transport derives from aiohttp's session, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

TOOLS = [{"function_declarations": [{"name": "weather", "parameters_json_schema": WEATHER}]}]
ASK = "How is the weather?"
PATH = f"/v1beta/models/{MODEL_ID}:generateContent"


async def test_text_and_usage() -> None:
    """The candidate stops, and the ledger has its tokens."""
    async with gemini_sdk(Script(answer="Fine.")) as (sdk, client):
        answer = await sdk.models.generate_content(
            model=MODEL_ID, contents=ASK, config={"system_instruction": "Be short."}
        )
        usage = answer.usage_metadata
        tally = await wire_counts(client, "gemini")
        assert answer.text == "Fine."
        assert answer.candidates[0].finish_reason == types.FinishReason.STOP
        assert tally["prompt_tokens"] == usage.prompt_token_count
        assert tally["completion_tokens"] == usage.candidates_token_count


async def test_stream_adds_up() -> None:
    """The parts of a stream are the whole text; thoughts are marked; the end has a reason."""
    config = {"thinking_config": {"include_thoughts": True}}
    async with gemini_sdk(THOUGHTFUL) as (sdk, _):
        whole = await sdk.models.generate_content(model=MODEL_ID, contents=ASK, config=config)
        stream = await sdk.models.generate_content_stream(
            model=MODEL_ID, contents=ASK, config=config
        )
        parts, reasons, usage = [], [], None
        async for chunk in stream:
            parts += chunk.candidates[0].content.parts
            reasons.append(chunk.candidates[0].finish_reason)
            usage = chunk.usage_metadata

    assert "".join(part.text for part in parts if part.thought) == THOUGHT
    assert "".join(part.text for part in parts if not part.thought) == whole.text
    assert [bool(reason) for reason in reasons] == [False] * (len(reasons) - 1) + [True]
    assert usage == whole.usage_metadata
    assert whole.usage_metadata.thoughts_token_count == 10
    assert whole.usage_metadata.cached_content_token_count > 0


async def test_tool_conversation() -> None:
    """Calls are parts with objects for arguments; responses lead to the next turn."""
    config = {"tools": TOOLS}
    async with gemini_sdk(TALK) as (sdk, _):
        first = await sdk.models.generate_content(model=MODEL_ID, contents=ASK, config=config)
        calls = first.function_calls
        assert [call.args["city"] for call in calls] == ["Rome", "Oslo"]
        results = [
            types.Part.from_function_response(name=call.name, response={"t": 9}) for call in calls
        ]
        talk = [
            types.Content(role="user", parts=[types.Part(text=ASK)]),
            first.candidates[0].content,
            types.Content(role="user", parts=results),
        ]
        last = await sdk.models.generate_content(model=MODEL_ID, contents=talk, config=config)
        assert last.text == "Rome is warmer."


async def test_signature_comes_back_unchanged_or_not_at_all() -> None:
    """A call that thoughts led to carries a signature; a false one is refused."""
    script = Script(tool_calls=TALK.tool_calls, reasoning=THOUGHTFUL.reasoning)
    config = {"tools": TOOLS, "thinking_config": {"include_thoughts": True}}
    async with gemini_sdk(script) as (sdk, _):
        first = await sdk.models.generate_content(model=MODEL_ID, contents=ASK, config=config)
        said = first.candidates[0].content
        assert said.parts[-1].thought_signature
        talk = [types.Content(role="user", parts=[types.Part(text=ASK)]), said]
        assert await sdk.models.generate_content(model=MODEL_ID, contents=talk)
        said.parts[-1].thought_signature = b"something else"
        with pytest.raises(errors.ClientError, match="Thought signature"):
            await sdk.models.generate_content(model=MODEL_ID, contents=talk)


@pytest.mark.parametrize("names", [None, ["weather"]])
async def test_forced_tool(names: list[str] | None) -> None:
    """Mode ANY calls a tool with arguments that its schema accepts."""
    calling = {"function_calling_config": {"mode": "ANY", "allowed_function_names": names}}
    config = {"tools": TOOLS, "tool_config": calling}
    async with gemini_sdk() as (sdk, _):
        answer = await sdk.models.generate_content(model=MODEL_ID, contents=ASK, config=config)
        check_json(answer.function_calls[0].args, WEATHER)


@pytest.mark.parametrize("key", ["response_json_schema", "response_schema"])
async def test_structured_output(key: str) -> None:
    """Both spellings of a schema are followed."""
    schema = {k: v for k, v in ANSWER.items() if k != "additionalProperties"}
    config = {"response_mime_type": "application/json", key: schema}
    async with gemini_sdk() as (sdk, _):
        answer = await sdk.models.generate_content(model=MODEL_ID, contents=ASK, config=config)
        check_json(orjson.loads(answer.candidates[0].content.parts[0].text), schema)


async def test_candidates_logprobs_and_ends() -> None:
    """Several candidates, log probabilities, the token limit and stop sequences."""
    config = {"response_logprobs": True, "logprobs": 2, "max_output_tokens": 2}
    async with gemini_sdk(Script(answer="one two three")) as (sdk, _):
        answer = await sdk.models.generate_content(
            model=MODEL_ID, contents=ASK, config={**config, "candidate_count": 2}
        )
        stopped = await sdk.models.generate_content(
            model=MODEL_ID, contents=ASK, config={"stop_sequences": ["three"]}
        )

    assert [candidate.index for candidate in answer.candidates] == [0, 1]
    first = answer.candidates[0]
    assert first.finish_reason == types.FinishReason.MAX_TOKENS
    assert len(first.logprobs_result.chosen_candidates) == 2
    assert len(first.logprobs_result.top_candidates[0].candidates) == 2
    assert stopped.text == "one two "


@pytest.mark.parametrize(
    "changes",
    [
        {"contents": []},
        {"contents": [{"role": "robot", "parts": []}]},
        {"contents": [{"parts": [{"smell": 1}]}]},
        {"tools": [{"googleSearch": {}}]},
        {"toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["x"]}}},
        {"generationConfig": {"responseJsonSchema": {"type": "object"}}},
        {"generationConfig": {"candidateCount": 9}},
    ],
)
async def test_bad_request(changes: dict[str, Any]) -> None:
    """What is wrong is an INVALID_ARGUMENT."""
    body = {"contents": [{"parts": [{"text": ASK}]}]} | changes
    async with serving() as client, client.post(PATH, json=body) as response:
        error = orjson.loads(await response.read())["error"]
        assert (response.status, error["status"]) == (400, "INVALID_ARGUMENT")


async def test_model_in_the_path_may_be_escaped() -> None:
    """A slash in a model's name may come as %2F, and under either version."""
    chat = next(chat for chat in CHATS if chat.name == "gemini")
    async with serving() as client:
        for version in ("v1", "v1beta"):
            path = f"/{version}/models/{MODEL_ID.replace('/', '%2F')}:generateContent"
            async with client.post(path, json=chat.body) as response:
                assert response.status == 200


async def test_key() -> None:
    """A demanded key comes in `x-goog-api-key`."""
    async with gemini_sdk(Script(api_key="right"), "wrong") as (sdk, _):
        with pytest.raises(errors.ClientError, match="401"):
            await sdk.models.generate_content(model=MODEL_ID, contents=ASK)

    async with gemini_sdk(Script(api_key="right"), "right") as (sdk, _):
        assert await sdk.models.generate_content(model=MODEL_ID, contents=ASK)
