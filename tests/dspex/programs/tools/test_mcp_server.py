"""Tools of MCP servers: real processes that fail, hang, die and come back."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dspex.errors import ConfigError, ToolError
from dspex.programs import McpServer, ReAct
from dspex.testing.models import ScriptedModel
from dspex.types.tool import Tool
from supervision import Supervisor
from tests.support.project import ROOT

SCRIPT = str(ROOT / "tests" / "support" / "mcp_tools.py")

# What a server writes as it dies is no matter of ours; what we report about it is no mistake.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


def described(tmp_path: Path, **settings: Any) -> McpServer:
    arguments = [SCRIPT, str(tmp_path / "starts")]
    settings = {"name": "t", "timeout_s": 10.0, "log_path": tmp_path / "log", **settings}
    return McpServer.stdio(sys.executable, arguments, **settings)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[McpServer]:
    async with described(tmp_path) as running:
        yield running


def tools_of(server: McpServer) -> dict[str, Tool]:
    return {tool.name: tool for tool in server.tools()}


async def eventually(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - another process has no event of ours
            await asyncio.sleep(0.02)


class TestCalling:
    async def test_tools_are_listed_and_called(self, server: McpServer) -> None:
        """With the server's name in front, their schemas, and structured results."""
        tools = tools_of(server)
        assert set(tools) == {
            f"t__{name}" for name in ("add", "fail", "closed", "hang", "die", "where")
        }
        assert tools["t__add"].description == "Add two numbers."
        assert await tools["t__add"](a=1, b=2) == 3
        assert (await tools["t__where"]())["pid"] > 0
        sums = await asyncio.gather(*(tools["t__add"](a=n, b=n) for n in range(300)))
        assert sums == [2 * n for n in range(300)]

    async def test_an_error_of_the_server_is_no_lost_connection(self, server: McpServer) -> None:
        """Whatever it is called: the server goes on."""
        tools = tools_of(server)
        before = await tools["t__where"]()
        refused = await tools["t__closed"].result_of({})
        assert refused.text.endswith("the server says: The account is closed")
        assert await tools["t__where"]() == before

    async def test_failures_are_results(self, server: McpServer) -> None:
        """A tool that raises, arguments that do not fit, a tool that is not there."""
        tools = tools_of(server)
        failed = await tools["t__fail"].result_of({"why": "no reason"})
        assert failed.error == "crash"
        assert "fail" in failed.text
        assert (await tools["t__add"].result_of({"a": "x", "b": 1})).error == "crash"
        assert (await tools["t__add"].result_of({})).error == "arguments"
        assert (await server.call("nothing", {})).error == "crash"

    async def test_a_hang_is_a_timeout_and_harms_nobody(self, tmp_path: Path) -> None:
        """The call fails at its time; the connection goes on."""
        async with described(tmp_path, timeout_s=0.3, max_concurrency=2) as server:
            tools = tools_of(server)
            hanging = [tools["t__hang"].result_of({"seconds": 60}) for _ in range(4)]
            assert {result.error for result in await asyncio.gather(*hanging)} == {"timeout"}
            assert await tools["t__add"](a=1, b=2) == 3

    async def test_a_cancelled_call_gives_its_place_back(self, tmp_path: Path) -> None:
        """Whoever gives up holds nothing."""
        async with described(tmp_path, max_concurrency=1) as server:
            tools = tools_of(server)
            task = asyncio.create_task(tools["t__hang"](seconds=60))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            assert await tools["t__add"](a=1, b=2) == 3

    async def test_waiting_is_bounded(self, tmp_path: Path) -> None:
        """Calls beyond the bound are refused at once."""
        async with described(tmp_path, max_concurrency=1, max_waiting=2) as server:
            hang = tools_of(server)["t__hang"]
            calls = [hang.result_of({"seconds": 0.2}) for _ in range(6)]
            errors = [result.error for result in await asyncio.gather(*calls)]
            assert "crash" in errors or "refused" in errors
            assert None in errors

    async def test_an_agent_uses_them(self, server: McpServer) -> None:
        """They are tools like any other."""
        model = ScriptedModel(
            [
                {
                    "next_thought": "add",
                    "next_tool_name": "t__add",
                    "next_tool_args": {"a": 20, "b": 22},
                },
                {"next_thought": "ok", "next_tool_name": "finish", "next_tool_args": {}},
                {"reasoning": "added", "answer": "42"},
            ]
        )
        agent = ReAct("question -> answer", server.tools(), native=False, client=model)
        prediction = await agent(question="20 + 22?")
        assert prediction.trajectory.steps[0].results[0].value == 42


