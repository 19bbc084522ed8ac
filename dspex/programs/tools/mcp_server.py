"""MCP servers: a process or an address whose tools models may call.

One supervised task owns the connection for all of its life, since it must be closed by the task
that opened it. Callers hand it requests through a bounded queue and wait, each within its time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from dspex.errors import ToolError
from dspex.programs.tools.mcp_connection import connect_http, connect_stdio
from dspex.programs.tools.mcp_request import Asked, Remote, first_of
from dspex.types.tool import Tool
from dspex.types.tool_mcp import list_mcp_tools, mcp_name, mcp_result
from supervision import Backoff, ChildSpec, StartFailed, Supervisor

if TYPE_CHECKING:
    from types import TracebackType

    from mcp import Client

    from dspex.types.tool_calls import ToolResult

__all__ = ("McpServer",)

_RESTARTS: Final = 10
_PERIOD_S: Final = 60.0
_BACKOFF: Final = Backoff(min=0.05, max=30.0, jitter=0.5)

_Connect = Callable[[asyncio.Event, asyncio.Event], AbstractAsyncContextManager["Client"]]


class McpServer:
    """A server of the Model Context Protocol, kept running; made by `stdio` or `http`.

        async with McpServer.stdio("uvx", ["some-server"], name="files") as server:
            agent = ReAct("question -> answer", tools=server.tools())

    When it dies, the calls it was working on fail, those that wait go on waiting, and it is started
    anew, with growing pauses and up to ten times a minute; its tools are listed again. `spec()` is
    for a supervision tree of your own. What it gives is untrusted: models are shown it as data.
    """

    def __init__(
        self,
        name: str,
        connect: _Connect,
        *,
        timeout_s: float,
        connect_timeout_s: float,
        max_concurrency: int,
        max_waiting: int,
    ) -> None:
        self.name = name
        self.timeout_s = timeout_s
        self._connect = connect
        self._connect_timeout_s = connect_timeout_s
        self._max_concurrency = max_concurrency
        self._asked: asyncio.Queue[Asked] = asyncio.Queue(max_waiting)
        self._tools: tuple[Tool, ...] = ()
        self._own: Supervisor | None = None
        self._owned = False
        self._up = False

    @classmethod
    def stdio(
        cls,
        command: str,
        args: Sequence[str] = (),
        *,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        log_path: str | Path | None = None,
        timeout_s: float = 60.0,
        connect_timeout_s: float = 30.0,
        max_concurrency: int = 64,
        max_waiting: int = 10_000,
    ) -> McpServer:
        """Describe a server that is a process of ours, spoken to through its pipes.

        Args:
            command: the program.
            args: its arguments.
            name: goes in front of its tools' names; None is the program's name.
            env: variables besides PATH, HOME and the like, which it inherits; no others are.
            cwd: where it runs.
            log_path: a file to which its errors are appended; None is our standard error.
            timeout_s: of one call.
            connect_timeout_s: of its start, and of the listing of its tools.
            max_concurrency: how many calls it works on at a time.
            max_waiting: more calls than that are not let in to wait.
        """
        connect = connect_stdio(command, list(args), env=env, cwd=cwd, log_path=log_path)
        return cls(
            Path(command).stem if name is None else name,
            connect,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            max_concurrency=max_concurrency,
            max_waiting=max_waiting,
        )

    @classmethod
    def http(
        cls,
        url: str,
        *,
        name: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
        connect_timeout_s: float = 30.0,
        max_concurrency: int = 64,
        max_waiting: int = 10_000,
    ) -> McpServer:
        """Describe a server at an address (streamable HTTP); see `stdio` for the numbers."""
        return cls(
            name,
            connect_http(url, headers),
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            max_concurrency=max_concurrency,
            max_waiting=max_waiting,
        )

    def __repr__(self) -> str:
        state = ("running" if self._up else "coming back") if self._owned else "not running"
        return f"<McpServer {self.name!r} {state}, {len(self._tools)} tools>"

    async def __aenter__(self) -> Self:
        if self._owned:
            raise ToolError(f"{self!r} is in use already", tool=self.name)

        own = Supervisor(
            [self.spec()], name=f"mcp {self.name}", intensity=_RESTARTS, period=_PERIOD_S
        )
        try:
            await own.__aenter__()
        except StartFailed as exc:
            raise ToolError(f"the server cannot be started: {exc}", tool=self.name) from exc

        self._own = own
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        own, self._own = self._own, None
        try:
            return None if own is None else await own.__aexit__(exc_type, exc, traceback)
        finally:
            self._owned = False
            self._refuse_waiting()

    def spec(self) -> ChildSpec:
        """Describe the child that owns the connection, for a supervision tree."""
        return ChildSpec(
            f"mcp-{self.name}",
            self._serve,
            backoff=_BACKOFF,
            start_timeout=self._connect_timeout_s,
        )

    def tools(self) -> tuple[Tool, ...]:
        """Return the server's tools as it listed them last, named `server__tool`."""
        return self._tools

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Return what the server gives for a tool of its own naming; its failures are results.

        Raises:
            ToolError: the server does not run, died at it, or was too slow.
        """
        if not self._owned:
            raise ToolError(
                f"its server does not run: use {self.name!r} inside `async with`", tool=tool
            )

        asked = Asked(tool, arguments, asyncio.get_running_loop().create_future())
        try:
            self._asked.put_nowait(asked)
        except asyncio.QueueFull:
            problem = f"{self._asked.maxsize} calls wait for its server already"
            raise ToolError(problem, tool=tool, reason="refused") from None

        limit = asyncio.timeout(self.timeout_s)
        try:
            async with limit:
                return await asked.answer
        except TimeoutError as exc:
            if not limit.expired():
                raise

            away = "" if self._up else ": its server has died and is not back yet"
            problem = f"gave no result within {self.timeout_s:g} s{away}"
            raise ToolError(problem, tool=tool, reason="timeout") from exc

    async def _serve(self, *, ready: Callable[[object], None]) -> None:
        try:
            await self._connected(ready)
        except asyncio.CancelledError:
            # Stopped, which is no crash: nobody need wait for its return.
            self._owned = False
            self._refuse_waiting()
            raise
        except ExceptionGroup as group:
            raise first_of(group) from None  # a crash has one reason, and reports stay short
        finally:
            self._up = False

    async def _connected(self, ready: Callable[[object], None]) -> None:
        lost, changed = asyncio.Event(), asyncio.Event()
        async with self._connect(lost, changed) as client:
            self._tools = await self._listed(client)
            self._owned = self._up = True
            ready(self)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch(lost))
                group.create_task(self._relist(client, changed))
                for _ in range(self._max_concurrency):
                    group.create_task(self._work(client, lost))

    async def _watch(self, lost: asyncio.Event) -> NoReturn:
        await lost.wait()
        raise ConnectionError(f"the MCP server {self.name!r} has gone away")

    async def _relist(self, client: Client, changed: asyncio.Event) -> NoReturn:
        while True:
            await changed.wait()
            changed.clear()
            self._tools = await self._listed(client)

    async def _work(self, client: Client, lost: asyncio.Event) -> NoReturn:
        while True:
            asked = await self._asked.get()
            if asked.answer.done():
                continue  # whoever asked has given up

            try:
                await asked.work(self._answer(client, asked, lost))
            finally:
                asked.fail(self._died(asked))  # of one that was stopped before it began

    async def _answer(self, client: Client, asked: Asked, lost: asyncio.Event) -> None:
        from mcp.shared.exceptions import MCPError
        from mcp_types import CONNECTION_CLOSED

        try:
            given = await client.call_tool(asked.tool, dict(asked.arguments))
            result = mcp_result(asked.tool, given)
        except MCPError as exc:
            error = ToolError(f"the server says: {exc.message}", tool=asked.tool)
            # Servers use the number for errors of their own, too.
            if exc.code == CONNECTION_CLOSED and exc.message == "Connection closed":
                lost.set()
                error = self._died(asked)

            asked.fail(error)
        except asyncio.CancelledError:
            asked.fail(self._died(asked))
            raise
        except Exception as exc:
            asked.fail(ToolError(f"{type(exc).__name__}: {exc}", tool=asked.tool))
        else:
            asked.settle(result)

    def _died(self, asked: Asked) -> ToolError:
        problem = f"its server {self.name!r} went away while it worked on this"
        return ToolError(problem, tool=asked.tool)

    async def _listed(self, client: Client) -> tuple[Tool, ...]:
        tools: dict[str, Tool] = {}
        for listed in await list_mcp_tools(client):
            name = mcp_name(self.name, listed.name, tools)
            tools[name] = Tool(
                Remote(self, listed.name),
                name=name,
                description=listed.description or "",
                parameters=listed.input_schema,
                timeout_s=None,  # the server's own holds
            )

        return tuple(tools.values())

    def _refuse_waiting(self) -> None:
        while not self._asked.empty():
            asked = self._asked.get_nowait()
            asked.fail(ToolError("its server was stopped", tool=asked.tool, reason="refused"))
