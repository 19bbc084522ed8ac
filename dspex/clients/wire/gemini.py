"""Gemini: the wire of `generateContent`, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from dspex.clients.wire.gemini_decode import decode_body
from dspex.clients.wire.gemini_embed import decode_embed_body, encode_embed_request, model_path
from dspex.clients.wire.gemini_encode import encode_request
from dspex.clients.wire.gemini_stream import GeminiStreamDecoder

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, EmbedRequest, EmbedResponse, Request, Response

__all__ = ("Gemini",)


@dataclass(frozen=True, slots=True)
class Gemini:
    """The `Wire` and `EmbeddingWire` of Gemini's Developer API.

    Its base URL ends in the API's version, as in
    `https://generativelanguage.googleapis.com/v1beta`; the model stands in the path.
    """

    @property
    def name(self) -> str:
        """The name that settings use."""
        return "gemini"

    def url_path(self, request: Request, *, stream: bool) -> str:
        """Return the path of the request's model, with a query for a stream of events."""
        call = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return _path(request.model, call)

    def headers(self, api_key: str | None) -> dict[str, str]:
        """Return the headers of every request."""
        found = {"Content-Type": "application/json"}
        if api_key:
            found["x-goog-api-key"] = api_key

        return found

    def encode(self, request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
        """Return the body, the same with streaming and without; see `encode_request`."""
        return encode_request(request, compat)

    def decode(self, body: bytes) -> Response:
        """Return the answer; see `decode_body`."""
        return decode_body(body)

    def stream_decoder(self) -> GeminiStreamDecoder:
        """Return a decoder for one streamed answer."""
        return GeminiStreamDecoder()

    def embed_path(self, request: EmbedRequest) -> str:
        """Return the path of the request's model."""
        return _path(request.model, "batchEmbedContents")

    def encode_embed(self, request: EmbedRequest, compat: Compat) -> EncodedRequest:
        """Return the body; see `encode_embed_request`."""
        return encode_embed_request(request, compat)

    def decode_embed(self, body: bytes) -> EmbedResponse:
        """Return the vectors; see `decode_embed_body`."""
        return decode_embed_body(body)


def _path(model: str, call: str) -> str:
    return f"/{quote(model_path(model))}:{call}"
