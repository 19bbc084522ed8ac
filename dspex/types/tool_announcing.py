"""The events of a tool's call, for whoever listens on the runtime's bus."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dspex.effects import current
from dspex.telemetry.events import TOOL_EXCEPTION, TOOL_START, TOOL_STOP

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from dspex.types.tool_calls import ToolResult

__all__ = ("announced",)


async def announced(tool: str, call: Awaitable[ToolResult]) -> ToolResult:
    """Return what a call gives, and announce its beginning and its end."""
    here = current()
    if here.runtime is None:
        return await call

    bus, clock = here.runtime.bus, asyncio.get_running_loop().time
    about = {"tool": tool, "path": here.path, "correlation_id": here.correlation_id}
    began = clock()
    bus.execute(TOOL_START, {}, about)
    try:
        result = await call
    except BaseException as exc:
        took = {"duration_s": clock() - began}
        bus.execute(TOOL_EXCEPTION, took, {**about, "reason": "cancelled", "error": repr(exc)})
        raise

    took = {"duration_s": clock() - began}
    if result.error is None:
        bus.execute(TOOL_STOP, took, about)
    else:
        failed = {**about, "reason": result.error, "error": result.text}
        bus.execute(TOOL_EXCEPTION, took, failed)

    return result
