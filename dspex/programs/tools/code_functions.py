"""Tools as functions that sandboxed code calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.errors import ToolError
from dspex.programs.code.interpreter import SubmitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.programs.code.interpreter import HostFunction
    from dspex.programs.tools.toolbox import Toolbox
    from dspex.types.tool import Tool

__all__ = ("CodeFunctions",)


class CodeFunctions:
    """The functions of one session; remembers what must end the program and not only the code."""

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox
        self._fatal: Exception | None = None

    def by_name(self) -> Mapping[str, HostFunction]:
        """Return the function of each tool."""
        return {tool.name: self._function(tool) for tool in self._toolbox.tools}

    def end_with(self, error: Exception) -> SubmitError:
        """Remember an error that ends the program; return what ends the code."""
        self._fatal = self._fatal or error
        return SubmitError(str(error))

    def raise_fatal(self) -> None:
        """Raise the error that ends the program, if there is one."""
        if self._fatal is not None:
            raise self._fatal

    def _function(self, tool: Tool) -> HostFunction:
        async def call(*args: Any, **kwargs: Any) -> Any:
            arguments = _named(tool, args, kwargs)
            try:
                return await self._toolbox.call(tool.name, arguments)
            except ToolError as exc:
                if tool.on_error == "raise":
                    raise self.end_with(exc) from exc

                raise

        return call


def _named(tool: Tool, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return all arguments by name; positional ones in the order of the schema."""
    names = list(tool.parameters.get("properties", ()))
    if len(args) > len(names):
        raise ToolError(f"takes {names}, got {len(args)} arguments", tool=tool.name)

    named = dict(zip(names, args, strict=False))
    if twice := sorted(named.keys() & kwargs.keys()):
        raise ToolError(f"got {twice} twice", tool=tool.name, reason="arguments")

    return {**named, **kwargs}
