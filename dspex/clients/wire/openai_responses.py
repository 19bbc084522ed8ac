"""OpenAI Responses: the wire of OpenAI's newer API, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex.clients.wire.openai_account import OpenAIAccount
from dspex.clients.wire.responses_decode import decode_body
from dspex.clients.wire.responses_encode import encode_request
from dspex.clients.wire.responses_stream import ResponsesStreamDecoder

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, Request, Response

__all__ = ("OpenAIResponses",)


@dataclass(frozen=True, slots=True)
class OpenAIResponses(OpenAIAccount):
    """The `Wire` and the `EmbeddingWire` of `POST {base_url}/responses`.

    Nothing is stored at the provider. There is one choice, and no stop, seed or penalties: what is
    asked of these is recorded as dropped.
    """

    @property
    def name(self) -> str:
        """The name that settings use."""
        return "openai-responses"

    def url_path(self, request: Request, *, stream: bool) -> str:
        """Return the path, which is the same for every request."""
        return "/responses"

    def encode(self, request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
        """Return the body; see `encode_request`."""
        return encode_request(request, compat, stream=stream)

    def decode(self, body: bytes) -> Response:
        """Return the answer; see `decode_body`."""
        return decode_body(body)

    def stream_decoder(self) -> ResponsesStreamDecoder:
        """Return a decoder for one streamed answer."""
        return ResponsesStreamDecoder()
