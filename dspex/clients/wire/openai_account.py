"""What OpenAI's wires share: the headers that say who asks, and embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex.clients.wire.openai_embed import decode_embed_body, encode_embed_request

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, EmbedRequest, EmbedResponse

__all__ = ("OpenAIAccount",)


@dataclass(frozen=True, slots=True)
class OpenAIAccount:
    """The `EmbeddingWire` of `POST {base_url}/embeddings`, and the headers of every request.

    Args:
        organization: sent as `OpenAI-Organization` when set.
        project: sent as `OpenAI-Project` when set.
    """

    organization: str | None = None
    project: str | None = None

    def headers(self, api_key: str | None) -> dict[str, str]:
        """Return the headers of every request."""
        found = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {api_key}" if api_key else None,
            "OpenAI-Organization": self.organization,
            "OpenAI-Project": self.project,
        }
        return {name: value for name, value in found.items() if value is not None}

    def embed_path(self, request: EmbedRequest) -> str:
        """Return the path, which is the same for every request."""
        return "/embeddings"

    def encode_embed(self, request: EmbedRequest, compat: Compat) -> EncodedRequest:
        """Return the body; see `encode_embed_request`."""
        return encode_embed_request(request, compat)

    def decode_embed(self, body: bytes) -> EmbedResponse:
        """Return the vectors; see `decode_embed_body`."""
        return decode_embed_body(body)
