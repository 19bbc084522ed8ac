"""Texts in, vectors out: the embedding call's request and answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import orjson

from dspex.errors import Attempt
from dspex.messages.coding import to_dict
from dspex.messages.response import DroppedParam
from dspex.usage import Usage

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ("EmbedRequest", "EmbedResponse")


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts to be embedded by one model.

    `dimensions` asks for shorter vectors; `purpose` says what they are for, since some models embed
    a question differently from the documents that are searched.
    """

    texts: tuple[str, ...]
    _: KW_ONLY
    model: str = ""
    dimensions: int | None = None
    purpose: Literal["query", "document", "classification", "clustering"] | None = None

    def __post_init__(self) -> None:
        if not self.texts:
            raise ValueError("there is nothing to embed: texts is empty")

    def digest(self) -> str:
        """Return the SHA-256 under which the vectors are cached and replayed, in hexadecimal."""
        texts = [text.encode("utf-8", "surrogatepass").hex() for text in self.texts]
        parts = ["embed", self.model, self.dimensions, self.purpose, texts]
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EmbedRequest:
        """Rebuild from `to_dict`; raises ValueError, which names the field, on anything else."""
        return _request_adapter().validate_python(data)


@dataclass(frozen=True, slots=True)
class EmbedResponse:
    """One vector for each text, in the order of the texts."""

    vectors: tuple[tuple[float, ...], ...]
    _: KW_ONLY
    model: str = ""
    endpoint: str = ""
    usage: Usage = Usage()
    request_id: str | None = None
    latency_s: float = 0.0
    cached: bool = False
    attempts: tuple[Attempt, ...] = ()
    dropped: tuple[DroppedParam, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EmbedResponse:
        """Rebuild from `to_dict`; raises ValueError, which names the field, on anything else."""
        return _response_adapter().validate_python(data)


@cache
def _request_adapter() -> TypeAdapter[EmbedRequest]:
    from pydantic import TypeAdapter

    return TypeAdapter(EmbedRequest)


@cache
def _response_adapter() -> TypeAdapter[EmbedResponse]:
    from pydantic import TypeAdapter

    return TypeAdapter(EmbedResponse)
