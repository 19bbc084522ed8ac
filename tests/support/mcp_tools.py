"""A real MCP server over its pipes, which can be told to misbehave; run as a script."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError

server = MCPServer("tools")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail(why: str) -> str:
    """Raise an error."""
    raise ValueError(why)


@server.tool()
def closed() -> str:
    """Refuse, in words that a lost connection has, too."""
    raise MCPError(-32000, "The account is closed")


@server.tool()
async def hang(seconds: float) -> str:
    """Answer late."""
    import anyio

    await anyio.sleep(seconds)
    return "late"


@server.tool()
def die() -> str:
    """End the process while it works on this."""
    os._exit(3)


@server.tool()
def where() -> dict[str, int]:
    """Tell the process."""
    return {"pid": os.getpid()}


def main() -> None:
    """Serve; with a file of starts, list one more tool from the second start on."""
    if len(sys.argv) > 2:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
        return

    if len(sys.argv) > 1:
        starts = Path(sys.argv[1])
        with starts.open("a") as log:
            log.write(f"{time.monotonic()}\n")

        if len(starts.read_text().splitlines()) > 1:

            @server.tool()
            def reborn() -> str:
                """Say that this is a later life."""
                return "again"

    server.run("stdio")


if __name__ == "__main__":
    main()
