"""The repetition counter: spans that come again, whatever the chunks."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, strategies as st

from dspex.programs.streaming.repetition import RepetitionCounter


def repeats(text: str, span: int = 3, size: int = 7) -> int:
    counter = RepetitionCounter(span)
    for begin in range(0, len(text), size):
        counter.feed(text[begin : begin + size])

    return counter.most


class TestRepetitionCounter:
    def test_a_span_that_comes_again(self) -> None:
        """Three words, three times."""
        assert repeats("the same thing " * 3 + "end") == 3

    def test_different_text_repeats_nothing(self) -> None:
        """Every span is seen once."""
        assert repeats(" ".join(map(str, range(100)))) == 1

    def test_overlaps_do_not_count(self) -> None:
        """Six equal words hold a span of three twice."""
        assert repeats("no " * 6 + "x") == 2

    def test_other_text_between(self) -> None:
        """A refrain counts, wherever it stands."""
        assert repeats("la la land one two la la land three la la land end ") == 3

    def test_short_text_has_no_span(self) -> None:
        """Less than a span repeats nothing."""
        assert repeats("a a") == 0

    def test_the_last_word_waits_for_its_end(self) -> None:
        """It may go on in the next piece."""
        counter = RepetitionCounter(1)
        counter.feed("repeat repe")
        assert (counter.tokens, counter.most) == (1, 1)
        assert counter.feed("at ") == 2

    def test_scripts_without_spaces(self) -> None:
        """Their characters are the tokens."""
        assert repeats("猫が好き" * 3 + "。", span=4, size=5) == 3

    def test_a_word_without_an_end(self) -> None:
        """It counts by pieces, and costs no more than other text."""
        assert repeats("a" * 64 * 9 + " end ") == 3
        began = time.perf_counter()
        assert repeats("ab" * 200_000, size=4) > 1_000
        assert time.perf_counter() - began < 5.0

    def test_a_span_of_nothing(self) -> None:
        """Refused."""
        with pytest.raises(ValueError, match="span_tokens"):
            RepetitionCounter(0)

    @given(
        st.lists(st.sampled_from(["a", "b", "猫", " ", "\n"]), max_size=60).map("".join),
        st.integers(1, 9),
    )
    def test_chunking_makes_no_difference(self, text: str, size: int) -> None:
        """However the text is cut, the count is that of the whole."""
        assert repeats(text, size=size) == repeats(text, size=len(text) + 1)
