"""Connections to MCP servers that say when they are lost."""

from __future__ import annotations

import importlib
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import anyio

from dspex.errors import ConfigError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from mcp import Client

__all__ = ("connect_http", "connect_stdio")


def connect_stdio(
    command: str,
    args: list[str],
    *,
    env: Mapping[str, str] | None,
    cwd: str | Path | None,
    log_path: str | Path | None,
) -> Callable[[asyncio.Event, asyncio.Event], AbstractAsyncContextManager[Client]]:
    """Return what starts a process and connects to it; see `_client` for the events."""

    @asynccontextmanager
    async def connect(lost: asyncio.Event, changed: asyncio.Event) -> AsyncGenerator[Client, None]:
        _require()
        from mcp.client.stdio import StdioServerParameters, stdio_client

        asked = StdioServerParameters(
            command=command, args=args, env=None if env is None else dict(env), cwd=cwd
        )
        async with AsyncExitStack() as stack:
            log = sys.__stderr__ or sys.stderr
            if log_path is not None:
                log = stack.enter_context(_log(log_path))

            yield await stack.enter_async_context(
                _client(stdio_client(asked, errlog=log), lost, changed)
            )

    return connect


def connect_http(
    url: str, headers: Mapping[str, str] | None
) -> Callable[[asyncio.Event, asyncio.Event], AbstractAsyncContextManager[Client]]:
    """Return what connects to an address."""

    @asynccontextmanager
    async def connect(lost: asyncio.Event, changed: asyncio.Event) -> AsyncGenerator[Client, None]:
        _require()
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        async with create_mcp_http_client(headers=dict(headers or {})) as http:
            transport = streamable_http_client(url, http_client=http)
            async with _client(transport, lost, changed) as client:
                yield client

    return connect


@asynccontextmanager
async def _client(
    transport: Any, lost: asyncio.Event, changed: asyncio.Event
) -> AsyncGenerator[Client, None]:
    """Enter a client; `lost` is set when the other end goes away, `changed` by new tools."""
    from mcp import Client
    from mcp_types import ToolListChangedNotification

    async def heed(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            changed.set()

    watched: Any = _watched(transport, lost)
    async with Client(watched, message_handler=heed) as client:
        yield client


@asynccontextmanager
async def _watched(transport: Any, lost: asyncio.Event) -> AsyncGenerator[Any, None]:
    """Enter a transport whose end is noticed, even while nobody waits for an answer."""
    async with transport as (read, write), anyio.create_task_group() as group:
        send, receive = anyio.create_memory_object_stream[Any](0)

        async def pass_on() -> None:
            async with send:
                async for message in read:
                    await send.send(message)

            lost.set()

        group.start_soon(pass_on)
        yield receive, write
        group.cancel_scope.cancel()


def _log(path: str | Path) -> TextIO:
    return Path(path).open("a", encoding="utf-8")


def _require() -> None:
    try:
        importlib.import_module("mcp")
    except ImportError as exc:
        raise ConfigError(
            "needs a library that is not installed: pip install 'dspex[mcp]'",
            source="tools",
            key="mcp",
        ) from exc
