"""Anthropic's wire as a whole, against Anthropic's own library: the same bytes both ways."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
from anthropic.types import Message as OfficialMessage

from dspex.clients.wire.anthropic_messages import ANTHROPIC_VERSION, AnthropicMessages
from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.registry import wire
from dspex.messages import (
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

COMPAT = PRESETS["anthropic"]
PIXEL = "data:image/png;base64,AAAA"
PDF = "data:application/pdf;base64,JVBE"
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
TOOL = ToolSpec("add", "Add numbers.", SCHEMA)
TOOL_ROW = {"name": "add", "description": "Add numbers.", "input_schema": SCHEMA}
USER = Message("user", "2+2?")
USER_ROW = {"role": "user", "content": "2+2?"}

ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "4"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 2},
}


def asking(*messages: Message, max_tokens: int = 99, **changes: Any) -> Request:
    """Build a request with a bound on its output."""
    sampling = replace(changes.pop("sampling", Sampling()), max_tokens=max_tokens)
    return Request(messages or (USER,), model="claude-x", sampling=sampling, **changes)


# What we ask, and how Anthropic's library is asked for the same.
CASES: dict[str, tuple[Request, dict[str, Any]]] = {
    "text": (asking(), {"messages": [USER_ROW]}),
    "system": (
        asking(Message("system", "Be brief."), USER),
        {"messages": [USER_ROW], "system": "Be brief."},
    ),
    "two system prompts": (
        asking(Message("system", "Be brief."), USER, Message("system", "Be kind.")),
        {
            "messages": [USER_ROW],
            "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
        },
    ),
    "conversation": (
        asking(USER, Message("assistant", "4"), Message("user", "sure?")),
        {
            "messages": [
                USER_ROW,
                {"role": "assistant", "content": "4"},
                {"role": "user", "content": "sure?"},
            ]
        },
    ),
    # The library leaves it to the server to merge turns; we do it.
    "turns of one speaker": (
        asking(USER, Message("user", "quick!")),
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "2+2?"},
                        {"type": "text", "text": "quick!"},
                    ],
                }
            ]
        },
    ),
    "images": (
        asking(Message("user", (ImagePart(PIXEL), ImagePart("https://x/y.png"), TextPart("?")))),
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                        },
                        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                        {"type": "text", "text": "?"},
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
                    FilePart(PDF, name="paper", citations=True),
                    FilePart("https://x/y.pdf"),
                    FilePart("data:text/plain;base64,aGVsbG8="),
                    FilePart(file_id="file_1"),
                    TextPart("?"),
                ),
            )
        ),
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "source": {
                                "type": "base64",
                                "media_type": "application/pdf",
                                "data": "JVBE",
                            },
                            "title": "paper",
                            "citations": {"enabled": True},
                        },
                        {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
                        {
                            "type": "document",
                            "source": {"type": "text", "media_type": "text/plain", "data": "hello"},
                        },
                        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
                        {"type": "text", "text": "?"},
                    ],
                }
            ]
        },
    ),
    "tools": (
        asking(tools=(TOOL,), tool_choice="auto"),
        {"messages": [USER_ROW], "tools": [TOOL_ROW], "tool_choice": {"type": "auto"}},
    ),
    "strict tool, forced, alone": (
        asking(tools=(replace(TOOL, strict=True),), tool_choice="add", parallel_tool_calls=False),
        {
            "messages": [USER_ROW],
            "tools": [{**TOOL_ROW, "strict": True}],
            "tool_choice": {"type": "tool", "name": "add", "disable_parallel_tool_use": True},
        },
    ),
    "any tool": (
        asking(tools=(TOOL,), tool_choice="required"),
        {"messages": [USER_ROW], "tools": [TOOL_ROW], "tool_choice": {"type": "any"}},
    ),
    "no tool": (
        asking(tools=(TOOL,), tool_choice="none", parallel_tool_calls=False),
        {"messages": [USER_ROW], "tools": [TOOL_ROW], "tool_choice": {"type": "none"}},
    ),
    "tool loop with thinking": (
        asking(
            USER,
            Message(
                "assistant",
                "let me see",
                tool_calls=(ToolCall("t1", "add", '{"x": 1}'), ToolCall("t2", "add", "")),
                reasoning=(
                    ReasoningPart("hm", signature="sig"),
                    ReasoningPart(encrypted="xyz"),
                ),
            ),
            Message("tool", "3", tool_call_id="t1"),
            Message("tool", "no x", tool_call_id="t2", is_error=True),
            Message("user", "go on"),
            tools=(TOOL,),
        ),
        {
            "messages": [
                USER_ROW,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "sig"},
                        {"type": "redacted_thinking", "data": "xyz"},
                        {"type": "text", "text": "let me see"},
                        {"type": "tool_use", "id": "t1", "name": "add", "input": {"x": 1}},
                        {"type": "tool_use", "id": "t2", "name": "add", "input": {}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t1", "content": "3"},
                        {
                            "type": "tool_result",
                            "tool_use_id": "t2",
                            "content": "no x",
                            "is_error": True,
                        },
                        {"type": "text", "text": "go on"},
                    ],
                },
            ],
            "tools": [TOOL_ROW],
        },
    ),
    "form and effort": (
        asking(
            response_format=ResponseFormat("json_schema", schema=SCHEMA),
            sampling=Sampling(reasoning_effort="high"),
        ),
        {
            "messages": [USER_ROW],
            "output_config": {
                "effort": "high",
                "format": {"type": "json_schema", "schema": SCHEMA},
            },
        },
    ),
    "thinking budget": (
        asking(max_tokens=5_000, sampling=Sampling(reasoning_tokens=2_000)),
        {
            "messages": [USER_ROW],
            "max_tokens": 5_000,
            "thinking": {"type": "enabled", "budget_tokens": 2_000},
        },
    ),
    "thinking off": (
        asking(sampling=Sampling(reasoning_effort="none")),
        {"messages": [USER_ROW], "thinking": {"type": "disabled"}},
    ),
    # The library's newest version no longer has the sampling dials; the server still takes them.
    "sampling": (
        asking(sampling=Sampling(temperature=0.5, top_p=0.9, top_k=5, stop=("END",))),
        {
            "messages": [USER_ROW],
            "stop_sequences": ["END"],
            "extra_body": {"temperature": 0.5, "top_p": 0.9, "top_k": 5},
        },
    ),
    "fields of the provider's own": (
        asking(extra={"service_tier": "auto", "metadata": {"user_id": "u"}}),
        {"messages": [USER_ROW], "service_tier": "auto", "metadata": {"user_id": "u"}},
    ),
}


@pytest.fixture
async def server() -> AsyncIterator[CaptureServer]:
    """Run a server that gives a good answer."""
    async with capture() as found:
        found.answer(ANSWER)
        yield found


@pytest.fixture
async def official(server: CaptureServer) -> AsyncIterator[AsyncAnthropic]:
    """Give Anthropic's own client of that server."""
    # Reading the system's certificates for each test would take longer than the test.
    http = DefaultAsyncHttpxClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    async with AsyncAnthropic(
        api_key="key", base_url=server.url, max_retries=0, http_client=http
    ) as client:
        yield client


