"""OpenAI chat completions: the wire most servers speak, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex.clients.wire.openai_account import OpenAIAccount
from dspex.clients.wire.openai_decode import decode_body
from dspex.clients.wire.openai_encode import encode_request
from dspex.clients.wire.openai_stream import OpenAIStreamDecoder

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, Request, Response

__all__ = ("OpenAIChat",)


@dataclass(frozen=True, slots=True)
class OpenAIChat(OpenAIAccount):
    """The `Wire` and the `EmbeddingWire` of `POST {base_url}/chat/completions`.

    Differences between servers are in the `Compat` that it is given.
    """

    @property
    def name(self) -> str:
        """The name that settings use."""
        return "openai-chat"

    def url_path(self, request: Request, *, stream: bool) -> str:
        """Return the path, which is the same for every request."""
        return "/chat/completions"

    def encode(self, request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
        """Return the body; see `encode_request`."""
        return encode_request(request, compat, stream=stream)

    def decode(self, body: bytes) -> Response:
        """Return the answer; see `decode_body`."""
        return decode_body(body)

    def stream_decoder(self) -> OpenAIStreamDecoder:
        """Return a decoder for one streamed answer."""
        return OpenAIStreamDecoder()
