"""What a Gemini candidate says it rests on, as Citations."""

from __future__ import annotations

from typing import Any

from dspex.clients.loose import count_of, is_object, list_of, object_of, text_of
from dspex.messages import Citation

__all__ = ("read_citations",)


def read_citations(candidate: dict[str, Any], text: str) -> tuple[Citation, ...]:
    """Return the citations of a candidate whose text is `text`.

    Its numbers count bytes of the answer, not of the source, so that they give the passage and are
    then of no more use.
    """
    return (*_recited(candidate, text.encode("utf-8", "replace")), *_grounded(candidate))


def _recited(candidate: dict[str, Any], text: bytes) -> list[Citation]:
    metadata = object_of(candidate.get("citationMetadata"))
    rows = list_of(metadata.get("citationSources")) or list_of(metadata.get("citations"))
    found: list[Citation] = []
    for row in filter(is_object, rows):
        passage = text[count_of(row.get("startIndex")) : count_of(row.get("endIndex"))]
        source = text_of(row.get("title")) or text_of(row.get("uri"))
        found.append(Citation(passage.decode("utf-8", "replace"), source=source or None))

    return found


def _grounded(candidate: dict[str, Any]) -> list[Citation]:
    metadata = object_of(candidate.get("groundingMetadata"))
    sources = [_chunk_source(object_of(row)) for row in list_of(metadata.get("groundingChunks"))]
    found: list[Citation] = []
    for row in filter(is_object, list_of(metadata.get("groundingSupports"))):
        passage = text_of(object_of(row.get("segment")).get("text"))
        found.extend(
            Citation(passage, source=sources[index])
            for index in list_of(row.get("groundingChunkIndices"))
            if isinstance(index, int) and 0 <= index < len(sources)
        )

    return found


def _chunk_source(chunk: dict[str, Any]) -> str | None:
    for kind in ("web", "retrievedContext", "maps"):
        row = object_of(chunk.get(kind))
        if said := text_of(row.get("uri")) or text_of(row.get("title")):
            return said

    return None
