"""Gemini's wire as a whole, against Google's own library: the same bytes both ways."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.gemini import Gemini
from dspex.clients.wire.registry import wire
from dspex.messages import (
    AudioPart,
    EmbedRequest,
    FilePart,
    FinishReason,
    ImagePart,
    Message,
    ReasoningPart,
    Request,
    ResponseFormat,
    Sampling,
    StreamEnd,
    TextPart,
    ToolCall,
    ToolSpec,
)
from tests.support.capture import CaptureServer, capture
from tests.support.official_gemini import official_client, types

# Google's library inherits from aiohttp's session, of which aiohttp warns.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

COMPAT = PRESETS["gemini"]
SIGNATURE = b64encode(b"signature").decode()
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
TOOL = ToolSpec("add", "Add numbers.", SCHEMA)
USER = Message("user", "2+2?")

ANSWER = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "4"}]}, "finishReason": "STOP", "index": 0}
    ],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7},
    "modelVersion": "gemini-x",
    "responseId": "r1",
}


def asking(*messages: Message, **changes: Any) -> Request:
    """Build a request."""
    return Request(messages or (USER,), model="gemini-x", **changes)


def user(*parts: types.PartDict) -> types.ContentDict:
    """Write a user turn as the library takes it."""
    return {"role": "user", "parts": list(parts)}


def model(*parts: types.PartDict) -> types.ContentDict:
    """Write a model's turn as the library takes it."""
    return {"role": "model", "parts": list(parts)}


QUESTION = user({"text": "2+2?"})
TOOL_ROW: types.ToolDict = {
    "function_declarations": [
        {"name": "add", "description": "Add numbers.", "parameters_json_schema": SCHEMA}
    ]
}


def calling(mode: str, *names: str) -> types.ToolConfigDict:
    """Write how functions may be called."""
    config: dict[str, Any] = {"mode": mode}
    if names:
        config["allowed_function_names"] = list(names)

    return {"function_calling_config": config}  # type: ignore[typeddict-item]  # a mode by its name


