"""What a program asks of whatever answers it: a client, a router, a scripted model in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dspex.messages import Compat, Request, Response, StreamEvent

__all__ = ("CacheMode", "ModelClient")

CacheMode = Literal["on", "off", "read", "refresh"]
"""`on` reads and writes the cache, `read` only reads, `refresh` only writes, `off` does neither."""


class ModelClient(Protocol):
    """Anything that answers requests. Safe to call from any number of tasks of one event loop."""

    @property
    def name(self) -> str:
        """Return "provider/model"."""
        ...

    @property
    def compat(self) -> Compat:
        """Return what the model behind it takes."""
        ...

    async def complete(
        self, request: Request, *, timeout_s: float | None = None, cache: CacheMode = "on"
    ) -> Response:
        """Return the answer.

        Args:
            request: the question; an empty `model` is filled in.
            timeout_s: deadline of the whole call, waiting and retries included; None takes the
                client's default. An earlier deadline of the current scope stays in force.
            cache: how the response cache takes part.

        Raises:
            ProviderError: the one kind of error a call may end with.
        """
        ...

    def stream(
        self, request: Request, *, timeout_s: float | None = None
    ) -> AsyncIterator[StreamEvent]:
        """Return the answer as it comes: one StreamStart, deltas, one StreamEnd."""
        ...
