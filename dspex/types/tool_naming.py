"""Names of tools, as models can call them and one program can tell them apart."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Final

from dspex.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("checked_name",)

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


def checked_name(func: Callable[..., Any], name: str | None) -> str:
    """Return the name of a function's tool: the one given, or its own.

    Raises:
        ToolError: it is no function, or models cannot call the name.
    """
    if not callable(func):
        problem = f"{func!r} is no function: give a function or an object that can be called"
        raise ToolError(problem, reason="definition")

    if any(map(_yields, (func, getattr(func, "func", None), type(func).__call__))):
        problem = f"{func!r} yields, and a model waits for one result: return a list"
        raise ToolError(problem, reason="definition")

    found = name or getattr(getattr(func, "func", func), "__name__", None) or type(func).__name__
    if not _NAME.fullmatch(found):
        raise ToolError(
            f"{found!r} is no name that models can call: give one of letters, digits, _ and -, at "
            "most 64, as in Tool(function, name='...')",
            reason="definition",
        )

    return found


def _yields(func: object) -> bool:
    return inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func)
