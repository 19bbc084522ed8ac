"""What a provider's wire is: pure functions between our messages and its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dspex.messages import (
        Compat,
        DroppedParam,
        EmbedRequest,
        EmbedResponse,
        Request,
        Response,
        StreamEvent,
    )

__all__ = ("EmbeddingWire", "EncodedRequest", "StreamDecoder", "Wire")


@dataclass(frozen=True, slots=True)
class EncodedRequest:
    """A request as bytes, and the parameters that the endpoint does not take."""

    body: bytes
    dropped: tuple[DroppedParam, ...] = ()


class StreamDecoder(Protocol):
    """Turns the bytes of one streamed answer into events; belongs to that one answer.

    From `feed` and `close` together come exactly one `StreamStart`, first, and exactly one
    `StreamEnd`, last, however the bytes are cut into chunks; or one of them raises. After it has
    raised, or was closed, a decoder is of no more use.
    """

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """Return the events that `chunk` completes.

        Raises:
            ProviderError: the stream holds an error, or something that is not of this wire.
        """
        ...

    def close(self) -> list[StreamEvent]:
        """Say that no more bytes come; return the last events.

        Raises:
            ProtocolError: the answer is not complete.
        """
        ...


class Wire(Protocol):
    """One provider's way of asking and answering, as a frozen value without I/O.

    What it raises carries no provider; who knows the endpoint adds it.
    """

    @property
    def name(self) -> str:
        """The name that settings use."""
        ...

    def url_path(self, request: Request, *, stream: bool) -> str:
        """Return where to post `request`, below the endpoint's base URL; it may hold a query."""
        ...

    def headers(self, api_key: str | None) -> dict[str, str]:
        """Return the headers of every request; without a key, none that would hold it."""
        ...

    def encode(self, request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
        """Return the body that asks `request` of an endpoint that takes what `compat` says.

        Raises:
            InvalidRequest: it cannot be said on this wire, or not to this endpoint, and leaving it
                out would change the question.
        """
        ...

    def decode(self, body: bytes) -> Response:
        """Return the answer in the body of a good (200) reply. Its cost is not known yet.

        Raises:
            ProtocolError: it is not an answer; the message shows what it is.
            ProviderError: it is an error in disguise, classified as one.
        """
        ...

    def stream_decoder(self) -> StreamDecoder:
        """Return a decoder for one streamed answer."""
        ...


class EmbeddingWire(Protocol):
    """The embedding half of a wire, which the same value may have beside the other.

    Headers and base URL are those of the wire. What it raises carries no provider.
    """

    def embed_path(self, request: EmbedRequest) -> str:
        """Return where to post `request`, below the endpoint's base URL."""
        ...

    def encode_embed(self, request: EmbedRequest, compat: Compat) -> EncodedRequest:
        """Return the body that asks `request`.

        Raises:
            InvalidRequest: the endpoint has no embeddings, or a text cannot be written.
        """
        ...

    def decode_embed(self, body: bytes) -> EmbedResponse:
        """Return the vectors in the body of a good reply, in the order in which they were asked.

        Whether there are as many as texts is for the caller to check.

        Raises:
            ProtocolError: it holds no vectors; the message shows what it is.
            ProviderError: it is an error in disguise, classified as one.
        """
        ...
