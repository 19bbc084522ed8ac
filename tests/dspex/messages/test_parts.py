"""Parts of a turn: what they may be made of."""

from __future__ import annotations

import pytest

from dspex.messages import AudioPart, FilePart, ImagePart, Message, TextPart


class TestFilePart:
    def test_by_url_or_by_id(self) -> None:
        """One of them."""
        assert FilePart("https://x/y.pdf").file_id is None
        assert FilePart(file_id="file-1").url is None

    @pytest.mark.parametrize("names", [{}, {"url": "u", "file_id": "f"}], ids=["none", "both"])
    def test_neither_none_nor_both(self, names: dict[str, str]) -> None:
        """The values are shown."""
        with pytest.raises(ValueError, match="by a url or by a file_id"):
            FilePart(**names)  # type: ignore[arg-type]  # what a careless caller does


def test_the_text_of_a_turn_leaves_other_parts_out() -> None:
    """Only text is text."""
    parts = (TextPart("a"), ImagePart("u"), AudioPart("", "wav"), FilePart("u"), TextPart("b"))
    assert Message("user", parts).text == "ab"
