"""An application in this process, and one good request for each wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp.test_utils import TestClient, TestServer

from dspex.sandbox import MODEL_ID, Script, create_app

__all__ = ("CHATS", "Chat", "Client", "counts", "eventually", "root", "serving", "wire_counts")

Client = TestClient[Any, Any]

TEXT = "What is it?"
ENDS = (
    "completed",
    "bad_requests",
    "over_rate_limit",
    "over_capacity",
    "disconnected",
    "in_flight",
)


@dataclass(frozen=True)
class Chat:
    """How a wire is asked: its path, a body, and the headers it needs."""

    name: str
    path: str
    body: dict[str, Any]
    stream_path: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, *, stream: bool = False, **changes: Any) -> dict[str, Any]:
        """Return the arguments of a POST."""
        path = self.stream_path if stream and self.stream_path else self.path
        body = self.body | changes
        if stream and not self.stream_path:
            body["stream"] = True

        return {"path": path, "data": orjson.dumps(body), "headers": self.headers}


MESSAGES = [{"role": "user", "content": TEXT}]
GEMINI_PATH = f"/v1beta/models/{MODEL_ID}"
CHATS = (
    Chat("openai_chat", "/v1/chat/completions", {"model": MODEL_ID, "messages": MESSAGES}),
    Chat("openai_responses", "/v1/responses", {"model": MODEL_ID, "input": TEXT}),
    Chat(
        "anthropic",
        "/v1/messages",
        {"model": MODEL_ID, "messages": MESSAGES, "max_tokens": 1000},
        headers={"anthropic-version": "2023-06-01"},
    ),
    Chat(
        "gemini",
        f"{GEMINI_PATH}:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]},
        stream_path=f"{GEMINI_PATH}:streamGenerateContent?alt=sse",
    ),
    Chat("cohere", "/v2/chat", {"model": MODEL_ID, "messages": MESSAGES}),
)


@asynccontextmanager
async def serving(script: Script | None = None, **options: Any) -> AsyncIterator[Client]:
    """Run an application in this process and yield a client of it."""
    async with TestClient(TestServer(create_app(script=script, **options))) as client:
        yield client


def root(client: Client) -> str:
    """Return the URL of the server, without a slash at its end."""
    return str(client.make_url("")).rstrip("/")


async def counts(client: Client) -> dict[str, Any]:
    """Return the server's own counts, checked to add up, in all and for each wire."""
    async with client.get("/stats") as response:
        found: dict[str, Any] = orjson.loads(await response.read())

    for tally in (found, *found["wires"].values()):
        ends = sum(tally[end] for end in ENDS) + sum(tally["faults"].values())
        assert tally["requests"] == ends

    return found


async def wire_counts(client: Client, name: str) -> dict[str, Any]:
    """Return the counts of one wire."""
    found: dict[str, Any] = (await counts(client))["wires"][name]
    return found


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait, for a second at most, until `condition` holds."""
    async with asyncio.timeout(1):
        while not await condition():  # noqa: ASYNC110 - the condition is asked of a server
            await asyncio.sleep(0.002)
