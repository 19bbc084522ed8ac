"""Documents that may be cited, and what was cited."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.messages import Choice, Citation, Compat, FilePart, Sampling
from dspex.types import Citations, Document
from dspex.types.media import read_data_url


@given(st.text(), st.none() | st.text())
def test_a_document_is_read_back(text: str, title: str | None) -> None:
    """From its JSON form and from its text."""
    document = Document(text, title=title)

    assert Document.from_json(document.to_json()) == document
    assert Document.parse(document.as_text()) == document


def test_a_document_is_a_file_of_text() -> None:
    """Whose passages may be cited."""
    part = Document("All of it.", title="law").render()[0]

    assert isinstance(part, FilePart)
    assert (part.name, part.citations) == ("law", True)
    assert read_data_url(part.url or "") == ("text/plain", b"All of it.")


def test_a_bare_text_is_a_document() -> None:
    """Without a title."""
    assert Document.from_json("All of it.") == Document("All of it.")
    assert Document.parse("{broken") == Document("{broken")


class TestCitations:
    def test_they_are_read_as_the_model_writes_them(self) -> None:
        """Objects with text and source, or bare passages."""
        found = Citations.parse('[{"text": "a", "source": "law"}, "b"]')

        assert found.items == (Citation("a", source="law"), Citation("b"))
        assert Citations.parse(found.as_text()) == found
        assert Citations.from_json(found.items) == found

    @pytest.mark.parametrize(
        "wrong", ["nothing", "3", "{}", '[{"source": "x"}]', '[{"text": "a", "z": 1}]', "[3]"]
    )
    def test_what_is_none(self, wrong: Any) -> None:
        """The message says what is wanted."""
        with pytest.raises(ValueError, match="passage"):
            Citations.parse(wrong)

    def test_the_provider_s_own(self) -> None:
        """Where it cites by itself, these are they, be it none."""
        cited = Citation("a", source="law", start=3, end=4)

        assert Citations.travels_natively(Compat(citations=True), Sampling())
        assert not Citations.travels_natively(Compat(), Sampling())
        assert Citations.from_choice(Choice("x", citations=(cited,))) == Citations((cited,))
        assert Citations.from_choice(Choice("x")) == Citations()
