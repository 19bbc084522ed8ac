"""What every wire is."""

from __future__ import annotations

import dataclasses

import pytest

from dspex.clients.wire.base import EmbeddingWire, EncodedRequest, StreamDecoder, Wire
from dspex.clients.wire.openai_chat import OpenAIChat
from dspex.messages import EmbedRequest


class TestWire:
    def test_chat_is_one(self) -> None:
        """The type checker agrees, and its decoder is a decoder."""
        wire: Wire = OpenAIChat()
        first: StreamDecoder = wire.stream_decoder()
        assert first is not wire.stream_decoder()

    def test_chat_embeds_too(self) -> None:
        """The other half of the protocol is the same value's."""
        wire: EmbeddingWire = OpenAIChat()
        assert wire.embed_path(EmbedRequest(("a",))) == "/embeddings"

    def test_encoded_request_is_a_value(self) -> None:
        """It drops nothing unless it says so, and does not change."""
        encoded = EncodedRequest(b"{}")
        assert encoded == EncodedRequest(b"{}", ())
        with pytest.raises(dataclasses.FrozenInstanceError):
            encoded.body = b""  # type: ignore[misc]  # what is tested
