"""How a provider takes batches: pure functions between our lines and its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dspex.clients.batch.anthropic import AnthropicBatches
from dspex.clients.batch.openai import OpenAIBatches
from dspex.errors import UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.clients.batch.line import BatchLine, BatchStatus, LineResult, Outgoing

__all__ = ("Dialect", "dialect_for")


class Dialect(Protocol):
    """One provider's batch interface, as a frozen value without I/O.

    What it raises is a `ProtocolError` without a provider.
    """

    def upload(self, lines: Sequence[BatchLine]) -> Outgoing | None:
        """Return what must go up before the batch is made; None if nothing."""
        ...

    def create(self, lines: Sequence[BatchLine], uploaded: bytes, nonce: str) -> Outgoing:
        """Return what makes the batch, named `nonce` where the interface takes a name."""
        ...

    def created(self, reply: bytes) -> str:
        """Return the new batch's id."""
        ...

    def search(self) -> str | None:
        """Return the path of the list of batches, if one can be found by its nonce."""
        ...

    def found(self, reply: bytes, nonce: str) -> str | None:
        """Return the id of the batch with that nonce, if it is in the list."""
        ...

    def status_path(self, batch: str) -> str:
        """Return where to read how a batch is doing."""
        ...

    def status(self, reply: bytes) -> BatchStatus:
        """Return how it is doing."""
        ...

    def cancel_path(self, batch: str) -> str:
        """Return where to post that it shall end."""
        ...

    def result(self, line: bytes, provider: str) -> LineResult:
        """Return what one line of the results says."""
        ...


def dialect_for(wire: str, provider: str) -> Dialect:
    """Return the batch interface that goes with a wire.

    Raises:
        UnsupportedFeature: there is none.
    """
    if wire in ("openai-chat", "openai-responses"):
        return OpenAIBatches()

    if wire == "anthropic-messages":
        return AnthropicBatches()

    raise UnsupportedFeature(
        f"{provider} has no batch interface over the wire {wire!r}: use openai-chat, "
        f"openai-responses or anthropic-messages"
    )
