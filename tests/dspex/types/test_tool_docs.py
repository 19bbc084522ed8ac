"""Google-style docstrings are read as their writers meant them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.types.tool_docs import read_docstring


@pytest.mark.parametrize(
    ("docstring", "description", "arguments"),
    [
        (None, "", {}),
        ("", "", {}),
        ("Do it.", "Do it.", {}),
        ("Do it.\n\nAt length.", "Do it.\n\nAt length.", {}),
        ("Do it.\n\nArgs:\n    a: one.\n    b (int): two.", "Do it.", {"a": "one.", "b": "two."}),
        (
            "Do it.\n\n    Arguments:\n        a: one\n            and more.\n    ",
            "Do it.",
            {"a": "one and more."},
        ),
        ("Do it.\n\nArgs:\n  a: one.\n\n  b: two.", "Do it.", {"a": "one.", "b": "two."}),
        ("Do it.\n\nArgs:\n    *a: one.\n    **b: two.", "Do it.", {"a": "one.", "b": "two."}),
        ("Do it.\n\nArgs:\n    a (str, optional): one: two.", "Do it.", {"a": "one: two."}),
        ("Do it.\n\nArgs:\n    a:\n        one.", "Do it.", {"a": "one."}),
        ("Do it.\n\nReturns:\n    x: no.\n\nArgs:\n    a: one.", "Do it.", {"a": "one."}),
        ("Do it.\n\nArgs:\n    a: one.\n\nRaises:\n    ValueError: b.", "Do it.", {"a": "one."}),
        ("Args:\n    a: one.", "", {"a": "one."}),
        ("Do it.\n\nArgs:\n    nothing of the kind", "Do it.", {}),
        ("Do this: now.\nNote: not a section.", "Do this: now.\nNote: not a section.", {}),
    ],
)
def test_forms(docstring: str | None, description: str, arguments: dict[str, str]) -> None:
    """Sections, types in brackets, continued lines and stars are understood."""
    assert read_docstring(docstring) == (description, arguments)


@given(st.text())
def test_any_text_is_read(docstring: str) -> None:
    """No docstring is too odd."""
    description, arguments = read_docstring(docstring)
    assert isinstance(description, str)
    assert all(isinstance(words, str) for words in arguments.values())
