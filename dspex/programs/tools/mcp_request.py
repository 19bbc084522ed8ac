"""Calls of an MCP server: the function behind a tool, and what waits for the server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from dspex.errors import ToolError
    from dspex.programs.tools.mcp_server import McpServer
    from dspex.recipe import Recipe
    from dspex.types.tool_calls import ToolResult

__all__ = ("Asked", "Remote", "first_of")


@dataclass(slots=True, eq=False)
class Asked:
    """What is asked of a server's tool, and where its answer goes; cancelled by who gives up."""

    tool: str
    arguments: Mapping[str, Any]
    answer: asyncio.Future[ToolResult]

    def settle(self, result: ToolResult) -> None:
        """Give the answer, if somebody still waits for it."""
        if not self.answer.done():
            self.answer.set_result(result)

    def fail(self, error: ToolError) -> None:
        """Say why there is no answer, if somebody still waits for one."""
        if not self.answer.done():
            self.answer.set_exception(error)

    async def work(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run what answers it until that is done, or until nobody waits any more."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(coroutine)

            def stop(_: object) -> None:
                if self.answer.cancelled():
                    task.cancel()

            self.answer.add_done_callback(stop)


@dataclass(frozen=True, slots=True)
class Remote:
    """The function behind a tool of a server."""

    server: McpServer
    tool: str

    async def __call__(self, **arguments: Any) -> ToolResult:
        """Call it."""
        return await self.server.call(self.tool, arguments)

    def recipe(self) -> Recipe:
        """Refuse: a server cannot be saved."""
        raise TypeError(
            f"the tool {self.tool!r} belongs to the MCP server {self.server.name!r}, which cannot "
            "be saved: build the program with `server.tools()` and give it the saved state with "
            "`program.with_state(...)`"
        )


def first_of(error: Exception) -> Exception:
    """Return the first error in a group that is none itself; any other error is its own."""
    inner: tuple[Exception, ...] = getattr(error, "exceptions", ())
    return first_of(inner[0]) if inner else error
