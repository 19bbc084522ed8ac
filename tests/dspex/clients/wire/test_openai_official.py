"""OpenAI's own library and this project: asked the same they send the same, and read the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from openai import APIError, AsyncOpenAI, DefaultAsyncHttpxClient

from dspex.clients.wire.base import StreamDecoder
from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.openai_chat import OpenAIChat
from dspex.clients.wire.openai_responses import OpenAIResponses
from dspex.errors import RateLimited
from dspex.messages import (
    AudioPart,
    EmbedRequest,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    Request,
    Response,
    ResponseFormat,
    Sampling,
    StreamEnd,
    TextPart,
    ToolCall,
    ToolSpec,
)
from tests.support.capture import CaptureServer, capture

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
TOOL = ToolSpec("add", "Add one.", MappingProxyType(SCHEMA))
STRICT_TOOL = ToolSpec("add", "Add one.", SCHEMA, strict=True)
CALL = ToolCall("call_1", "add", '{"a":1}')
PIXEL = "data:image/png;base64,AAAA"
PAPER = "data:application/pdf;base64,AAAA"
ASK = (Message("user", "2+2?"),)
ASKED = [{"role": "user", "content": "2+2?"}]
FUNCTION: dict[str, Any] = {"name": "add", "description": "Add one.", "parameters": SCHEMA}


def say(*parts: Any) -> tuple[Message, ...]:
    """Write one user turn of several parts."""
    return (Message("user", parts),)


def sampled(**values: Any) -> dict[str, Any]:
    """Write the fields of a request that asks for these sampling parameters."""
    return {"messages": ASK, "sampling": Sampling(**values)}


CHAT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({"messages": ASKED}, {"messages": ASK}),
    "system": (
        {"messages": [{"role": "system", "content": "Be brief."}, *ASKED]},
        {"messages": (Message("system", "Be brief."), *ASK)},
    ),
    "speaker": (
        {"messages": [{"role": "user", "content": "hi", "name": "ann"}]},
        {"messages": (Message("user", "hi", name="ann"),)},
    ),
    "sampling": (
        {"messages": ASKED, "temperature": 0.5, "top_p": 0.9, "seed": 7, "n": 2},
        sampled(temperature=0.5, top_p=0.9, seed=7, n=2),
    ),
    "bounds": (
        {"messages": ASKED, "max_completion_tokens": 9, "stop": ["END", "###"]},
        sampled(max_tokens=9, stop=("END", "###")),
    ),
    "penalties": (
        {"messages": ASKED, "presence_penalty": 0.1, "frequency_penalty": -0.2},
        sampled(presence_penalty=0.1, frequency_penalty=-0.2),
    ),
    "logprobs": (
        {"messages": ASKED, "logprobs": True, "top_logprobs": 3},
        sampled(top_logprobs=3),
    ),
    "effort": (
        {"messages": ASKED, "reasoning_effort": "minimal"},
        sampled(reasoning_effort="minimal"),
    ),
    "image": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what?"},
                        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                    ],
                }
            ]
        },
        {"messages": say(TextPart("what?"), ImagePart(PIXEL, "low"))},
    ),
    "audio": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
                    ],
                }
            ]
        },
        {"messages": say(AudioPart("AAAA", "wav"))},
    ),
    "file": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "file", "file": {"file_data": PAPER, "filename": "a.pdf"}},
                        {"type": "file", "file": {"file_id": "file-1"}},
                    ],
                }
            ]
        },
        {"messages": say(FilePart(PAPER, name="a.pdf"), FilePart(file_id="file-1"))},
    ),
    "tools": (
        {
            "messages": ASKED,
            "tools": [{"type": "function", "function": FUNCTION}],
            "tool_choice": "required",
            "parallel_tool_calls": False,
        },
        {
            "messages": ASK,
            "tools": (TOOL,),
            "tool_choice": "required",
            "parallel_tool_calls": False,
        },
    ),
    "one tool": (
        {
            "messages": ASKED,
            "tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}],
            "tool_choice": {"type": "function", "function": {"name": "add"}},
        },
        {"messages": ASK, "tools": (STRICT_TOOL,), "tool_choice": "add"},
    ),
    "tool turns": (
        {
            "messages": [
                *ASKED,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "add", "arguments": '{"a":1}'},
                        }
                    ],
                },
                {"role": "tool", "content": "2", "tool_call_id": "call_1"},
            ]
        },
        {
            "messages": (
                *ASK,
                Message("assistant", "", tool_calls=(CALL,)),
                Message("tool", "2", tool_call_id="call_1"),
            )
        },
    ),
    "schema": (
        {
            "messages": ASKED,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "sum", "schema": SCHEMA, "strict": True},
            },
        },
        {
            "messages": ASK,
            "response_format": ResponseFormat("json_schema", name="sum", schema=SCHEMA),
        },
    ),
    "any json": (
        {"messages": ASKED, "response_format": {"type": "json_object"}},
        {"messages": ASK, "response_format": ResponseFormat("json_object")},
    ),
    "own fields": (
        {"messages": ASKED, "verbosity": "low", "extra_body": {"service_tier": "flex"}},
        {"messages": ASK, "extra": {"verbosity": "low", "service_tier": "flex"}},
    ),
    "stream": (
        {"messages": ASKED, "stream": True, "stream_options": {"include_usage": True}},
        {"messages": ASK, "stream": True},
    ),
}

RESPONSES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({"input": ASKED}, {"messages": ASK}),
    "instructions": (
        {"instructions": "Be brief.\n\nBe kind.", "input": ASKED},
        {"messages": (Message("system", "Be brief."), Message("system", "Be kind."), *ASK)},
    ),
    "later instructions": (
        {"input": [*ASKED, {"role": "developer", "content": "Be brief."}]},
        {"messages": (*ASK, Message("system", "Be brief."))},
    ),
    "turns": (
        {"input": [*ASKED, {"role": "assistant", "content": "4"}, *ASKED]},
        {"messages": (*ASK, Message("assistant", "4"), *ASK)},
    ),
    "sampling": (
        {"input": ASKED, "temperature": 0.5, "top_p": 0.9, "max_output_tokens": 9},
        sampled(temperature=0.5, top_p=0.9, max_tokens=9),
    ),
    "logprobs": (
        {"input": ASKED, "top_logprobs": 2, "include": ["message.output_text.logprobs"]},
        sampled(top_logprobs=2),
    ),
    "effort": (
        {
            "input": ASKED,
            "reasoning": {"effort": "high"},
            "include": ["reasoning.encrypted_content"],
        },
        sampled(reasoning_effort="high"),
    ),
    "parts": (
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "what?"},
                        {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
                        {"type": "input_file", "file_data": PAPER, "filename": "a.pdf"},
                        {"type": "input_file", "file_url": "https://x/y.pdf"},
                        {"type": "input_file", "file_id": "file-1"},
                    ],
                }
            ]
        },
        {
            "messages": say(
                TextPart("what?"),
                ImagePart(PIXEL),
                FilePart(PAPER, name="a.pdf"),
                FilePart("https://x/y.pdf"),
                FilePart(file_id="file-1"),
            )
        },
    ),
    "tools": (
        {
            "input": ASKED,
            "tools": [{"type": "function", **FUNCTION}],
            "tool_choice": "required",
            "parallel_tool_calls": False,
        },
        {
            "messages": ASK,
            "tools": (TOOL,),
            "tool_choice": "required",
            "parallel_tool_calls": False,
        },
    ),
    "one tool": (
        {
            "input": ASKED,
            "tools": [{"type": "function", **FUNCTION, "strict": True}],
            "tool_choice": {"type": "function", "name": "add"},
        },
        {"messages": ASK, "tools": (STRICT_TOOL,), "tool_choice": "add"},
    ),
    "tool turns": (
        {
            "input": [
                *ASKED,
                {
                    "type": "function_call",
                    "call_id": "call_1",
                    "name": "add",
                    "arguments": '{"a":1}',
                },
                {"type": "function_call_output", "call_id": "call_1", "output": "2"},
            ]
        },
        {
            "messages": (
                *ASK,
                Message("assistant", "", tool_calls=(CALL,)),
                Message("tool", "2", tool_call_id="call_1"),
            )
        },
    ),
    "thinking": (
        {
            "input": [
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [{"type": "summary_text", "text": "hm"}],
                    "encrypted_content": "xyz",
                },
                {"role": "assistant", "content": "4"},
            ],
            "include": ["reasoning.encrypted_content"],
        },
        {
            "messages": (
                Message(
                    "assistant",
                    "4",
                    reasoning=(
                        ReasoningPart("hm", encrypted="xyz", id="rs_1"),
                        ReasoningPart("kept at the provider, who forgot it", id="rs_2"),
                    ),
                ),
            )
        },
    ),
    "image from a tool": (
        {
            "input": [
                {
                    "type": "function_call_output",
                    "call_id": "call_1",
                    "output": [{"type": "input_image", "image_url": PIXEL, "detail": "high"}],
                }
            ]
        },
        {"messages": (Message("tool", (ImagePart(PIXEL, "high"),), tool_call_id="call_1"),)},
    ),
    "schema": (
        {
            "input": ASKED,
            "text": {
                "format": {"type": "json_schema", "name": "sum", "schema": SCHEMA, "strict": False}
            },
        },
        {
            "messages": ASK,
            "response_format": ResponseFormat(
                "json_schema", name="sum", schema=SCHEMA, strict=False
            ),
        },
    ),
    "any json": (
        {"input": ASKED, "text": {"format": {"type": "json_object"}}},
        {"messages": ASK, "response_format": ResponseFormat("json_object")},
    ),
    "own fields": (
        {"input": ASKED, "truncation": "auto", "metadata": {"run": "7"}},
        {"messages": ASK, "extra": {"truncation": "auto", "metadata": {"run": "7"}}},
    ),
    "stream": ({"input": ASKED, "stream": True}, {"messages": ASK, "stream": True}),
}

EMBED: dict[str, tuple[dict[str, Any], EmbedRequest]] = {
    "one": ({"input": ["a"]}, EmbedRequest(("a",), model="gpt")),
    "several": ({"input": ["a", "é\n", ""]}, EmbedRequest(("a", "é\n", ""), model="gpt")),
    "shorter": (
        {"input": ["a"], "dimensions": 256},
        EmbedRequest(("a",), model="gpt", dimensions=256),
    ),
}


@pytest.fixture
async def server() -> AsyncIterator[CaptureServer]:
    """Run a server that keeps what it is asked."""
    async with capture() as running:
        yield running


@pytest.fixture
async def official(server: CaptureServer) -> AsyncIterator[AsyncOpenAI]:
    """Build OpenAI's client for that server."""
    # Without TLS there are no certificates to load from the disk, which would block the loop.
    async with (
        DefaultAsyncHttpxClient(verify=False) as http,
        AsyncOpenAI(
            api_key="sk-test",
            base_url=server.url,
            organization="org",
            project="prj",
            max_retries=0,
            http_client=http,
        ) as client,
    ):
        yield client


