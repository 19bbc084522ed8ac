"""Content of messages: text, and parts where a value holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pydantic
import pytest

from dspex.adapters.contents import field_values, join, may_hold_field_types, render_content
from dspex.messages import Content, ImagePart, TextPart
from dspex.types import Code, Image

URL = "https://example.org/a.png"
PART = ImagePart(URL)


class Page(pydantic.BaseModel):
    images: dict[str, Image] = {}
    parent: Page | None = None


class Plain(pydantic.BaseModel):
    text: str
    parent: Plain | None = None


@dataclass(frozen=True)
class Sheet:
    image: Image | None = None


@dataclass(frozen=True)
class Nothing:
    pass


@pytest.mark.parametrize(
    ("contents", "joined"),
    [
        ([], ""),
        (["a", "b"], "a, b"),
        (["a", (PART,), "b"], (TextPart("a, "), PART, TextPart(", b"))),
        ([(PART,), (PART,)], (PART, TextPart(", "), PART)),
        ([(TextPart("a"),), "b"], "a, b"),
        ([(TextPart("a"), PART), ""], (TextPart("a"), PART, TextPart(", "))),
    ],
)
def test_contents_are_joined(contents: Sequence[Content], joined: Content) -> None:
    """Text next to text is one; text alone is a plain text."""
    assert join(contents, ", ") == joined


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("text", "text"),
        ([1, None], "[1, null]"),
        (Image(URL), (PART,)),
        ([Image(URL), 1], (TextPart("["), PART, TextPart(", 1]"))),
        ({"a": Image(URL)}, (TextPart('{"a": '), PART, TextPart("}"))),
        (Sheet(Image(URL)), (TextPart('{"image": '), PART, TextPart("}"))),
        (
            Page(images={"a": Image(URL)}),
            (TextPart('{"images": {"a": '), PART, TextPart('}, "parent": null}')),
        ),
        (Code("x", "python"), "```python\nx\n```"),
        ([Code("x", "python")], '["```python\\nx\\n```"]'),
    ],
)
def test_values_with_parts_in_them(value: Any, content: Content) -> None:
    """JSON goes on around each part."""
    assert render_content(value) == content


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Image, True),
        (Image | None, True),
        (list[dict[str, Image]], True),
        (Code, True),
        (Page, True),
        (Sheet, True),
        (Any, True),
        (object, True),
        (str, False),
        (list[str] | None, False),
        (Plain, False),
        (Nothing, False),
        (int, False),
    ],
)
def test_which_types_may_hold_them(annotation: Any, expected: bool) -> None:
    """However deep, and through types that hold themselves."""
    assert may_hold_field_types(annotation) is expected


def test_the_values_in_a_value() -> None:
    """All of them, in order."""
    first = Image(URL)
    second: Code[Any] = Code("x")

    assert list(field_values([first, {"a": (second, "text")}, 3])) == [first, second]
