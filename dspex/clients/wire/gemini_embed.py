"""Texts to Gemini's `batchEmbedContents` and their vectors back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dspex.clients.loose import count_of, list_of, object_of
from dspex.clients.wire.reading import load_json_object, protocol_error, raise_inner_error
from dspex.clients.wire.vectors import read_vector
from dspex.clients.wire.writing import Draft, invalid_request
from dspex.messages import EmbedResponse
from dspex.usage import Usage

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, EmbedRequest

__all__ = ("decode_embed_body", "encode_embed_request", "model_path")

_TASKS: Final = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


def model_path(model: str) -> str:
    """Return the resource that a model's name means: "models/..." unless it says another kind."""
    return model if "/" in model else f"models/{model}"


def encode_embed_request(request: EmbedRequest, compat: Compat) -> EncodedRequest:
    """Return the body: one request for each text, each with the model again.

    Raises:
        InvalidRequest: the endpoint has no embeddings.
    """
    if not compat.embeddings:
        raise invalid_request("the endpoint has no embeddings")

    options: dict[str, Any] = {"model": model_path(request.model)}
    if request.purpose is not None:
        options["taskType"] = _TASKS[request.purpose]

    if request.dimensions is not None:
        options["outputDimensionality"] = request.dimensions

    rows = [{**options, "content": {"parts": [{"text": text}]}} for text in request.texts]
    return Draft({"requests": rows}).encoded()


def decode_embed_body(body: bytes) -> EmbedResponse:
    """Return the vectors in `body`, which stand in the order of the texts.

    Raises:
        ProtocolError: it holds none, or one that is no vector.
        ProviderError: it holds an error, classified as one.
    """
    answer = load_json_object(body)
    raise_inner_error(answer, body)
    rows = list_of(answer.get("embeddings"))
    if not rows:
        raise protocol_error("the answer has no vectors", body)

    counts = object_of(answer.get("usageMetadata"))
    return EmbedResponse(
        tuple(read_vector(object_of(row).get("values"), body) for row in rows),
        usage=Usage(input_tokens=count_of(counts.get("promptTokenCount")), cost_usd=None, calls=1),
    )