def ours(wire: OpenAIChat | OpenAIResponses, asked: dict[str, Any], preset: str) -> Any:
    """Encode with our wire, and read the body back."""
    stream = asked.get("stream", False)
    fields = {name: value for name, value in asked.items() if name != "stream"}
    encoded = wire.encode(Request(**fields, model="gpt"), PRESETS[preset], stream=stream)
    assert encoded.dropped == ()
    return orjson.loads(encoded.body)


class TestOfficialLibrary:
    @pytest.mark.parametrize("case", CHAT)
    async def test_chat(self, server: CaptureServer, official: AsyncOpenAI, case: str) -> None:
        """The library and the chat wire send the same body to the same path."""
        theirs, asked = CHAT[case]
        stream = theirs.get("stream", False)
        server.answer(b"data: [DONE]\n\n" if stream else {})
        await official.chat.completions.create(model="gpt", **theirs)
        assert server.last.json == ours(OpenAIChat(), asked, "openai")
        assert server.last.path == OpenAIChat().url_path(Request(ASK), stream=stream)

    @pytest.mark.parametrize("case", RESPONSES)
    async def test_responses(self, server: CaptureServer, official: AsyncOpenAI, case: str) -> None:
        """The library and the Responses wire send the same body to the same path."""
        theirs, asked = RESPONSES[case]
        stream = theirs.get("stream", False)
        server.answer(b"data: [DONE]\n\n" if stream else {})
        await official.responses.create(model="gpt", store=False, **theirs)
        assert server.last.json == ours(OpenAIResponses(), asked, "openai-responses")
        assert server.last.path == OpenAIResponses().url_path(Request(ASK), stream=stream)

    @pytest.mark.parametrize("case", EMBED)
    async def test_embeddings(
        self, server: CaptureServer, official: AsyncOpenAI, case: str
    ) -> None:
        """The library and the embedding half send the same body to the same path."""
        theirs, asked = EMBED[case]
        server.answer({"object": "list", "model": "gpt", "data": [{"embedding": "AACAPw=="}]})
        await official.embeddings.create(model="gpt", **theirs)
        encoded = OpenAIChat().encode_embed(asked, PRESETS["openai"])
        assert server.last.json == orjson.loads(encoded.body)
        assert server.last.path == OpenAIChat().embed_path(asked)

    async def test_headers(self, server: CaptureServer, official: AsyncOpenAI) -> None:
        """The library says who asks in the same headers."""
        await official.chat.completions.create(model="gpt", messages=[])
        sent = server.last.headers
        for name, value in OpenAIChat("org", "prj").headers("sk-test").items():
            assert sent[name.lower()] == value


