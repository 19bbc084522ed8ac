"""Cohere's wire as a whole, against Cohere's own library: the same bytes both ways."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cohere import AsyncClientV2, UserChatMessageV2

from dspex.clients.wire.cohere_chat import CohereChat
from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.registry import wire
from dspex.messages import (
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

COMPAT = PRESETS["cohere"]
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
TOOL = ToolSpec("add", "Add numbers.", SCHEMA)
TOOL_ROW = {
    "type": "function",
    "function": {"name": "add", "description": "Add numbers.", "parameters": SCHEMA},
}
USER = Message("user", "2+2?")
USER_ROW = {"role": "user", "content": "2+2?"}

ANSWER = {
    "id": "c1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "4"}]},
    "usage": {
        "billed_units": {"input_tokens": 5.0, "output_tokens": 2.0},
        "tokens": {"input_tokens": 70.0, "output_tokens": 3.0},
    },
}


def asking(*messages: Message, **changes: Any) -> Request:
    """Build a request."""
    return Request(messages or (USER,), model="command-x", **changes)


# What we ask, and how Cohere's library is asked for the same.
CASES: dict[str, tuple[Request, dict[str, Any]]] = {
    "text": (asking(), {"messages": [USER_ROW]}),
    "conversation": (
        asking(
            Message("system", "Be brief."),
            USER,
            Message("assistant", "4"),
            Message("user", "sure?"),
        ),
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                USER_ROW,
                {"role": "assistant", "content": "4"},
                {"role": "user", "content": "sure?"},
            ]
        },
    ),
    "images": (
        asking(
            Message(
                "user",
                (TextPart("?"), ImagePart("https://x/y.png", "low"), ImagePart("data:x;base64,AA")),
            )
        ),
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "?"},
                        {
                            "type": "image_url",
                            "image_url": {"url": "https://x/y.png", "detail": "low"},
                        },
                        {"type": "image_url", "image_url": {"url": "data:x;base64,AA"}},
                    ],
                }
            ]
        },
    ),
    "documents": (
        asking(
            Message(
                "user",
                (
                    TextPart("?"),
                    FilePart("data:text/plain;base64,aGVsbG8=", name="greeting"),
                    FilePart("data:text/markdown;charset=utf-8;base64,aGVsbG8="),
                ),
            )
        ),
        {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "?"}]}],
            "documents": [
                {"data": {"title": "greeting", "text": "hello"}},
                {"data": {"text": "hello"}},
            ],
        },
    ),
    "tools": (
        asking(tools=(TOOL,), tool_choice="auto"),
        {"messages": [USER_ROW], "tools": [TOOL_ROW]},
    ),
    "strict tools, any": (
        asking(
            tools=(ToolSpec("add", "Add numbers.", SCHEMA, strict=True),), tool_choice="required"
        ),
        {
            "messages": [USER_ROW],
            "tools": [TOOL_ROW],
            "strict_tools": True,
            "tool_choice": "REQUIRED",
        },
    ),
    "no tool": (
        asking(tools=(TOOL,), tool_choice="none"),
        {"messages": [USER_ROW], "tools": [TOOL_ROW], "tool_choice": "NONE"},
    ),
    "tool loop": (
        asking(
            USER,
            Message(
                "assistant",
                "",
                tool_calls=(ToolCall("t1", "add", '{"x": 1}'),),
                reasoning=(ReasoningPart("I add.", id="tool_plan"),),
            ),
            Message("tool", "3", tool_call_id="t1"),
            tools=(TOOL,),
        ),
        {
            "messages": [
                USER_ROW,
                {
                    "role": "assistant",
                    "tool_plan": "I add.",
                    "tool_calls": [
                        {
                            "id": "t1",
                            "type": "function",
                            "function": {"name": "add", "arguments": '{"x": 1}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "t1", "content": "3"},
            ],
            "tools": [TOOL_ROW],
        },
    ),
    "a tool's documents": (
        asking(
            Message(
                "tool",
                (TextPart("found"), FilePart("data:text/plain;base64,aGVsbG8=", name="g")),
                tool_call_id="t1",
            )
        ),
        {
            "messages": [
                {
                    "role": "tool",
                    "tool_call_id": "t1",
                    "content": [
                        {"type": "text", "text": "found"},
                        {
                            "type": "document",
                            "document": {"data": {"title": "g", "text": "hello"}},
                        },
                    ],
                }
            ]
        },
    ),
    "thinking goes back": (
        asking(USER, Message("assistant", "4", reasoning=(ReasoningPart("hm"),)), USER),
        {
            "messages": [
                USER_ROW,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm"},
                        {"type": "text", "text": "4"},
                    ],
                },
                USER_ROW,
            ]
        },
    ),
    "any JSON": (
        asking(response_format=ResponseFormat("json_object")),
        {"messages": [USER_ROW], "response_format": {"type": "json_object"}},
    ),
    "JSON of a schema": (
        asking(response_format=ResponseFormat("json_schema", schema=SCHEMA)),
        {
            "messages": [USER_ROW],
            "response_format": {"type": "json_object", "json_schema": SCHEMA},
        },
    ),
    "sampling": (
        asking(
            sampling=Sampling(
                temperature=0.5,
                top_p=0.9,
                top_k=5,
                max_tokens=9,
                seed=1,
                stop=("END",),
                presence_penalty=0.25,
                frequency_penalty=0.75,
                logprobs=True,
            )
        ),
        {
            "messages": [USER_ROW],
            "temperature": 0.5,
            "p": 0.9,
            "k": 5,
            "max_tokens": 9,
            "seed": 1,
            "stop_sequences": ["END"],
            "presence_penalty": 0.25,
            "frequency_penalty": 0.75,
            "logprobs": True,
        },
    ),
    "thinking budget": (
        asking(sampling=Sampling(reasoning_tokens=2_000)),
        {"messages": [USER_ROW], "thinking": {"type": "enabled", "token_budget": 2_000}},
    ),
    "thinking off": (
        asking(sampling=Sampling(reasoning_effort="none")),
        {"messages": [USER_ROW], "thinking": {"type": "disabled"}},
    ),
    "fields of the provider's own": (
        asking(extra={"safety_mode": "OFF", "citation_options": {"mode": "FAST"}}),
        {"messages": [USER_ROW], "safety_mode": "OFF", "citation_options": {"mode": "FAST"}},
    ),
}


@pytest.fixture
async def server() -> AsyncIterator[CaptureServer]:
    """Run a server that gives a good answer."""
    async with capture() as found:
        found.answer(ANSWER)
        yield found


@pytest.fixture
async def official(server: CaptureServer) -> AsyncIterator[AsyncClientV2]:
    """Give Cohere's own client of that server."""
    # Reading the system's certificates for each test would take longer than the test.
    http = httpx.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    async with AsyncClientV2(
        "key", base_url=server.url, client_name="tests", httpx_client=http
    ) as client:
        yield client


