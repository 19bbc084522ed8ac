"""Signatures of reasoning."""

from __future__ import annotations

from hypothesis import given, strategies as st

from dspex.sandbox.signing import sign, signed


@given(st.text(), st.text())
def test_only_the_text_it_was_made_for(text: str, other: str) -> None:
    """A signature fits its own text; without a text, any of this server's does."""
    assert signed(sign(text), text)
    assert signed(sign(text))
    assert signed(sign(text), other) == (sign(text) == sign(other))


def test_what_is_no_signature() -> None:
    """Other values are refused, whatever they are."""
    assert not any(signed(value) for value in (None, 5, "", "c29tZXRoaW5n"))
