"""Vectors of texts by feature hashing: texts that share words and pieces of words are near.

Each word that is no function word and each of its four-letter pieces (`similarity.pieces_of`) adds
`(1 + log n)` to one of the dimensions, with a sign, both from a checksum of the feature; pieces
weigh half of what words do. The vector then gets length 1. Source: Weinberger and others, "Feature
hashing for large scale multitask learning", 2009. A text without words is the first unit vector.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

from dspex.sandbox.similarity import Features

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ("EMBEDDING_DIMENSIONS", "EMBEDDING_ID", "embed_text")

EMBEDDING_ID: Final = "sandbox/hashed-pieces"
"""The name of the embedding model."""

EMBEDDING_DIMENSIONS: Final = 256
"""How long a vector is when the request does not say."""

_PIECE_WEIGHT: Final = 0.5


def embed_text(text: str, dimensions: int = EMBEDDING_DIMENSIONS) -> NDArray[np.float64]:
    """Return the vector of a text: shape (dimensions,), length 1, a function of its arguments."""
    vector = np.zeros(dimensions)
    features = Features.of(text)
    _add(vector, features.words, 1.0)
    _add(vector, features.pieces, _PIECE_WEIGHT)
    norm = math.sqrt(float(vector @ vector))
    if norm:
        return vector / norm

    vector[0] = 1.0
    return vector


def _add(vector: NDArray[np.float64], counts: Mapping[str, int], weight: float) -> None:
    """Add features to the vector in place."""
    for name, count in counts.items():
        number = zlib.crc32(name.encode())
        sign = 1.0 if number & 1 else -1.0
        vector[(number >> 1) % len(vector)] += sign * weight * (1 + math.log(count))
