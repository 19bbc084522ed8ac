"""HTML that stays text whatever it is made of."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, strategies as st

from dspex.evaluation.reports.markup import join, page, tag


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(name)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.text += data


def read(markup: str) -> Reader:
    """Read some markup."""
    reader = Reader()
    reader.feed(markup)
    reader.close()
    return reader


@given(st.text(), st.text())
def test_text_and_attributes_stay_what_they_are(text: str, value: str) -> None:
    """No text opens an element, and no value ends its attribute."""
    found = read(tag("p", text, title=value))
    assert found.tags == ["p"]
    assert [name for name, _ in found.attributes] == ["title"]


@pytest.mark.parametrize("text", ["<b>", "a & b", "'\"", "&lt;", "</p><script>x</script>"])
def test_text_is_shown_as_it_is(text: str) -> None:
    """A reader sees exactly what was said."""
    assert read(tag("p", text)).text == text


def test_what_hides_is_made_visible() -> None:
    """Marks that turn the direction of text, and control characters, are shown as such."""
    assert tag("p", "a\u202eb\x1b[31m\0") == "<p>a\\u202eb\ufffd[31m\ufffd</p>"


def test_children() -> None:
    """Nothing, texts, elements and lists of them."""
    inner = [tag("b", "x"), "&", None]
    assert tag("p", None, inner, class_="a", hidden=True, id=None) == (
        '<p class="a" hidden><b>x</b>&amp;</p>'
    )
    assert join("a", ["b"]) == "ab"
    assert tag("br") == "<br>"


def test_page_forbids_everything() -> None:
    """A page may load and run nothing."""
    found = read(page("t<", "p{}", tag("p", "x")))
    policies = [value for _, value in found.attributes if value and "default-src" in value]
    assert "script" not in found.tags
    assert ["default-src 'none'"] == [policy.split(";")[0] for policy in policies]