class TestDying:
    async def test_killed_in_a_call(self, server: McpServer) -> None:
        """That call fails, the server comes back, its tools are listed anew."""
        tools = tools_of(server)
        pid = (await tools["t__where"]())["pid"]
        hanging = asyncio.create_task(tools["t__hang"].result_of({"seconds": 60}))
        await asyncio.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        result = await hanging
        assert result.error == "crash"
        assert "went away" in result.text
        assert (await tools["t__where"]())["pid"] != pid
        assert "t__reborn" in tools_of(server)

    async def test_dies_of_a_call(self, server: McpServer) -> None:
        """A tool that ends its process is a crash, and calls after it are served."""
        tools = tools_of(server)
        assert (await tools["t__die"].result_of({})).error == "crash"
        assert await tools["t__add"](a=1, b=2) == 3

    async def test_dies_while_idle(self, server: McpServer) -> None:
        """It is noticed without a call."""
        os.kill((await tools_of(server)["t__where"]())["pid"], signal.SIGKILL)
        await eventually(lambda: "t__reborn" in tools_of(server))


class TestLiving:
    async def test_under_a_tree_of_ones_own(self, tmp_path: Path) -> None:
        """`spec` is a child like any other."""
        server = described(tmp_path)
        async with Supervisor([server.spec()]):
            assert await tools_of(server)["t__add"](a=1, b=2) == 3

        assert (await tools_of(server)["t__add"].result_of({"a": 1, "b": 2})).error == "crash"

    async def test_not_running(self, tmp_path: Path) -> None:
        """A call before or after says how to run it."""
        server = described(tmp_path)
        with pytest.raises(ToolError, match="async with"):
            await server.call("add", {})

        async with server:
            tools = tools_of(server)
            with pytest.raises(ToolError, match="in use"):
                await server.__aenter__()

        assert (await tools["t__add"].result_of({"a": 1, "b": 2})).error == "crash"
        async with server:
            assert await tools_of(server)["t__add"](a=1, b=2) == 3

    @pytest.mark.parametrize(
        ("command", "arguments"),
        [("no-such-program", []), (sys.executable, ["-c", "raise SystemExit(1)"])],
    )
    async def test_one_that_cannot_start(
        self, tmp_path: Path, command: str, arguments: list[str]
    ) -> None:
        """The error names it, and nothing stays behind."""
        server = McpServer.stdio(command, arguments, name="gone", log_path=tmp_path / "log")
        with pytest.raises(ToolError, match="cannot be started"):
            async with server:
                pytest.fail("it runs")

    async def test_one_that_never_answers(self, tmp_path: Path) -> None:
        """It is given up after its time to connect."""
        code = "import sys; sys.stdin.read()"
        server = McpServer.stdio(sys.executable, ["-c", code], connect_timeout_s=0.5)
        with pytest.raises(ToolError, match="cannot be started"):
            async with server:
                pytest.fail("it runs")

    async def test_without_the_library(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The error says what to install."""
        monkeypatch.setitem(sys.modules, "mcp", None)
        with pytest.raises((ConfigError, ToolError), match=r"dspex\[mcp\]"):
            async with described(tmp_path):
                pytest.fail("it runs")

    async def test_its_tools_cannot_be_saved(self, server: McpServer, tmp_path: Path) -> None:
        """The error names the server and the way out."""
        agent = ReAct("question -> answer", server.tools())
        with pytest.raises(TypeError, match="belongs to the MCP server 't'"):
            await agent.save(tmp_path / "agent.json")


async def test_the_tools_of_a_connection_of_ones_own() -> None:
    """`Tool.from_mcp` takes an open client."""
    from mcp import Client
    from mcp.server.mcpserver import MCPServer

    made = MCPServer("own")

    @made.tool()
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    async with Client(made) as client:
        (tool,) = await Tool.from_mcp(client, server="own")
        assert (tool.name, await tool(a=1, b=2)) == ("own__add", 3)
        with pytest.raises(TypeError, match="open connection"):
            tool.recipe()


async def test_over_http(tmp_path: Path) -> None:
    """The same at an address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, SCRIPT, "-", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await eventually(lambda: _answers(port))
        url = f"http://127.0.0.1:{port}/mcp"
        async with McpServer.http(url, name="web", headers={"x-test": "1"}) as server:
            assert await tools_of(server)["web__add"](a=1, b=2) == 3
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
