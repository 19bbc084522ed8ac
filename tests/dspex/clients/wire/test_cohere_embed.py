"""Texts to Cohere's embeddings and their vectors back."""

from __future__ import annotations

import orjson
import pytest
from cohere.types import EmbedByTypeResponse
from hypothesis import given, strategies as st

from dspex.clients.wire.cohere_embed import decode_embed_body, encode_embed_request
from dspex.errors import InvalidRequest, ProtocolError, ProviderError, ServerError
from dspex.messages import Compat, DroppedParam, EmbedRequest
from dspex.usage import Usage


class TestEncode:
    @pytest.mark.parametrize(
        ("purpose", "sent"),
        [
            ("query", "search_query"),
            ("document", "search_document"),
            ("classification", "classification"),
            ("clustering", "clustering"),
        ],
    )
    def test_purposes(self, purpose: str, sent: str) -> None:
        """Each has its word."""
        request = EmbedRequest(("a",), purpose=purpose)  # type: ignore[arg-type]  # one of them
        found = encode_embed_request(request, Compat())
        assert orjson.loads(found.body)["input_type"] == sent
        assert found.dropped == ()

    def test_without_a_purpose(self) -> None:
        """The wire needs one: texts are taken for documents, which is recorded."""
        found = encode_embed_request(EmbedRequest(("a",)), Compat())
        assert orjson.loads(found.body)["input_type"] == "search_document"
        assert found.dropped == (
            DroppedParam("purpose", None, "document", "the wire needs one, and none was asked for"),
        )

    def test_no_embeddings(self) -> None:
        """An endpoint without any is not asked."""
        with pytest.raises(InvalidRequest, match="no embeddings"):
            encode_embed_request(EmbedRequest(("a",)), Compat(embeddings=False))


class TestDecode:
    def test_vectors_and_usage(self) -> None:
        """In the order of the texts."""
        body = {
            "id": "e1",
            "response_type": "embeddings_by_type",
            "embeddings": {"float": [[0.5, 1], [2, -0.25]]},
            "texts": ["a", "b"],
            "meta": {"billed_units": {"input_tokens": 4.0}},
        }
        EmbedByTypeResponse.model_validate(body)
        found = decode_embed_body(orjson.dumps(body))
        assert found.vectors == ((0.5, 1.0), (2.0, -0.25))
        assert found.request_id == "e1"
        assert found.usage == Usage(input_tokens=4, cost_usd=None, calls=1)

    def test_older_shape(self) -> None:
        """Vectors may stand in a list of their own."""
        assert decode_embed_body(b'{"embeddings": [[1, 2]]}').vectors == ((1.0, 2.0),)

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"{}", "no vectors"),
            (b'{"embeddings": {"int8": [[1]]}}', "no vectors"),
            (b'{"embeddings": {"float": [[]]}}', "no vector"),
            (b'{"embeddings": {"float": [[1, null]]}}', "no vector"),
            (b'{"embeddings": {"float": ["x"]}}', "no vector"),
            (b'{"embeddings": {"float": [[1e999]]}}', "no vector"),
        ],
    )
    def test_what_is_no_vector_is_shown(self, body: bytes, problem: str) -> None:
        """A broken vector never passes for one."""
        with pytest.raises(ProtocolError, match=problem):
            decode_embed_body(body)

    def test_error_in_a_good_reply(self) -> None:
        """It is raised for what it is."""
        with pytest.raises(ServerError):
            decode_embed_body(b'{"error": "it broke"}')

    @given(st.binary(max_size=40))
    def test_any_bytes_are_an_error(self, body: bytes) -> None:
        """Nothing else is raised."""
        with pytest.raises(ProviderError):
            decode_embed_body(body)
