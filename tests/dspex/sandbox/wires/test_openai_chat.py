"""OpenAI's chat completions: the SDK is the judge, and each bad parameter is named."""

from __future__ import annotations

import contextlib
from typing import Any

import openai
import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.sandbox import MODEL_ID, Script
from dspex.sandbox.exchange import RequestError
from dspex.sandbox.wires import OPENAI_CHAT, OPENAI_DIALECT, Target
from tests.dspex.sandbox.schemas import ANSWER, TALK, THOUGHT, THOUGHTFUL, WEATHER, check_json
from tests.dspex.sandbox.sdks import openai_sdk
from tests.dspex.sandbox.serving import wire_counts

GOOD: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ASK: Any = [{"role": "user", "content": "How is the weather?"}]
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]


def read(**changes: Any) -> Any:
    return OPENAI_CHAT.read(orjson.dumps(GOOD | changes), Target())


class TestSdk:
    async def test_tool_conversation(self) -> None:
        """The scripted calls come first; with their results, the scripted text."""
        async with openai_sdk(TALK) as (sdk, _):
            first = await sdk.chat.completions.create(model=MODEL_ID, messages=ASK, tools=TOOLS)
            choice = first.choices[0]
            calls: Any = choice.message.tool_calls
            assert choice.finish_reason == "tool_calls"
            assert choice.message.content == "Let me see."
            assert [orjson.loads(call.function.arguments)["city"] for call in calls] == [
                "Rome",
                "Oslo",
            ]
            assert len({call.id for call in calls}) == 2
            results = [{"role": "tool", "tool_call_id": c.id, "content": "20"} for c in calls]
            talk = [*ASK, choice.message.model_dump(exclude_none=True), *results]
            last = await sdk.chat.completions.create(model=MODEL_ID, messages=talk, tools=TOOLS)
            assert last.choices[0].message.content == "Rome is warmer."
            assert last.choices[0].finish_reason == "stop"

    async def test_tools_in_a_stream(self) -> None:
        """The SDK's accumulator puts the same calls together from their pieces."""
        async with openai_sdk(TALK) as (sdk, _):
            stream = sdk.chat.completions.stream(model=MODEL_ID, messages=ASK, tools=TOOLS)
            async with stream as events:
                final: Any = await events.get_final_completion()

            calls = final.choices[0].message.tool_calls
            assert [call.function.name for call in calls] == ["weather", "weather"]
            assert orjson.loads(calls[1].function.arguments) == {"city": "Oslo", "days": 1}

    async def test_required_call_has_valid_arguments(self) -> None:
        """Without a script the named tool is called, with arguments that its schema accepts."""
        async with openai_sdk() as (sdk, _):
            for choice in ("required", {"type": "function", "function": {"name": "weather"}}):
                wanted: Any = choice
                answer = await sdk.chat.completions.create(
                    model=MODEL_ID, messages=ASK, tools=TOOLS, tool_choice=wanted
                )
                calls: Any = answer.choices[0].message.tool_calls
                arguments = orjson.loads(calls[0].function.arguments)
                check_json(arguments, WEATHER)
                assert arguments == {"city": "How is the weather?", "days": 1}

    async def test_tools_that_may_not_be_called(self) -> None:
        """With `none` the answer is text, whatever the script says."""
        async with openai_sdk(TALK) as (sdk, _):
            answer = await sdk.chat.completions.create(
                model=MODEL_ID, messages=ASK, tools=TOOLS, tool_choice="none"
            )
            assert answer.choices[0].message.tool_calls is None

    async def test_structured_output(self) -> None:
        """An answer under a schema validates against it."""
        form: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": ANSWER}}
        async with openai_sdk() as (sdk, _):
            answer = await sdk.chat.completions.create(
                model=MODEL_ID, messages=ASK, response_format=form
            )
            check_json(orjson.loads(answer.choices[0].message.content or ""), ANSWER)

    async def test_any_json_object(self) -> None:
        """`json_object` is answered with an object."""
        async with openai_sdk() as (sdk, _):
            answer = await sdk.chat.completions.create(
                model=MODEL_ID, messages=ASK, response_format={"type": "json_object"}
            )
            assert isinstance(orjson.loads(answer.choices[0].message.content or ""), dict)

    async def test_reasoning_and_cache_are_in_the_usage(self) -> None:
        """Both are parts of the whole; the text of the reasoning is in the servers' own field."""
        async with openai_sdk(THOUGHTFUL) as (sdk, client):
            answer = await sdk.chat.completions.create(
                model=MODEL_ID, messages=ASK, reasoning_effort="low"
            )
            usage: Any = answer.usage
            assert usage.completion_tokens_details.reasoning_tokens == 10
            assert usage.prompt_tokens_details.cached_tokens == usage.prompt_tokens // 2
            assert answer.choices[0].message.model_extra == {"reasoning_content": THOUGHT}
            tally = await wire_counts(client, "openai_chat")
            assert tally["billed_output_tokens"] == usage.completion_tokens

    async def test_logprobs(self) -> None:
        """Each token has a log probability and its alternatives, which add up to less than 1."""
        async with openai_sdk(Script(answer="some words")) as (sdk, _):
            answer = await sdk.chat.completions.create(
                model=MODEL_ID, messages=ASK, logprobs=True, top_logprobs=3
            )
            logprobs: Any = answer.choices[0].logprobs
            assert "".join(item.token for item in logprobs.content) == "some words"
            assert all(len(item.top_logprobs) == 3 for item in logprobs.content)
            assert all(item.logprob < 0 for item in logprobs.content)

    async def test_stop_sequence(self) -> None:
        """The text ends before the stop sequence that comes first."""
        async with openai_sdk(Script(answer="one two three")) as (sdk, _):
            answer = await sdk.chat.completions.create(
                model=MODEL_ID, messages=ASK, stop=["three", "two"]
            )
            assert answer.choices[0].message.content == "one "
            assert answer.choices[0].finish_reason == "stop"

    async def test_attachments_are_counted(self) -> None:
        """Images, sounds and files are taken, charged and counted."""
        parts = [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            {"type": "file", "file": {"file_id": "f"}},
        ]
        messages: Any = [{"role": "user", "content": parts}]
        async with openai_sdk() as (sdk, client):
            answer = await sdk.chat.completions.create(model=MODEL_ID, messages=messages)
            assert answer.usage is not None
            assert answer.usage.prompt_tokens == 1 + 3 * 64
            assert (await wire_counts(client, "openai_chat"))["attachments"] == 3

    async def test_key_is_asked_for(self) -> None:
        """A script may demand a key; a wrong one is the SDK's AuthenticationError."""
        script = Script(api_key="right", answer="a")
        async with openai_sdk(script, "wrong") as (sdk, _):
            with pytest.raises(openai.AuthenticationError):
                await sdk.chat.completions.create(model=MODEL_ID, messages=ASK)

        async with openai_sdk(script, "right") as (sdk, _):
            await sdk.chat.completions.create(model=MODEL_ID, messages=ASK)