def events(*rows: dict[str, Any]) -> bytes:
    """Write a stream of events."""
    return b"".join(b"data: " + orjson.dumps(row) + b"\n\n" for row in rows)


def answered(decoder: StreamDecoder, stream: bytes) -> Response:
    """Decode a whole stream to its answer."""
    last = [*decoder.feed(stream), *decoder.close()][-1]
    assert isinstance(last, StreamEnd)
    return last.response


async def error_of(stream: AsyncIterator[Any]) -> str:
    """Read a stream of the official library to the error in it."""
    message = ""
    try:
        async for _ in stream:
            pass
    except APIError as exc:
        message = exc.message

    # The library drops a generator half read, which the loop then closes in a task of its own.
    for _ in range(3):
        await asyncio.sleep(0)

    return message


class TestOfficialReading:
    async def test_chat(self, server: CaptureServer, official: AsyncOpenAI) -> None:
        """Both read the same text, calls and usage from one body."""
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        message = {"role": "assistant", "content": "Hi é", "tool_calls": [call]}
        row = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        server.answer({**whole, "choices": [row], "usage": usage})
        theirs = await official.chat.completions.create(model="gpt", messages=[])
        ours = OpenAIChat().decode(server.canned.body)
        assert ours.text == theirs.choices[0].message.content
        assert [one.id for one in theirs.choices[0].message.tool_calls or ()] == ["c"]
        assert ours.choices[0].tool_calls == (ToolCall("c", "f", "{}"),)
        assert theirs.usage is not None
        assert ours.usage.input_tokens == theirs.usage.prompt_tokens

    async def test_chat_stream(self, server: CaptureServer, official: AsyncOpenAI) -> None:
        """Both put the same text together from one stream."""
        head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        deltas = [{"role": "assistant", "content": ""}, {"content": "Hi "}, {"content": "é"}, {}]
        rows: list[dict[str, Any]] = [{"index": 0, "delta": delta} for delta in deltas]
        rows[-1]["finish_reason"] = "stop"
        stream = events(*({**head, "choices": [row]} for row in rows)) + b"data: [DONE]\n\n"
        server.answer_events(b": hello\r\n\r\n", stream)
        found = await official.chat.completions.create(model="gpt", messages=[], stream=True)
        texts = [chunk.choices[0].delta.content or "" async for chunk in found]
        assert answered(OpenAIChat().stream_decoder(), stream).text == "".join(texts) == "Hi é"

    async def test_responses_stream(self, server: CaptureServer, official: AsyncOpenAI) -> None:
        """Both end with the same answer."""
        part = {"type": "output_text", "text": "Hi é", "annotations": []}
        item = {"type": "message", "id": "m", "role": "assistant", "content": [part]}
        whole = {"id": "r", "object": "response", "status": "completed", "output": [item]}
        delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi é"}
        stream = events(
            {"type": "response.created", "response": {**whole, "output": []}},
            delta,
            {"type": "response.completed", "response": whole},
        )
        server.answer_events(stream)
        found = await official.responses.create(model="gpt", input="hi", stream=True)
        *_, last = [event async for event in found]
        assert last.type == "response.completed"
        ours = answered(OpenAIResponses().stream_decoder(), stream)
        assert ours.text == last.response.output_text == "Hi é"

    @pytest.mark.parametrize("wire", [OpenAIChat(), OpenAIResponses()])
    async def test_error_within_a_stream(
        self, server: CaptureServer, official: AsyncOpenAI, wire: OpenAIChat | OpenAIResponses
    ) -> None:
        """What the library raises is raised here."""
        stream = events({"error": {"message": "slow down", "code": "rate_limit_exceeded"}})
        server.answer_events(stream)
        found = await official.chat.completions.create(model="gpt", messages=[], stream=True)
        assert await error_of(found) == "slow down"
        with pytest.raises(RateLimited, match="slow down"):
            answered(wire.stream_decoder(), stream)

    @pytest.mark.parametrize("embedding", ["AACAPwAAAMA=", [1.0, -2.0]])
    async def test_embeddings(
        self, server: CaptureServer, official: AsyncOpenAI, embedding: str | list[float]
    ) -> None:
        """Both read the same vector, in either form."""
        row = {"object": "embedding", "index": 0, "embedding": embedding}
        server.answer({"object": "list", "model": "m", "data": [row]})
        theirs = await official.embeddings.create(model="gpt", input=["a"])
        (ours,) = OpenAIChat().decode_embed(server.canned.body).vectors
        assert list(ours) == list(theirs.data[0].embedding) == [1.0, -2.0]
