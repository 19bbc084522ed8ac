"""Vectors: of length 1, the same each time, near for texts that share words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dspex.sandbox import embed_text


@given(st.text(max_size=60), st.integers(1, 300))
def test_unit_length(text: str, dimensions: int) -> None:
    """Any text has a vector of the size asked for and of length 1."""
    vector = embed_text(text, dimensions)
    assert vector.shape == (dimensions,)
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    assert (vector == embed_text(text, dimensions)).all()


def test_near_and_far() -> None:
    """Shared words bring texts together, shared pieces of words a little less."""
    cat, cats, tax = (embed_text(t) for t in ("the red cat", "red cats here", "income tax law"))
    assert cat @ cats > 0.4
    assert abs(cat @ tax) < 0.2
    assert embed_text("connect") @ embed_text("connection") > 0.2
