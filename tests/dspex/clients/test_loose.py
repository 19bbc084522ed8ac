"""Reading JSON that may be anything."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.clients.loose import count_of, is_list, is_object, list_of, object_of, text_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


class TestLoose:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("hello", "hello"),
            ("", ""),
            (None, ""),
            (3, ""),
            ([{"type": "text", "text": "a"}, {"type": "image"}, "b", {"text": "c"}], "ac"),
            ([], ""),
            ({"text": "a"}, ""),
        ],
    )
    def test_text(self, value: object, expected: str) -> None:
        """A string is itself, a list its text parts, and anything else no text."""
        assert text_of(value) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [(3, 3), (3.9, 3), (0, 0), (-1, 0), (True, 0), ("3", 0), (None, 0), (float("nan"), 0)],
    )
    def test_count(self, value: object, expected: int) -> None:
        """A count is a number that can be one."""
        assert count_of(value) == expected

    @pytest.mark.parametrize("value", [float("inf"), 1e300, 10**400])
    def test_absurd_count(self, value: object) -> None:
        """What no meter can count is read as missing."""
        assert count_of(value) == 0

    @given(JSON)
    def test_nothing_crashes_it(self, value: object) -> None:
        """Every reader takes every value."""
        assert isinstance(text_of(value), str)
        assert count_of(value) >= 0
        assert object_of(value) == (value if is_object(value) else {})
        assert list_of(value) == (value if is_list(value) else [])
