"""What OpenAI's two wires share in an answer: log-probabilities and annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.clients.loose import is_object, list_of, object_of, text_of
from dspex.clients.wire.reading import number_of
from dspex.messages import Citation, TokenLogprob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ("citations", "token_logprobs")


def token_logprobs(rows: Iterable[object]) -> tuple[TokenLogprob, ...]:
    """Return the tokens of `logprobs.content`; one without a number is passed over."""
    return tuple(
        TokenLogprob(token, logprob, tuple(_pairs(list_of(row.get("top_logprobs")))))
        for row in rows
        if is_object(row)
        for token, logprob in _pairs([row])
    )


def _pairs(rows: Iterable[object]) -> Iterator[tuple[str, float]]:
    for value in rows:
        row = object_of(value)
        logprob = number_of(row.get("logprob"))
        if logprob is not None:
            yield text_of(row.get("token")), logprob


def citations(rows: Iterable[object]) -> tuple[Citation, ...]:
    """Return what annotations refer to; those of no known kind are passed over.

    Their places are places in the answer, not in the source, and are left out.
    """
    found = (_citation(row) for row in rows if is_object(row))
    return tuple(citation for citation in found if citation is not None)


def _citation(row: dict[str, Any]) -> Citation | None:
    # Chat has the facts in an object of their own, Responses has them flat.
    facts = object_of(row.get("url_citation")) or row
    if url := text_of(facts.get("url")):
        return Citation(text_of(facts.get("content")) or text_of(facts.get("title")), source=url)

    if name := text_of(facts.get("filename")) or text_of(facts.get("file_id")):
        return Citation("", source=name)

    return None
