"""Asking a model while somebody listens: each field's text is told as it comes."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from anyio import to_thread

from dspex.adapters.loose_json import takes_long
from dspex.messages import Response, StreamEnd
from dspex.programs.streaming.events import FieldChunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from dspex.adapters.protocol import Adapter
    from dspex.adapters.streaming import FieldDelta, StreamParser
    from dspex.clients.protocol import ModelClient
    from dspex.messages import Request, StreamEvent
    from dspex.programs.streaming.listening import Listener
    from dspex.signatures.signature import Signature

__all__ = ("ask_aloud",)

_LONG_PIECE: Final = 4_000
"""Characters above which a piece of an answer is read in a thread: it may take milliseconds."""


async def ask_aloud(
    client: ModelClient,
    request: Request,
    *,
    adapter: Adapter,
    signature: Signature,
    listener: Listener,
    predictor: str,
) -> Response:
    """Return the answer, and tell the listener what each field gains while it comes.

    A listener that is slow holds back the socket. The first of several choices is told.
    """
    parser = adapter.stream_parser(signature)
    response: Response | None = None
    events = cast("AsyncGenerator[StreamEvent, Any]", client.stream(request))
    async with aclosing(events):
        async for event in events:
            if isinstance(event, StreamEnd):
                response = event.response
            else:
                await _tell(listener, predictor, await _taken(parser, event))

    assert response is not None, "a stream ends with its response or an error"
    await _tell(listener, predictor, await _closed(parser))
    return response


async def _taken(parser: StreamParser, event: StreamEvent) -> list[FieldDelta]:
    # A replayed answer comes in one piece.
    piece = getattr(event, "text", "") or getattr(event, "arguments", "")
    if len(piece) <= _LONG_PIECE:
        return parser.take(event)

    return await to_thread.run_sync(parser.take, event)


async def _closed(parser: StreamParser) -> list[FieldDelta]:
    if not takes_long(parser.text):
        return parser.close()

    return await to_thread.run_sync(parser.close)


async def _tell(listener: Listener, predictor: str, deltas: Iterable[FieldDelta]) -> None:
    for delta in deltas:
        await listener.send(FieldChunk(predictor, delta.field, delta.text))
