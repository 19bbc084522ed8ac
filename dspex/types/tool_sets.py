"""Several tools that are offered together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.errors import ToolError
from dspex.types.tool import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ("make_tools",)


def make_tools(tools: Iterable[Tool | Callable[..., Any]]) -> tuple[Tool, ...]:
    """Return functions and tools as tools, each with a name of its own.

    Raises:
        ToolError: one cannot be a tool, or two have one name.
    """
    made = tuple(tool if isinstance(tool, Tool) else Tool(tool) for tool in tools)
    seen: dict[str, Tool] = {}
    for tool in made:
        if tool.name in seen:
            raise ToolError(
                f"two tools have this name, {seen[tool.name].func!r} and {tool.func!r}: give one "
                "another, as in Tool(function, name='...')",
                tool=tool.name,
                reason="definition",
            )

        seen[tool.name] = tool

    return made