# What we ask, and how Google's library is asked for the same: contents and config.
CASES: dict[str, tuple[Request, list[types.ContentDict], dict[str, Any]]] = {
    "text": (asking(), [QUESTION], {}),
    "system": (
        asking(Message("system", "Be brief."), USER, Message("system", "Be kind.")),
        [QUESTION],
        {
            "system_instruction": types.Content(
                parts=[types.Part(text="Be brief."), types.Part(text="Be kind.")]
            )
        },
    ),
    "conversation": (
        asking(USER, Message("assistant", "4"), Message("user", "sure?")),
        [QUESTION, model({"text": "4"}), user({"text": "sure?"})],
        {},
    ),
    # The library sends turns as they are given; we merge those of one speaker.
    "turns of one speaker": (
        asking(USER, Message("user", "quick!")),
        [user({"text": "2+2?"}, {"text": "quick!"})],
        {},
    ),
    "media": (
        asking(
            Message(
                "user",
                (
                    ImagePart("data:image/png;base64,AAAA"),
                    ImagePart("https://x/y.png?size=3"),
                    AudioPart("AAAA", "wav"),
                    FilePart("data:application/pdf;base64,AAAA"),
                    FilePart(file_id="https://g/v1beta/files/f1"),
                    TextPart("?"),
                ),
            )
        ),
        [
            user(
                {"inline_data": {"mime_type": "image/png", "data": b"\0\0\0"}},
                {"file_data": {"mime_type": "image/png", "file_uri": "https://x/y.png?size=3"}},
                {"inline_data": {"mime_type": "audio/wav", "data": b"\0\0\0"}},
                {"inline_data": {"mime_type": "application/pdf", "data": b"\0\0\0"}},
                {"file_data": {"file_uri": "https://g/v1beta/files/f1"}},
                {"text": "?"},
            )
        ],
        {},
    ),
    "tools": (asking(tools=(TOOL,)), [QUESTION], {"tools": [TOOL_ROW]}),
    "any tool": (
        asking(tools=(TOOL,), tool_choice="required"),
        [QUESTION],
        {"tools": [TOOL_ROW], "tool_config": calling("ANY")},
    ),
    "one tool": (
        asking(tools=(TOOL,), tool_choice="add"),
        [QUESTION],
        {"tools": [TOOL_ROW], "tool_config": calling("ANY", "add")},
    ),
    "no tool": (
        asking(tools=(TOOL,), tool_choice="none"),
        [QUESTION],
        {"tools": [TOOL_ROW], "tool_config": calling("NONE")},
    ),
    "strict tool": (
        asking(tools=(ToolSpec("add", "Add numbers.", SCHEMA, strict=True),)),
        [QUESTION],
        {"tools": [TOOL_ROW], "tool_config": calling("VALIDATED")},
    ),
    "tool loop with signatures": (
        asking(
            USER,
            Message(
                "assistant",
                "let me see",
                tool_calls=(
                    ToolCall("c1", "add", '{"x": 1}', signature=SIGNATURE),
                    ToolCall("c2", "add", ""),
                ),
                reasoning=(
                    ReasoningPart("hm", signature=SIGNATURE),
                    ReasoningPart("", signature=SIGNATURE),
                ),
            ),
            Message("tool", "3", tool_call_id="c1"),
            Message("tool", "no x", tool_call_id="c2", is_error=True),
        ),
        [
            QUESTION,
            model(
                {"text": "hm", "thought": True, "thought_signature": b"signature"},
                {"text": "let me see", "thought_signature": b"signature"},
                {
                    "function_call": {"id": "c1", "name": "add", "args": {"x": 1}},
                    "thought_signature": b"signature",
                },
                {"function_call": {"id": "c2", "name": "add", "args": {}}},
            ),
            user(
                {"function_response": {"id": "c1", "name": "add", "response": {"output": "3"}}},
                {"function_response": {"id": "c2", "name": "add", "response": {"error": "no x"}}},
            ),
        ],
        {},
    ),
    "sampling": (
        asking(
            sampling=Sampling(
                temperature=0.5,
                top_p=0.9,
                top_k=5,
                max_tokens=9,
                n=2,
                seed=1,
                stop=("END",),
                presence_penalty=0.25,
                frequency_penalty=0.75,
                logprobs=True,
                top_logprobs=3,
            )
        ),
        [QUESTION],
        {
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 5,
            "max_output_tokens": 9,
            "candidate_count": 2,
            "seed": 1,
            "stop_sequences": ["END"],
            "presence_penalty": 0.25,
            "frequency_penalty": 0.75,
            "response_logprobs": True,
            "logprobs": 3,
        },
    ),
    "any JSON": (
        asking(response_format=ResponseFormat("json_object")),
        [QUESTION],
        {"response_mime_type": "application/json"},
    ),
    "JSON of a schema": (
        asking(response_format=ResponseFormat("json_schema", schema=SCHEMA)),
        [QUESTION],
        {"response_mime_type": "application/json", "response_json_schema": SCHEMA},
    ),
    "thinking budget": (
        asking(sampling=Sampling(reasoning_tokens=2_000)),
        [QUESTION],
        {"thinking_config": {"thinking_budget": 2_000, "include_thoughts": True}},
    ),
    "thinking level": (
        asking(sampling=Sampling(reasoning_effort="low")),
        [QUESTION],
        {"thinking_config": {"thinking_level": "LOW", "include_thoughts": True}},
    ),
    "thinking off": (
        asking(sampling=Sampling(reasoning_effort="none")),
        [QUESTION],
        {"thinking_config": {"thinking_budget": 0}},
    ),
    "fields of the provider's own": (
        asking(
            sampling=Sampling(seed=1),
            extra={
                "generationConfig": {"responseModalities": ["TEXT"]},
                "cachedContent": "cachedContents/c1",
            },
        ),
        [QUESTION],
        {"seed": 1, "response_modalities": ["TEXT"], "cached_content": "cachedContents/c1"},
    ),
}


DATA = frozenset({"args", "parametersJsonSchema", "response", "responseJsonSchema"})
"""What stands under these names is the caller's own."""


def normal(value: Any) -> Any:
    """Write each name one way, and drop the empty object of a call without configuration.

    The library writes some names as `thinking_budget` and some as `thinkingBudget`, which are one
    name in the JSON of protocol buffers.
    """
    if isinstance(value, list):
        return [normal(item) for item in value]

    if not isinstance(value, dict):
        return value

    named = {camel(name): item for name, item in value.items()}
    found = {name: item if name in DATA else normal(item) for name, item in named.items()}
    return {name: item for name, item in found.items() if (name, item) != ("generationConfig", {})}


