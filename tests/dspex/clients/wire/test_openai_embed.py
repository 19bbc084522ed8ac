"""Vectors over OpenAI's wire: as base64, as lists, and as neither."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st
from openai.types import CreateEmbeddingResponse

from dspex.clients.wire.openai_embed import decode_embed_body, encode_embed_request
from dspex.errors import InvalidRequest, ProtocolError, ProviderError, RateLimited
from dspex.messages import Compat, DroppedParam, EmbedRequest
from dspex.usage import Usage

USAGE = {"prompt_tokens": 7, "total_tokens": 7}
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def packed(*vector: float) -> str:
    """Write a vector as OpenAI does when asked for base64."""
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def answer(*vectors: Any, **changes: Any) -> bytes:
    """Write an answer of these vectors."""
    rows = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    return json.dumps(
        {"object": "list", "model": "emb", "data": rows, "usage": USAGE, **changes}
    ).encode()


class TestEncode:
    def test_purpose_is_recorded(self) -> None:
        """This wire has no word for it."""
        encoded = encode_embed_request(EmbedRequest(("a",), purpose="query"), Compat())
        assert encoded.dropped == (
            DroppedParam("purpose", "query", None, "the endpoint does not take it"),
        )
        assert "purpose" not in orjson.loads(encoded.body)

    def test_endpoint_without_embeddings(self) -> None:
        """It is not asked in vain."""
        with pytest.raises(InvalidRequest, match="no embeddings"):
            encode_embed_request(EmbedRequest(("a",)), Compat(embeddings=False))

    @given(st.lists(st.text(alphabet=st.characters()), min_size=1))
    def test_texts_go_out_as_they_are(self, texts: list[str]) -> None:
        """Lone surrogates too."""
        body = encode_embed_request(EmbedRequest(tuple(texts)), Compat()).body
        assert json.loads(body)["input"] == texts


class TestDecode:
    def test_official_answer(self) -> None:
        """Vectors, model and usage."""
        body = answer([0.25, -1.0], [0.0, 1.0])
        CreateEmbeddingResponse.model_validate_json(body)
        found = decode_embed_body(body)
        assert found.vectors == ((0.25, -1.0), (0.0, 1.0))
        assert (found.model, found.request_id) == ("emb", None)
        assert found.usage == Usage(input_tokens=7, cost_usd=None, calls=1)

    @given(st.lists(st.lists(FLOATS, min_size=1, max_size=8), min_size=1, max_size=4))
    def test_base64_is_the_same_as_a_list(self, vectors: list[list[float]]) -> None:
        """Both forms give the same numbers, exactly."""
        found = decode_embed_body(answer(*(packed(*vector) for vector in vectors)))
        assert found.vectors == tuple(tuple(vector) for vector in vectors)
        assert found.vectors == decode_embed_body(answer(*vectors)).vectors

    def test_order_is_that_of_the_index(self) -> None:
        """A server may list them as they were done."""
        rows = [{"index": index, "embedding": [float(index)]} for index in (2, 0, 1)]
        assert decode_embed_body(orjson.dumps({"data": rows})).vectors == ((0.0,), (1.0,), (2.0,))

    def test_without_an_index_it_is_the_order_of_the_rows(self) -> None:
        """Not every server counts."""
        rows = [{"embedding": [3.0]}, {"embedding": [1]}]
        found = decode_embed_body(orjson.dumps({"data": rows}))
        assert found.vectors == ((3.0,), (1.0,))
        assert (found.model, found.usage.input_tokens) == ("", 0)

    @pytest.mark.parametrize(
        "vector",
        [
            None,
            [],
            "",
            "not base64!",
            "AAAA",
            packed(float("nan")),
            packed(float("inf")),
            [1.0, None],
            [1.0, "2"],
            [True],
            {"values": [1.0]},
            [[1.0]],
        ],
    )
    def test_what_is_no_vector_is_an_error(self, vector: Any) -> None:
        """A hole among the vectors would move all that follow."""
        with pytest.raises(ProtocolError, match="no vector"):
            decode_embed_body(answer([1.0], vector))

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"", "not JSON"),
            (b"[]", "not a JSON object"),
            (b"{}", "no vectors"),
            (b'{"data": []}', "no vectors"),
            (b'{"data": "x"}', "no vectors"),
            (b'{"data": [3]}', "no vector"),
        ],
    )
    def test_garbage_is_named_and_shown(self, body: bytes, problem: str) -> None:
        """The error says what is wrong."""
        with pytest.raises(ProtocolError, match=problem):
            decode_embed_body(body)

    def test_error_in_a_good_reply_is_raised(self) -> None:
        """It is classified by its own words."""
        with pytest.raises(RateLimited, match="slow down"):
            decode_embed_body(b'{"error": {"code": 429, "message": "slow down"}}')

    @given(st.binary(max_size=20) | st.binary(max_size=12).map(lambda data: answer(b64(data))))
    def test_any_bytes_raise_nothing_else(self, body: bytes) -> None:
        """They are vectors or a ProviderError."""
        with suppress(ProviderError):
            decode_embed_body(body)


def b64(data: bytes) -> str:
    """Write any bytes as base64."""
    return b64encode(data).decode()
