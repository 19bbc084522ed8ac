"""Figures as people read them."""

from __future__ import annotations

import pytest

from dspex.evaluation.text import count, duration, excerpt, rows


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 ms"),
        (0.0004, "0.4 ms"),
        (0.34, "340 ms"),
        (4.21, "4.2 s"),
        (42.4, "42 s"),
        (59.7, "1 min 0 s"),
        (185, "3 min 5 s"),
        (7_440, "2 h 4 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    """A time has as much precision as it deserves."""
    assert duration(seconds) == text


def test_count() -> None:
    """One is singular."""
    assert [count(number, "call") for number in (0, 1, 1_200)] == [
        "0 calls",
        "1 call",
        "1,200 calls",
    ]


def test_excerpt_is_one_short_line() -> None:
    """Long and broken text fits into a table."""
    assert excerpt("a\n  b") == "a b"
    assert len(excerpt("x" * 500)) == 72


def test_rows_line_up() -> None:
    """Values stand below each other; a row without a name continues the last."""
    assert rows("title", [("a", "1"), ("long", "2"), ("", "3")]) == (
        "title\n  a     1\n  long  2\n        3"
    )
