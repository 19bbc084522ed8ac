"""Who asks, and the embedding half that OpenAI's wires share."""

from __future__ import annotations

import orjson
import pytest

from dspex.clients.wire.base import EmbeddingWire
from dspex.clients.wire.openai_account import OpenAIAccount
from dspex.clients.wire.openai_chat import OpenAIChat
from dspex.clients.wire.openai_responses import OpenAIResponses
from dspex.messages import Compat, EmbedRequest

WIRES = (OpenAIChat, OpenAIResponses)


class TestHeaders:
    @pytest.mark.parametrize("wire", WIRES)
    def test_headers_hold_the_key(self, wire: type[OpenAIAccount]) -> None:
        """As a bearer token, with the account's parts where they are set."""
        assert wire(organization="org", project="prj").headers("sk-1") == {
            "Content-Type": "application/json",
            "Authorization": "Bearer sk-1",
            "OpenAI-Organization": "org",
            "OpenAI-Project": "prj",
        }

    @pytest.mark.parametrize("key", [None, ""])
    def test_no_key_no_header(self, key: str | None) -> None:
        """Local servers need none."""
        assert OpenAIAccount().headers(key) == {"Content-Type": "application/json"}


class TestEmbeddings:
    @pytest.mark.parametrize("wire", WIRES)
    def test_texts_out_vectors_back(self, wire: type[OpenAIAccount]) -> None:
        """The three functions are those of the module beneath."""
        half: EmbeddingWire = wire()
        asked = EmbedRequest(("a",), model="emb")
        assert half.embed_path(asked) == "/embeddings"
        assert orjson.loads(half.encode_embed(asked, Compat()).body)["input"] == ["a"]
        assert half.decode_embed(b'{"data": [{"embedding": [0.5]}]}').vectors == ((0.5,),)