class TestRead:
    def test_defaults(self) -> None:
        """What is left out has the provider's own defaults."""
        wanted = read()
        assert (wanted.temperature, wanted.choices, wanted.seed) == (1.0, 1, None)
        assert (wanted.max_tokens, wanted.stream, wanted.include_usage) == (None, False, False)
        assert wanted.schema is None

    def test_text_parts_are_joined(self) -> None:
        """A message may come in text parts."""
        parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        messages = [{"role": "user", "content": parts}]
        assert read(messages=messages).messages == [{"role": "user", "content": "ab"}]

    @pytest.mark.parametrize(
        ("wanted", "schema"),
        [
            (None, None),
            ({"type": "text"}, None),
            ({"type": "json_object"}, {}),
            ({"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}}}, {"a": 1}),
        ],
    )
    def test_response_format(self, wanted: Any, schema: Any) -> None:
        """Text, any JSON object and a schema are told apart."""
        assert read(response_format=wanted).schema == schema

    def test_newer_name_of_the_token_limit_wins(self) -> None:
        """Both names of the limit are read."""
        assert read(max_tokens=5, max_completion_tokens=7).max_tokens == 7
        assert read(max_tokens=5).max_tokens == 5

    @pytest.mark.parametrize(
        ("changes", "param"),
        [
            ({"model": None}, "model"),
            ({"model": ""}, "model"),
            ({"messages": None}, "messages"),
            ({"messages": []}, "messages"),
            ({"messages": "hi"}, "messages"),
            ({"messages": ["hi"]}, "messages[0]"),
            ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
            ({"messages": [{"role": [], "content": "x"}]}, "messages[0].role"),
            ({"messages": [{"role": "user"}]}, "messages[0].content"),
            ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
            ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
            (
                {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
                "messages[0].content[0].image_url",
            ),
            (
                {"messages": [{"role": "user", "content": [{"type": "smell"}]}]},
                "messages[0].content[0]",
            ),
            ({"messages": [{"role": "tool", "content": []}]}, "messages[0].tool_call_id"),
            ({"temperature": "hot"}, "temperature"),
            ({"temperature": 2.5}, "temperature"),
            ({"temperature": True}, "temperature"),
            ({"seed": 1.5}, "seed"),
            ({"seed": True}, "seed"),
            ({"n": 0}, "n"),
            ({"n": 129}, "n"),
            ({"max_tokens": 0}, "max_tokens"),
            ({"stop": 5}, "stop"),
            ({"stop": [""]}, "stop"),
            ({"stream": "yes"}, "stream"),
            ({"stream_options": []}, "stream_options"),
            ({"stream_options": {"include_usage": 1}}, "include_usage"),
            ({"tools": {}}, "tools"),
            ({"tools": [{"type": "web"}]}, "tools[0].type"),
            ({"tools": [{"type": "function"}]}, "tools[0].function"),
            ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
            ({"tool_choice": "sometimes"}, "tool_choice"),
            ({"tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
            ({"response_format": "json"}, "response_format"),
            ({"response_format": {"type": "yaml"}}, "response_format.type"),
            ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
            (
                {"response_format": {"type": "json_schema", "json_schema": {"schema": 1}}},
                "response_format.json_schema.schema",
            ),
        ],
    )
    def test_bad_parameter_is_named(self, changes: dict[str, Any], param: str) -> None:
        """The error body has OpenAI's shape and names the parameter."""
        with pytest.raises(RequestError) as caught:
            read(**changes)

        problem = caught.value.problem
        body = orjson.loads(OPENAI_DIALECT.error(problem, 0.0))["error"]
        assert OPENAI_DIALECT.status(problem) == 400
        assert set(body) == {"message", "type", "param", "code"}
        assert (body["type"], body["param"]) == ("invalid_request_error", param)

    @given(st.binary(max_size=200))
    def test_any_bytes_are_read_or_refused(self, raw: bytes) -> None:
        """No body makes the reader fail in another way."""
        with pytest.raises(RequestError):
            OPENAI_CHAT.read(raw, Target())

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["role", "content", "type", "text", "schema", "function"]),
                    inner,
                )
            ),
        ),
        st.sampled_from(["messages", "stream_options", "response_format", "n", "tools"]),
    )
    def test_any_value_is_read_or_refused(self, value: Any, key: str) -> None:
        """No JSON value in any place makes the reader fail in another way."""
        with contextlib.suppress(RequestError):
            read(**{key: value})
