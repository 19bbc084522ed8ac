"""Tools of programs: found, called side by side, and those of MCP servers.

`Toolbox` holds the tools of one program and answers a turn's calls at the same time, in order;
every call is told to the stream that listens. `McpServer` is a server process or address whose
tools are tools like any other: one supervised task owns the connection, callers hand it requests,
and when it dies it comes back and lists its tools anew.

What a tool gives is untrusted: it is shown to models as data and never run.
"""

from __future__ import annotations

from dspex.programs.tools.code_functions import CodeFunctions
from dspex.programs.tools.mcp_server import McpServer
from dspex.programs.tools.toolbox import Toolbox

__all__ = ("CodeFunctions", "McpServer", "Toolbox")
