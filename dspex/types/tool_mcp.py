"""What MCP servers list and give, as tools and their results; nothing of it is trusted.

The values of the `mcp` library are read by their attributes, so that it need not be there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dspex.errors import ToolError
from dspex.messages import ImagePart
from dspex.types.tool_calls import ToolResult
from dspex.types.tool_schema import is_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dspex.recipe import Recipe

__all__ = ("MAX_CHARS", "McpFunction", "list_mcp_tools", "mcp_name", "mcp_result")

MAX_CHARS: Final = 1_000_000
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST: Final = 64
_PAGES: Final = 100


@dataclass(frozen=True, slots=True)
class McpFunction:
    """The function behind a tool of an open client."""

    client: Any
    tool: str

    async def __call__(self, **arguments: Any) -> ToolResult:
        """Call it."""
        return mcp_result(self.tool, await self.client.call_tool(self.tool, arguments))

    def recipe(self) -> Recipe:
        """Refuse: a connection cannot be saved."""
        raise TypeError(
            f"the tool {self.tool!r} belongs to an open connection, which cannot be saved: build "
            "the program with its tools and give it the saved state with `program.with_state(...)`"
        )


async def list_mcp_tools(client: Any) -> list[Any]:
    """Return what an open `mcp.Client` lists, from all pages.

    Raises:
        ToolError: the listing does not end.
    """
    listed: list[Any] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor, cache_mode="bypass")
        listed += page.tools
        cursor = page.next_cursor
        if not cursor:
            return listed

    raise ToolError(f"the listing of the server's tools does not end after {_PAGES} pages")


def mcp_name(server: str, tool: str, taken: Iterable[str] = ()) -> str:
    """Return a name that models can call, with its server in front, and that is not taken."""
    whole = _UNFIT.sub("_", f"{server}__{tool}" if server else tool)
    if not whole[:1].isalpha():
        whole = f"_{whole}"

    name, number, used = whole[:_LONGEST], 1, set(taken)
    while name in used:
        number += 1
        name = f"{whole[: _LONGEST - 4]}_{number}"

    return name


def mcp_result(tool: str, given: Any) -> ToolResult:
    """Return what a `CallToolResult` holds: its structured content, or else its text; and images.

    What is longer than a million characters is cut; sounds and resources are named and left out.
    """
    texts: list[str] = []
    images: list[ImagePart] = []
    for block in given.content or ():
        kind = getattr(block, "type", "")
        if kind == "text":
            texts.append(block.text)
        elif kind == "image":
            images.append(ImagePart(f"data:{block.mime_type};base64,{block.data}"))
        else:
            texts.append(_named(block, kind))

    text = "\n".join(texts)
    failed = bool(getattr(given, "is_error", False))
    value: Any = getattr(given, "structured_content", None)
    if value is None or failed:
        value = text
    elif is_table(value) and list(value) == ["result"]:
        value = value["result"]

    result = ToolResult(tool, value, error="crash" if failed else None, images=tuple(images))
    if len(result.text) <= MAX_CHARS:
        return result

    cut = f"{result.text[:MAX_CHARS]}... (cut off)"
    return ToolResult(tool, cut, error=result.error, images=result.images)


def _named(block: Any, kind: str) -> str:
    resource = getattr(block, "resource", block)
    text = getattr(resource, "text", None)
    if kind == "resource" and isinstance(text, str):
        return text

    return f"[{kind or 'something'} {getattr(resource, 'uri', '')}]".replace(" ]", "]")
