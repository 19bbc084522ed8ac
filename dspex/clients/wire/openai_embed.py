"""Texts to OpenAI's embeddings and their vectors back.

Vectors are asked for as base64 of float32, which is a third of the bytes and what OpenAI's own
library asks for, so that followers know it; those who do not answer with lists, which are read too.
"""

from __future__ import annotations

import struct
from binascii import Error as NotBase64, a2b_base64
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

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

_FLOAT32_BYTES: Final = 4


def encode_embed_request(request: EmbedRequest, compat: Compat) -> EncodedRequest:
    """Return the body; what the vectors are for cannot be said on this wire, and is recorded.

    Raises:
        InvalidRequest: the endpoint has no embeddings.
    """
    if not compat.embeddings:
        raise invalid_request("the endpoint has no embeddings")

    draft = Draft({"model": request.model, "input": list(request.texts)})
    draft.put("dimensions", request.dimensions)
    draft.put("purpose", request.purpose, taken=False)
    draft.body["encoding_format"] = "base64"
    return draft.encoded()


def decode_embed_body(body: bytes) -> EmbedResponse:
    """Return the vectors in `body`, in the order of their index.

    Raises:
        ProtocolError: it holds none, or one that is no vector.
        ProviderError: it holds an error, classified as one.
    """
    answer = load_json_object(body)
    raise_inner_error(answer, body)
    rows = [object_of(row) for row in list_of(answer.get("data"))]
    if not rows:
        raise protocol_error("the answer has no vectors", body)

    if all("index" in row for row in rows):
        rows.sort(key=lambda row: count_of(row["index"]))

    counts = object_of(answer.get("usage"))
    return EmbedResponse(
        tuple(_vector(row, body) for row in rows),
        model=text_of(answer.get("model")),
        request_id=text_of(answer.get("id")) or None,
        usage=Usage(input_tokens=count_of(counts.get("prompt_tokens")), cost_usd=None, calls=1),
    )


def _vector(row: dict[str, Any], body: bytes) -> tuple[float, ...]:
    value = row.get("embedding")
    if not isinstance(value, str):
        return read_vector(value, body)

    found = _from_base64(value)
    if not found or not all(map(isfinite, found)):
        raise protocol_error("the answer holds something that is no vector", body)

    return found


def _from_base64(text: str) -> tuple[float, ...]:
    """Return the numbers in `text`; none for what is no base64 of whole numbers."""
    try:
        data = a2b_base64(text, strict_mode=True)
    except (NotBase64, ValueError):
        return ()

    if len(data) % _FLOAT32_BYTES:
        return ()

    return struct.unpack(f"<{len(data) // _FLOAT32_BYTES}f", data)
