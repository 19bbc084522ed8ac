"""Anthropic messages: the wire of `POST {base_url}/messages`, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dspex.clients.wire.anthropic_decode import decode_body
from dspex.clients.wire.anthropic_encode import encode_request
from dspex.clients.wire.anthropic_stream import AnthropicStreamDecoder

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, Request, Response

__all__ = ("ANTHROPIC_VERSION", "AnthropicMessages")

ANTHROPIC_VERSION: Final = "2023-06-01"
"""The version of the API that its public page lists; newer SDKs send newer ones."""


@dataclass(frozen=True, slots=True)
class AnthropicMessages:
    """The `Wire` of Anthropic and of the servers that speak like it.

    Its base URL ends in the API's version, as in `https://api.anthropic.com/v1`.

    Args:
        version: sent as `anthropic-version`.
        betas: features to turn on, sent as `anthropic-beta`.
        bearer: whether the key goes out as `Authorization: Bearer`, as gateways and the newest
            version want it, and not as `x-api-key`.
    """

    version: str = ANTHROPIC_VERSION
    betas: tuple[str, ...] = ()
    bearer: bool = False

    @property
    def name(self) -> str:
        """The name that settings use."""
        return "anthropic-messages"

    def url_path(self, request: Request, *, stream: bool) -> str:
        """Return the path, which is the same for every request."""
        return "/messages"

    def headers(self, api_key: str | None) -> dict[str, str]:
        """Return the headers of every request."""
        found = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {api_key}" if api_key and self.bearer else None,
            "x-api-key": api_key if api_key and not self.bearer else None,
            "anthropic-version": self.version,
            "anthropic-beta": ",".join(self.betas) or None,
        }
        return {name: value for name, value in found.items() if value is not None}

    def encode(self, request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
        """Return the body; see `encode_request`."""
        return encode_request(request, compat, stream=stream)

    def decode(self, body: bytes) -> Response:
        """Return the answer; see `decode_body`."""
        return decode_body(body)

    def stream_decoder(self) -> AnthropicStreamDecoder:
        """Return a decoder for one streamed answer."""
        return AnthropicStreamDecoder()
