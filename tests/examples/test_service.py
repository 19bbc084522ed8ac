"""The service example answers over HTTP, though lifespan and handlers run in different tasks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from examples import service


@asynccontextmanager
async def serve_aiohttp() -> AsyncIterator[str]:
    async with TestServer(service.aiohttp_app()) as server:
        yield str(server.make_url("/"))


@asynccontextmanager
async def serve_starlette() -> AsyncIterator[str]:
    uvicorn = pytest.importorskip("uvicorn")
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(service.starlette_app(), log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    with listener:
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]))
            while not server.started:
                assert not serving.done()
                await asyncio.sleep(0.01)

            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
            finally:
                server.should_exit = True


async def post(url: str, ticket: str | bytes) -> tuple[int, dict[str, object]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}triage", data=ticket) as reply,
    ):
        return reply.status, await reply.json()


@pytest.mark.slow
@pytest.mark.parametrize("serve", [serve_aiohttp, serve_starlette])
class TestService:
    async def test_handlers_find_the_runtime_of_the_lifespan(
        self, serve: Callable[[], AbstractAsyncContextManager[str]]
    ) -> None:
        """A request is answered by the program, which no handler gave a client."""
        async with serve() as url:
            status, body = await post(url, "I was charged twice")

        assert (200, "billing") == (status, body["team"])

    async def test_a_broken_request_is_the_callers_fault(
        self, serve: Callable[[], AbstractAsyncContextManager[str]]
    ) -> None:
        """Bytes that are no text are a 400 and not a crash."""
        async with serve() as url:
            status, body = await post(url, b"\xff\xfe")

        assert 400 == status
        assert "UTF-8" in str(body["error"])

    async def test_concurrent_requests_are_answered_each_with_its_own(
        self, serve: Callable[[], AbstractAsyncContextManager[str]]
    ) -> None:
        """Answers do not mix."""
        async with serve() as url, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(post(url, ticket))
                for ticket in ("I was charged twice", "The wifi drops") * 20
            ]

        teams = [task.result()[1]["team"] for task in tasks]
        assert ["billing", "network"] * 20 == teams
