"""Texts compared by words and pieces of words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dspex.sandbox.similarity import Features, TextIndex, content_words, pieces_of, words_of

texts = st.lists(st.text("ab cdé_Z9", max_size=20), max_size=6)


def similar(index: TextIndex, text: str) -> list[float]:
    return [float(value) for value in index.similarities(Features.of(text))]


def test_identifiers_are_taken_apart() -> None:
    """Camel case and underscores separate words."""
    assert words_of("getEventLoop get_event_loop") == ["get", "event", "loop"] * 2


def test_function_words_say_nothing() -> None:
    """They are no content."""
    assert content_words("The cat is on the mat") == ["cat", "mat"]


@pytest.mark.parametrize(
    ("word", "pieces"), [("a", ["<a>"]), ("ab", ["<ab>"]), ("abcd", ["<abc", "abcd", "bcd>"])]
)
def test_pieces_mark_the_ends(word: str, pieces: list[str]) -> None:
    """Beginnings and endings are told from middles."""
    assert pieces_of(word) == pieces


class TestIndex:
    def test_same_text_is_closest(self) -> None:
        """A text has similarity 1 with itself and 0 with one that shares nothing."""
        index = TextIndex(["red apples", "blue sky"], word_share=0.5)
        assert similar(index, "red apples") == pytest.approx([1.0, 0.0])

    def test_rare_words_weigh_more(self) -> None:
        """Of two shared words the one that few texts hold decides."""
        index = TextIndex(["common rare", "common second", "common third"], word_share=1.0)
        values = similar(index, "common rare")
        assert values[0] > values[1] == pytest.approx(values[2])

    def test_pieces_join_word_forms(self) -> None:
        """Different forms of a word are alike by their pieces alone."""
        assert similar(TextIndex(["connection"], word_share=1.0), "connecting") == [0.0]
        assert similar(TextIndex(["connection"], word_share=0.0), "connecting")[0] > 0.3

    def test_unknown_words_lengthen_the_question(self) -> None:
        """The more of a text is foreign to the index, the less alike it is."""
        index = TextIndex(["red apples"], word_share=0.5)
        assert similar(index, "red apples xyzzy")[0] < similar(index, "red apples")[0]

    def test_holders(self) -> None:
        """Whole words are found, parts of words are not."""
        index = TextIndex(["a port", "support", "two ports, one port"], word_share=0.5)
        assert index.holders("port").tolist() == [0, 2]
        assert index.holders("xyzzy").tolist() == []

    def test_empty(self) -> None:
        """An index of nothing compares with nothing; empty texts are like none."""
        assert similar(TextIndex([], word_share=0.5), "a cat") == []
        assert similar(TextIndex(["", "cat"], word_share=0.5), "") == [0.0, 0.0]
        assert len(TextIndex(["", "cat"], word_share=0.5)) == 2

    @given(texts, st.text("ab cdé_Z9", max_size=20), st.floats(0, 1))
    def test_values_are_cosines(self, shown: list[str], asked: str, share: float) -> None:
        """Every similarity lies between 0 and 1."""
        values = TextIndex(shown, word_share=share).similarities(Features.of(asked))
        assert values.shape == (len(shown),)
        assert np.all((values >= 0) & (values <= 1 + 1e-9))

    @given(texts.filter(bool), st.floats(0, 1), st.data())
    def test_order_of_texts_does_not_matter(
        self, shown: list[str], share: float, data: st.DataObject
    ) -> None:
        """A text's similarity does not depend on where it stands."""
        asked = data.draw(st.sampled_from(shown))
        forward = similar(TextIndex(shown, word_share=share), asked)
        backward = similar(TextIndex(shown[::-1], word_share=share), asked)
        assert forward == pytest.approx(backward[::-1])