class TestAgainstTheOfficialLibrary:
    @pytest.mark.parametrize("name", CASES)
    async def test_bodies_are_equal(
        self, name: str, server: CaptureServer, official: AsyncAnthropic
    ) -> None:
        """What we send is what Anthropic's library sends for the same."""
        request, asked = CASES[name]
        await official.messages.create(**{"model": "claude-x", "max_tokens": 99, **asked})
        encoded = AnthropicMessages().encode(request, COMPAT, stream=False)
        assert json.loads(encoded.body) == server.last.json
        assert encoded.dropped == ()
        assert server.last.path == "/v1" + AnthropicMessages().url_path(request, stream=False)

    async def test_streamed_body(self, server: CaptureServer, official: AsyncAnthropic) -> None:
        """A stream is asked for by one more field."""
        server.answer_events(b'event: message_stop\ndata: {"type": "message_stop"}\n\n')
        async for _ in await official.messages.create(
            model="claude-x",
            max_tokens=99,
            messages=[{"role": "user", "content": "2+2?"}],
            stream=True,
        ):
            pass

        encoded = AnthropicMessages().encode(asking(), COMPAT, stream=True)
        assert json.loads(encoded.body) == server.last.json

    async def test_headers(self, server: CaptureServer, official: AsyncAnthropic) -> None:
        """With the library's own version and its place for the key, they are the library's."""
        await official.messages.create(
            model="claude-x", max_tokens=9, messages=[{"role": "user", "content": "?"}]
        )
        ours = AnthropicMessages(version="2026-10-21", bearer=True).headers("key")
        assert {name.lower(): value for name, value in ours.items()}.items() <= (
            server.last.headers.items()
        )

    def test_the_answer_is_official(self) -> None:
        """What the server gives is what the library's types hold, and what we read."""
        official = OfficialMessage.model_validate(ANSWER)
        found = AnthropicMessages().decode(official.model_dump_json().encode())
        assert (found.text, found.finish_reason) == ("4", FinishReason.STOP)


class TestAnthropicMessages:
    def test_registered(self) -> None:
        """Settings find it by its name."""
        assert wire("anthropic-messages") == AnthropicMessages()
        assert AnthropicMessages().name == "anthropic-messages"

    def test_headers(self) -> None:
        """Key, version, and the features that were turned on."""
        assert AnthropicMessages(betas=("a", "b")).headers("key") == {
            "Content-Type": "application/json",
            "x-api-key": "key",
            "anthropic-version": ANTHROPIC_VERSION,
            "anthropic-beta": "a,b",
        }

    @pytest.mark.parametrize("key", [None, ""])
    def test_no_key_no_header(self, key: str | None) -> None:
        """A server of one's own needs none."""
        for bearer in (True, False):
            headers = AnthropicMessages(bearer=bearer).headers(key)
            assert not {"x-api-key", "Authorization"} & headers.keys()

    def test_stream(self) -> None:
        """Its decoder is the wire's own."""
        decoder = AnthropicMessages().stream_decoder()
        events = decoder.feed(
            b'data: {"type": "message_start", "message": {}}\n\ndata: {"type": "message_stop"}\n\n'
        )
        assert isinstance(events[-1], StreamEnd)
        assert decoder.close() == []
