"""Synthetic log probabilities are well-formed."""

from __future__ import annotations

import math

from hypothesis import given, strategies as st

from dspex.sandbox.logprobs import token_logprobs


@given(st.text(max_size=40), st.integers(0, 20))
def test_shares_of_one_place(text: str, alternatives: int) -> None:
    """Tokens join to the text; probabilities fall and add up to less than 1."""
    shown = list(token_logprobs(text, alternatives))
    assert "".join(place[0][0] for place in shown) == text
    for place in shown:
        shares = [math.exp(value) for _, value in place]
        assert len(place) == max(1, alternatives)
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) < 1
