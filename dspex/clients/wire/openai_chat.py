"""OpenAI chat completions: the wire most servers speak, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex.clients.wire.openai_decode import decode_body
from dspex.clients.wire.openai_encode import encode_request
from dspex.clients.wire.openai_stream import OpenAIStreamDecoder

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, Request, Response

__all__ = ("OpenAIChat",)


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """The `Wire` of `POST {base_url}/chat/completions`; differences between servers are `Compat`.

    Args:
        organization: sent as `OpenAI-Organization` when set.
        project: sent as `OpenAI-Project` when set.
    """

    organization: str | None = None
    project: str | None = None

    @property
    def name(self) -> str:
        """The name that settings use."""
        return "openai-chat"

    def url_path(self, request: Request) -> str:
        """Return the path, which is the same for every request."""
        return "/chat/completions"

    def headers(self, api_key: str | None) -> dict[str, str]:
        """Return the headers of every request."""
        found = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {api_key}" if api_key else None,
            "OpenAI-Organization": self.organization,
            "OpenAI-Project": self.project,
        }
        return {name: value for name, value in found.items() if value is not None}

    def encode(self, request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
        """Return the body; see `encode_request`."""
        return encode_request(request, compat, stream=stream)

    def decode(self, body: bytes) -> Response:
        """Return the answer; see `decode_body`."""
        return decode_body(body)

    def stream_decoder(self) -> OpenAIStreamDecoder:
        """Return a decoder for one streamed answer."""
        return OpenAIStreamDecoder()
