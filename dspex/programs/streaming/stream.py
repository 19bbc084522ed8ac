"""A program as a stream: what happens in it as it happens, then its prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from dspex.effects import current, scope
from supervision import Companion

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.streams.memory import MemoryObjectSendStream

    from dspex.programs.program import Program
    from dspex.programs.streaming.events import StreamItem
    from dspex.signatures.prediction import Prediction

__all__ = ("stream_program",)


async def stream_program(
    program: Program, inputs: dict[str, Any]
) -> AsyncGenerator[StreamItem, None]:
    """Yield what happens in one call of a program, and last its prediction.

    Nothing is buffered: the program waits until each item is taken, and with it the socket that it
    reads from. Whoever stops early closes the generator (`contextlib.aclosing`), which cancels the
    program and waits for its end.

    Raises:
        Exception: whatever the call raises, after the items that came before it.
    """
    send, receive = anyio.create_memory_object_stream["StreamItem"](0)
    outcome = list["Prediction | BaseException"]()
    with receive:
        async with Companion(_run(program, inputs, send, outcome)):
            async for item in receive:
                yield item

    (end,) = outcome
    if isinstance(end, BaseException):
        raise end

    yield end


async def _run(
    program: Program,
    inputs: dict[str, Any],
    send: MemoryObjectSendStream[StreamItem],
    outcome: list[Prediction | BaseException],
) -> None:
    with send, scope(listener=_Channel(send, len(current().path))):
        try:
            outcome.append(await program(**inputs))
        except (Exception, SystemExit, KeyboardInterrupt) as exc:
            # Out of a task of its own an exit would end the event loop; the consumer raises it.
            outcome.append(exc)


class _Channel:
    """The listener of one stream."""

    __slots__ = ("_depth", "_send")

    def __init__(self, send: MemoryObjectSendStream[StreamItem], depth: int) -> None:
        self._send = send
        self._depth = depth + 1

    async def send(self, item: StreamItem) -> None:
        """Hand on an item; waits until the consumer has taken it."""
        await self._send.send(item)

    def place(self, path: tuple[str, ...]) -> str:
        """Return a scope's path as seen from the program that is streamed."""
        return ".".join(path[self._depth :]) or "self"
