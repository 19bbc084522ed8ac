"""Texts in their normal form."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.evaluation.metrics import normalize_answer


class TestNormalizeAnswer:
    @pytest.mark.parametrize(
        ("text", "normal"),
        [
            ("The  Eiffel Tower!", "eiffel tower"),
            ("an apple, a day", "apple day"),
            ("U.S.A.", "usa"),
            ("1,000", "1000"),
            ("1.5", "1.5"),
            ("-3", "-3"),
            ("$-3", "-3"),
            ("1990-1995", "19901995"),
            ("well-known", "wellknown"),
            ("...", "..."),
            ("The", "the"),
            ("", ""),
        ],
    )
    def test_normal_form(self, text: str, normal: str) -> None:
        """Case, articles, space and signs go; what makes a number stays."""
        assert normalize_answer(text) == normal

    def test_accents_compose(self) -> None:
        """One letter and letter plus accent are the same."""
        assert normalize_answer("caf\u00e9") == normalize_answer("cafe\u0301")

    @given(st.text())
    def test_is_a_normal_form(self, text: str) -> None:
        """Case and outer space never matter."""
        assert normalize_answer(f"  {text.strip()} ") == normalize_answer(text.strip())
