"""Texts to Cohere's `POST /embed`, version 2, and their vectors back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dspex.clients.loose import count_of, list_of, object_of, text_of
from dspex.clients.wire.reading import load_json_object, protocol_error, raise_inner_error
from dspex.clients.wire.vectors import read_vector
from dspex.clients.wire.writing import Draft, invalid_request
from dspex.messages import EmbedResponse
from dspex.usage import Usage

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, EmbedRequest

__all__ = ("decode_embed_body", "encode_embed_request")

_INPUT_TYPES: Final = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}


def encode_embed_request(request: EmbedRequest, compat: Compat) -> EncodedRequest:
    """Return the body; the wire must be told what vectors are for, and takes them for documents.

    Raises:
        InvalidRequest: the endpoint has no embeddings.
    """
    if not compat.embeddings:
        raise invalid_request("the endpoint has no embeddings")

    draft = Draft({"model": request.model, "texts": list(request.texts)})
    draft.body["input_type"] = _INPUT_TYPES[request.purpose or "document"]
    if request.purpose is None:
        draft.drop("purpose", None, "document", "the wire needs one, and none was asked for")

    draft.body["embedding_types"] = ["float"]
    draft.put("dimensions", request.dimensions, field_name="output_dimension")
    return draft.encoded()


def decode_embed_body(body: bytes) -> EmbedResponse:
    """Return the vectors in `body`, which stand in the order of the texts.

    Raises:
        ProtocolError: it holds none, or one that is no vector.
        ProviderError: it holds an error, classified as one.
    """
    answer = load_json_object(body)
    raise_inner_error(answer, body)
    found = answer.get("embeddings")
    rows = list_of(object_of(found).get("float")) or list_of(found)
    if not rows:
        raise protocol_error("the answer has no vectors", body)

    counts = object_of(object_of(answer.get("meta")).get("billed_units"))
    return EmbedResponse(
        tuple(read_vector(row, body) for row in rows),
        request_id=text_of(answer.get("id")) or None,
        usage=Usage(input_tokens=count_of(counts.get("input_tokens")), cost_usd=None, calls=1),
    )
