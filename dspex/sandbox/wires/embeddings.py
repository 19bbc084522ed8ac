"""Embeddings on three wires, server's side: texts in, vectors of `dspex.sandbox.embedding` out.

Source: the API references of OpenAI, Gemini (batchEmbedContents and embedContent) and Cohere
(embed, version 2), and what their SDKs read.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from dspex.sandbox.embedding import EMBEDDING_DIMENSIONS, embed_text
from dspex.sandbox.exchange import count_tokens
from dspex.sandbox.reading import (
    invalid,
    read_integer,
    read_json,
    read_list,
    read_object,
    read_strings,
    read_text,
)
from dspex.sandbox.wires.cohere import COHERE_DIALECT
from dspex.sandbox.wires.gemini import GEMINI_DIALECT
from dspex.sandbox.wires.gemini_request import content_text
from dspex.sandbox.wires.openai import OPENAI_DIALECT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex.sandbox.wires.dialect import Dialect, Target

__all__ = (
    "COHERE_EMBEDDINGS",
    "GEMINI_EMBEDDING",
    "GEMINI_EMBEDDINGS",
    "OPENAI_EMBEDDINGS",
    "EmbeddingAsk",
    "EmbeddingWire",
)

_MAX_TEXTS: Final = 2048
_MAX_COHERE_TEXTS: Final = 96
_MAX_GEMINI_TEXTS: Final = 100
_MAX_DIMENSIONS: Final = 4096
_PURPOSES: Final = ("search_document", "search_query", "classification", "clustering", "image")


@dataclass(frozen=True, slots=True)
class EmbeddingAsk:
    """The part of an embeddings request that is honoured; `packed`: vectors in base64."""

    model: str
    texts: Sequence[str]
    dimensions: int = EMBEDDING_DIMENSIONS
    packed: bool = False

    @property
    def input_tokens(self) -> int:
        """The tokens of all texts."""
        return sum(count_tokens(text) for text in self.texts)


_Vector = list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingWire:
    """A provider's embeddings: from a body to texts, from vectors to a body."""

    name: str
    dialect: Dialect
    read: Callable[[bytes, Target], EmbeddingAsk]
    write: Callable[[EmbeddingAsk, Sequence[_Vector]], Mapping[str, Any]]

    def body(self, ask: EmbeddingAsk) -> bytes:
        """Return the answer."""
        vectors = [embed_text(text, ask.dimensions).tolist() for text in ask.texts]
        return orjson.dumps(self.write(ask, vectors))


def _checked_texts(place: str, value: object, most: int) -> tuple[str, ...]:
    texts = read_strings(place, value)
    if not 1 <= len(texts) <= most:
        raise invalid(place, f"expected 1 to {most} texts, got {len(texts)}")

    return texts


def _dimensions(body: Mapping[str, Any], key: str) -> int:
    return read_integer(body, key, 1, _MAX_DIMENSIONS) or EMBEDDING_DIMENSIONS


def _read_openai(raw: bytes, target: Target) -> EmbeddingAsk:
    body = read_json(raw)
    form = body.get("encoding_format", "float")
    if form not in ("float", "base64"):
        raise invalid("encoding_format", f"expected float or base64, got {form!r}")

    return EmbeddingAsk(
        read_text("model", body.get("model")),
        _checked_texts("input", body.get("input"), _MAX_TEXTS),
        _dimensions(body, "dimensions"),
        packed=form == "base64",
    )


def _write_openai(ask: EmbeddingAsk, vectors: Sequence[_Vector]) -> Mapping[str, Any]:
    shown = [_packed(vector) if ask.packed else vector for vector in vectors]
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(shown)
        ],
        "model": ask.model,
        "usage": {"prompt_tokens": ask.input_tokens, "total_tokens": ask.input_tokens},
    }


def _packed(vector: _Vector) -> str:
    """Return a vector as little-endian single precision in base64."""
    return base64.b64encode(np.array(vector, "<f4").tobytes()).decode()


def _read_gemini(raw: bytes, target: Target) -> EmbeddingAsk:
    """Read one content."""
    body = read_json(raw)
    text, _, _ = content_text("content", body.get("content"))
    return EmbeddingAsk(target.model, (text,), _dimensions(body, "outputDimensionality"))


def _read_gemini_batch(raw: bytes, target: Target) -> EmbeddingAsk:
    """Read a list of contents, which have to agree on the dimensions."""
    requests = read_list("requests", read_json(raw).get("requests"))
    if not 1 <= len(requests) <= _MAX_GEMINI_TEXTS:
        raise invalid("requests", f"expected 1 to {_MAX_GEMINI_TEXTS}, got {len(requests)}")

    texts: list[str] = []
    sizes: set[int] = set()
    for index, entry in enumerate(requests):
        item = read_object(f"requests[{index}]", entry, optional=False)
        texts.append(content_text(f"requests[{index}].content", item.get("content"))[0])
        sizes.add(_dimensions(item, "outputDimensionality"))

    if len(sizes) > 1:
        raise invalid("outputDimensionality", f"expected one for all requests, got {sorted(sizes)}")

    return EmbeddingAsk(target.model, texts, sizes.pop())


def _write_gemini(ask: EmbeddingAsk, vectors: Sequence[_Vector]) -> Mapping[str, Any]:
    return {"embedding": {"values": vectors[0]}}


def _write_gemini_batch(ask: EmbeddingAsk, vectors: Sequence[_Vector]) -> Mapping[str, Any]:
    return {"embeddings": [{"values": vector} for vector in vectors]}


def _read_cohere(raw: bytes, target: Target) -> EmbeddingAsk:
    body = read_json(raw)
    if (purpose := body.get("input_type")) not in _PURPOSES:
        raise invalid("input_type", f"expected one of {', '.join(_PURPOSES)}, got {purpose!r}")

    forms = read_strings("embedding_types", body.get("embedding_types"))
    if forms not in ((), ("float",)):
        raise invalid("embedding_types", f"the sandbox has only float, got {list(forms)!r}")

    return EmbeddingAsk(
        read_text("model", body.get("model")),
        _checked_texts("texts", body.get("texts"), _MAX_COHERE_TEXTS),
        _dimensions(body, "output_dimension"),
    )


def _write_cohere(ask: EmbeddingAsk, vectors: Sequence[_Vector]) -> Mapping[str, Any]:
    return {
        "id": "sandbox",
        "response_type": "embeddings_by_type",
        "embeddings": {"float": vectors},
        "texts": ask.texts,
        "meta": {
            "api_version": {"version": "2"},
            "billed_units": {"input_tokens": float(ask.input_tokens)},
        },
    }


OPENAI_EMBEDDINGS: Final = EmbeddingWire(
    name="openai_embeddings", dialect=OPENAI_DIALECT, read=_read_openai, write=_write_openai
)
"""OpenAI's embeddings."""

GEMINI_EMBEDDING: Final = EmbeddingWire(
    name="gemini_embeddings", dialect=GEMINI_DIALECT, read=_read_gemini, write=_write_gemini
)
"""Gemini's embedContent."""

GEMINI_EMBEDDINGS: Final = EmbeddingWire(
    name="gemini_embeddings",
    dialect=GEMINI_DIALECT,
    read=_read_gemini_batch,
    write=_write_gemini_batch,
)
"""Gemini's batchEmbedContents."""

COHERE_EMBEDDINGS: Final = EmbeddingWire(
    name="cohere_embeddings", dialect=COHERE_DIALECT, read=_read_cohere, write=_write_cohere
)
"""Cohere's embed, version 2."""
