"""How what happens in a program finds its way to the stream that listens, if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dspex.effects import current
from dspex.programs.streaming.events import ProgramStatus, ToolStatus

if TYPE_CHECKING:
    from dspex.effects import CallScope
    from dspex.programs.streaming.events import Status, StreamItem

__all__ = ("Listener", "listener_of", "tell_status", "tell_tool")


class Listener(Protocol):
    """The end of a stream into which a program speaks."""

    async def send(self, item: StreamItem) -> None:
        """Hand on an item; waits until the consumer has taken it."""
        ...

    def place(self, path: tuple[str, ...]) -> str:
        """Return a scope's path as seen from the program that is streamed; "self" is that one."""
        ...


def listener_of(here: CallScope) -> Listener | None:
    """Return who listens to what runs in this scope; None, as nearly always."""
    found: Listener | None = here.listener
    return found


async def tell_status(here: CallScope, program: object, status: Status) -> None:
    """Say how the program of this scope is doing, if somebody listens."""
    listener = listener_of(here)
    if listener is not None:
        place = listener.place(here.path)
        if place != "self":
            await listener.send(ProgramStatus(place, type(program).__name__, status))


async def tell_tool(tool: str, status: Status, detail: str = "") -> None:
    """Say how a tool that was called in the current scope is doing, if somebody listens."""
    here = current()
    listener = listener_of(here)
    if listener is not None:
        await listener.send(ToolStatus(listener.place(here.path), tool, status, detail))