def camel(name: str) -> str:
    """Write a name in camel case."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


@pytest.fixture
async def server() -> AsyncIterator[CaptureServer]:
    """Run a server that gives a good answer."""
    async with capture() as found:
        found.answer(ANSWER)
        yield found


class TestAgainstTheOfficialLibrary:
    @pytest.mark.parametrize("name", CASES)
    async def test_bodies_and_paths_are_equal(self, name: str, server: CaptureServer) -> None:
        """What we send is what Google's library sends for the same."""
        request, contents, config = CASES[name]
        async with official_client(server.url) as client:
            answer = await client.models.generate_content(
                model="gemini-x",
                contents=contents,
                config=types.GenerateContentConfig(**config),
            )

        encoded = Gemini().encode(request, COMPAT, stream=False)
        assert json.loads(encoded.body) == normal(server.last.json)
        assert encoded.dropped == ()
        assert server.last.path == "/v1beta" + Gemini().url_path(request, stream=False)
        assert answer.text == Gemini().decode(json.dumps(ANSWER).encode()).text == "4"

    async def test_stream(self, server: CaptureServer) -> None:
        """A stream is asked for by another path, with the same body."""
        server.answer_events(b"data: " + json.dumps(ANSWER).encode() + b"\n\n")
        async with official_client(server.url) as client:
            stream = await client.models.generate_content_stream(model="gemini-x", contents="2+2?")
            assert [chunk.text async for chunk in stream] == ["4"]

        encoded = Gemini().encode(asking(), COMPAT, stream=True)
        assert json.loads(encoded.body) == normal(server.last.json)
        assert server.last.path == "/v1beta" + Gemini().url_path(asking(), stream=True)

    async def test_headers(self, server: CaptureServer) -> None:
        """The key goes where the library puts it."""
        async with official_client(server.url) as client:
            await client.models.generate_content(model="gemini-x", contents="2+2?")

        ours = {name.lower(): value for name, value in Gemini().headers("key").items()}
        assert ours.items() <= server.last.headers.items()

    @pytest.mark.parametrize(
        ("request_", "config"),
        [
            (EmbedRequest(("a", "b"), model="embed-x"), {}),
            (
                EmbedRequest(("a",), model="embed-x", dimensions=3, purpose="query"),
                {"task_type": "RETRIEVAL_QUERY", "output_dimensionality": 3},
            ),
        ],
    )
    async def test_embeddings(
        self, request_: EmbedRequest, config: dict[str, Any], server: CaptureServer
    ) -> None:
        """Texts go out as the library sends them, but for the role, which says nothing there."""
        answer = {"embeddings": [{"values": [0.5, 1.0]} for _ in request_.texts]}
        server.answer(answer)
        async with official_client(server.url) as client:
            official = await client.models.embed_content(
                model="embed-x",
                contents=list(request_.texts),
                config=types.EmbedContentConfig(**config),
            )

        sent = server.last.json
        for row in sent["requests"]:
            row["content"].pop("role", None)

        assert json.loads(Gemini().encode_embed(request_, COMPAT).body) == sent
        assert server.last.path == "/v1beta" + Gemini().embed_path(request_)
        found = Gemini().decode_embed(json.dumps(answer).encode())
        assert [list(row) for row in found.vectors] == [
            row.values for row in official.embeddings or []
        ]


class TestGemini:
    def test_registered(self) -> None:
        """Settings find it by its name."""
        assert wire("gemini") == Gemini()
        assert Gemini().name == "gemini"

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("gemini-x", "/models/gemini-x:generateContent"),
            ("models/gemini-x", "/models/gemini-x:generateContent"),
            ("tunedModels/mine", "/tunedModels/mine:generateContent"),
            ("a?b c", "/models/a%3Fb%20c:generateContent"),
        ],
    )
    def test_path(self, name: str, path: str) -> None:
        """The model stands in it, by its short name or its whole one."""
        assert Gemini().url_path(Request((USER,), model=name), stream=False) == path

    @pytest.mark.parametrize("key", [None, ""])
    def test_no_key_no_header(self, key: str | None) -> None:
        """A server of one's own needs none."""
        assert Gemini().headers(key) == {"Content-Type": "application/json"}

    def test_decode_and_stream(self) -> None:
        """Both ways give the same."""
        body = json.dumps(ANSWER).encode()
        found = Gemini().decode(body)
        decoder = Gemini().stream_decoder()
        decoder.feed(b"data: " + body + b"\n\n")
        assert decoder.close() == [StreamEnd(found)]
        assert found.finish_reason is FinishReason.STOP
