"""The tools of one program: found by name, called side by side, told to whoever listens."""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex.errors import ToolError
from dspex.programs.sampling import run_all
from dspex.programs.streaming.listening import tell_tool
from dspex.types.tool_calls import ToolResult
from dspex.types.tool_sets import make_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dspex.messages import ToolCall
    from dspex.types.tool import Tool

__all__ = ("Toolbox",)

_TOLD_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Tools with a name each; an immutable value."""

    tools: tuple[Tool, ...] = ()

    @classmethod
    def of(cls, tools: Iterable[Tool | Callable[..., Any]]) -> Toolbox:
        """Take functions and tools.

        Raises:
            ToolError: one cannot be a tool, or two have one name.
        """
        return cls(make_tools(tools))

    @property
    def names(self) -> tuple[str, ...]:
        """The tools' names, in order."""
        return tuple(tool.name for tool in self.tools)

    def find(self, name: str) -> Tool | None:
        """Return the tool of that name."""
        return next((tool for tool in self.tools if tool.name == name), None)

    def described(self) -> str:
        """Return the tools as a prompt lists them."""
        return "\n".join("- " + tool.render().replace("\n", "\n  ") for tool in self.tools)

    def check_callable(self) -> None:
        """Raise ToolError if a tool's name is none that code can call."""
        for name in self.names:
            if not name.isidentifier() or keyword.iskeyword(name):
                raise ToolError(
                    "code cannot call this name: give the tool another, as in "
                    "Tool(function, name='...')",
                    tool=name,
                    reason="definition",
                )

    def check_free(self, *names: str) -> None:
        """Raise ToolError if a tool has a name that the program needs for itself."""
        for name in names:
            if self.find(name) is not None:
                raise ToolError(
                    "the program needs this name for itself: give the tool another, as in "
                    "Tool(function, name='...')",
                    tool=name,
                    reason="definition",
                )

    async def run(self, calls: Sequence[ToolCall], *, max_concurrency: int = 8) -> list[ToolResult]:
        """Return the results of the calls, in their order; they run at the same time.

        What goes wrong is a result as well, unless the tool asks to raise.

        Raises:
            ToolError: of the first call, in their order of failing, whose tool asks to raise.
        """
        if len(calls) == 1:
            return [await self.answer(calls[0])]

        return await run_all(self.answer, calls, name="tools", max_concurrency=max_concurrency)

    async def answer(self, call: ToolCall) -> ToolResult:
        """Return the result of one call."""
        tool = self.find(call.name)
        if tool is None:
            known = f"there is no tool {call.name!r}: there are {list(self.names)}"
            return ToolResult(call.name, known, call_id=call.id, error="unknown")

        await tell_tool(tool.name, "start", call.arguments[:_TOLD_CHARS])
        return await _told(tool, await tool.answer(call))

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Return what a tool gives for arguments that are no text: a call out of code.

        Raises:
            ToolError: it gave no result.
        """
        tool = self.find(name)
        if tool is None:
            raise ToolError(f"there are {list(self.names)}", tool=name, reason="unknown")

        await tell_tool(name, "start", str(dict(arguments))[:_TOLD_CHARS])
        result = await _told(tool, await tool.result_of(arguments))
        if result.error is not None:
            raise ToolError(result.text, tool=name, reason=result.error)

        return result.value


async def _told(tool: Tool, result: ToolResult) -> ToolResult:
    failed = result.error is not None
    await tell_tool(tool.name, "error" if failed else "stop", result.text[:_TOLD_CHARS])
    if result.error is not None and tool.on_error == "raise":
        raise ToolError(result.text, tool=tool.name, reason=result.error)

    return result
