"""Log-probabilities and annotations, of OpenAI and of nobody."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st

from dspex.clients.wire.openai_parts import citations, token_logprobs
from dspex.messages import Citation, TokenLogprob

NAMES = ("token", "logprob", "top_logprobs", "url", "url_citation", "title", "file_id", "content")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=15,
)


class TestTokenLogprobs:
    def test_whole_numbers_are_floats(self) -> None:
        """A value survives JSON unchanged."""
        (found,) = token_logprobs([{"token": "a", "logprob": 0}])
        assert (found, type(found.logprob)) == (TokenLogprob("a", 0.0), float)

    @given(st.lists(ANYTHING))
    def test_anything_is_tokens(self, rows: list[Any]) -> None:
        """Never more than there were rows, and each with a number."""
        found = token_logprobs(rows)
        assert len(found) <= len(rows)
        assert all(type(token.logprob) is float for token in found)


class TestCitations:
    @given(st.lists(ANYTHING))
    def test_anything_is_citations(self, rows: list[Any]) -> None:
        """Each names a source."""
        assert all(citation.source for citation in citations(rows))

    def test_passage_before_title(self) -> None:
        """What the source says is worth more than what it is called."""
        row = {"url": "u", "title": "t", "content": "c"}
        assert citations([row]) == (Citation("c", source="u"),)
