"""Cohere's chat, version 2: the wire of `POST {base_url}/chat`, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex.clients.wire.cohere_decode import decode_body
from dspex.clients.wire.cohere_embed import decode_embed_body, encode_embed_request
from dspex.clients.wire.cohere_encode import encode_request
from dspex.clients.wire.cohere_stream import CohereStreamDecoder

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, EmbedRequest, EmbedResponse, Request, Response

__all__ = ("CohereChat",)


@dataclass(frozen=True, slots=True)
class CohereChat:
    """The `Wire` and `EmbeddingWire` of Cohere's API.

    Its base URL ends in the API's version, as in `https://api.cohere.com/v2`.

    Args:
        client_name: of the program that asks, sent as `X-Client-Name` when set.
    """

    client_name: str | None = None

    @property
    def name(self) -> str:
        """The name that settings use."""
        return "cohere"

    def url_path(self, request: Request, *, stream: bool) -> str:
        """Return the path, which is the same for every request."""
        return "/chat"

    def headers(self, api_key: str | None) -> dict[str, str]:
        """Return the headers of every request."""
        found = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {api_key}" if api_key else None,
            "X-Client-Name": self.client_name,
        }
        return {name: value for name, value in found.items() if value is not None}

    def encode(self, request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
        """Return the body; see `encode_request`."""
        return encode_request(request, compat, stream=stream)

    def decode(self, body: bytes) -> Response:
        """Return the answer; see `decode_body`."""
        return decode_body(body)

    def stream_decoder(self) -> CohereStreamDecoder:
        """Return a decoder for one streamed answer."""
        return CohereStreamDecoder()

    def embed_path(self, request: EmbedRequest) -> str:
        """Return the path, which is the same for every request."""
        return "/embed"

    def encode_embed(self, request: EmbedRequest, compat: Compat) -> EncodedRequest:
        """Return the body; see `encode_embed_request`."""
        return encode_embed_request(request, compat)

    def decode_embed(self, body: bytes) -> EmbedResponse:
        """Return the vectors; see `decode_embed_body`."""
        return decode_embed_body(body)