class TestAgainstTheOfficialLibrary:
    @pytest.mark.parametrize("name", CASES)
    async def test_bodies_are_equal(
        self, name: str, server: CaptureServer, official: AsyncClientV2
    ) -> None:
        """What we send is what Cohere's library sends for the same."""
        request, asked = CASES[name]
        answer = await official.chat(**{"model": "command-x", **asked})
        encoded = CohereChat().encode(request, COMPAT, stream=False)
        assert json.loads(encoded.body) == server.last.json
        assert encoded.dropped == ()
        assert server.last.path == "/v2" + CohereChat().url_path(request, stream=False)
        assert answer.id == CohereChat().decode(json.dumps(ANSWER).encode()).request_id

    async def test_streamed_body(self, server: CaptureServer, official: AsyncClientV2) -> None:
        """A stream is asked for by one field."""
        server.answer_events(b'data: {"type": "message-end"}\n\n')
        async for _ in official.chat_stream(
            model="command-x", messages=[UserChatMessageV2(content="2+2?")]
        ):
            pass

        encoded = CohereChat().encode(asking(), COMPAT, stream=True)
        assert json.loads(encoded.body) == server.last.json

    async def test_headers(self, server: CaptureServer, official: AsyncClientV2) -> None:
        """The key and the name of the program go where the library puts them."""
        await official.chat(model="command-x", messages=[UserChatMessageV2(content="?")])
        ours = CohereChat(client_name="tests").headers("key")
        assert {name.lower(): value for name, value in ours.items()}.items() <= (
            server.last.headers.items()
        )

    @pytest.mark.parametrize(
        ("request_", "asked"),
        [
            (
                EmbedRequest(("a", "b"), model="embed-x", purpose="document"),
                {"input_type": "search_document"},
            ),
            (
                EmbedRequest(("a",), model="embed-x", purpose="query", dimensions=3),
                {"input_type": "search_query", "output_dimension": 3},
            ),
        ],
    )
    async def test_embeddings(
        self,
        request_: EmbedRequest,
        asked: dict[str, Any],
        server: CaptureServer,
        official: AsyncClientV2,
    ) -> None:
        """Texts go out as the library sends them, and both read the same vectors."""
        rows = [[0.5, 1.0] for _ in request_.texts]
        body = {"id": "e1", "embeddings": {"float": rows}, "response_type": "embeddings_by_type"}
        server.answer(body)
        answer = await official.embed(
            model="embed-x", texts=list(request_.texts), embedding_types=["float"], **asked
        )
        assert json.loads(CohereChat().encode_embed(request_, COMPAT).body) == server.last.json
        assert server.last.path == "/v2" + CohereChat().embed_path(request_)
        found = CohereChat().decode_embed(json.dumps(body).encode())
        assert [list(row) for row in found.vectors] == answer.embeddings.float_


class TestCohereChat:
    def test_registered(self) -> None:
        """Settings find it by its name."""
        assert wire("cohere") == CohereChat()
        assert CohereChat().name == "cohere"

    @pytest.mark.parametrize("key", [None, ""])
    def test_no_key_no_header(self, key: str | None) -> None:
        """A server of one's own needs none."""
        assert CohereChat().headers(key) == {"Content-Type": "application/json"}

    def test_decode_and_stream(self) -> None:
        """The wire's functions are those of the modules beneath."""
        found = CohereChat().decode(json.dumps(ANSWER).encode())
        assert (found.text, found.finish_reason) == ("4", FinishReason.STOP)
        decoder = CohereChat().stream_decoder()
        events = decoder.feed(b'data: {"type": "message-end", "delta": {}}\n\n')
        assert isinstance(events[-1], StreamEnd)
        assert decoder.close() == []
