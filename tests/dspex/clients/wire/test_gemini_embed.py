"""Texts to Gemini's embeddings and their vectors back."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.clients.wire.gemini_embed import decode_embed_body, encode_embed_request, model_path
from dspex.errors import InvalidRequest, ProtocolError, ProviderError, RateLimited
from dspex.messages import Compat, EmbedRequest
from dspex.usage import Usage


class TestEncode:
    @pytest.mark.parametrize(
        ("purpose", "task"),
        [
            ("query", "RETRIEVAL_QUERY"),
            ("document", "RETRIEVAL_DOCUMENT"),
            ("classification", "CLASSIFICATION"),
            ("clustering", "CLUSTERING"),
        ],
    )
    def test_purposes(self, purpose: str, task: str) -> None:
        """Each has its word."""
        request = EmbedRequest(("a",), model="m", purpose=purpose)  # type: ignore[arg-type]  # one of them
        body = orjson.loads(encode_embed_request(request, Compat()).body)
        assert body["requests"][0]["taskType"] == task

    def test_no_embeddings(self) -> None:
        """An endpoint without any is not asked."""
        with pytest.raises(InvalidRequest, match="no embeddings"):
            encode_embed_request(EmbedRequest(("a",)), Compat(embeddings=False))

    def test_model_path(self) -> None:
        """A short name is one of a model."""
        assert model_path("m") == model_path("models/m") == "models/m"


class TestDecode:
    def test_vectors_and_usage(self) -> None:
        """In the order of the texts."""
        rows = [{"values": [0.5, 1]}, {"values": [2, -0.25]}]
        body = {"embeddings": rows, "usageMetadata": {"promptTokenCount": 4}}
        found = decode_embed_body(orjson.dumps(body))
        assert found.vectors == ((0.5, 1.0), (2.0, -0.25))
        assert found.usage == Usage(input_tokens=4, cost_usd=None, calls=1)

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"{}", "no vectors"),
            (b'{"embeddings": []}', "no vectors"),
            (b'{"embeddings": [{}]}', "no vector"),
            (b'{"embeddings": [{"values": []}]}', "no vector"),
            (b'{"embeddings": [{"values": [1, "x"]}]}', "no vector"),
            (b'{"embeddings": [{"values": [NaN]}]}', "no vector"),
            (b"<html>", "not JSON"),
        ],
    )
    def test_what_is_no_vector_is_shown(self, body: bytes, problem: str) -> None:
        """A broken vector never passes for one."""
        with pytest.raises(ProtocolError, match=problem):
            decode_embed_body(body)

    def test_error_in_a_good_reply(self) -> None:
        """It is raised for what it is."""
        with pytest.raises(RateLimited):
            decode_embed_body(b'{"error": {"code": 429, "message": "m"}}')

    @given(
        st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), min_size=1)
    )
    def test_any_vectors(self, vectors: list[list[float]]) -> None:
        """Numbers come back as they were."""
        body = orjson.dumps({"embeddings": [{"values": vector} for vector in vectors]})
        assert [list(row) for row in decode_embed_body(body).vectors] == vectors

    @given(st.binary(max_size=40))
    def test_any_bytes_are_an_error(self, body: bytes) -> None:
        """Nothing else is raised."""
        with pytest.raises(ProviderError):
            decode_embed_body(body)
