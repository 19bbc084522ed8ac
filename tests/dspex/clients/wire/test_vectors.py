"""Vectors that came as lists."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.clients.wire.vectors import read_vector
from dspex.errors import ProtocolError


class TestReadVector:
    def test_numbers_become_floats(self) -> None:
        """Whole ones too."""
        assert read_vector([1, 0.5], b"") == (1.0, 0.5)

    @pytest.mark.parametrize(
        "value", [None, [], "x", {}, [None], [1, "2"], [True], [float("nan")], [10**400]]
    )
    def test_anything_else_is_no_vector(self, value: Any) -> None:
        """The error shows the body."""
        with pytest.raises(ProtocolError, match=r"no vector.*the body"):
            read_vector(value, b"the body")
