"""How alike two texts are: words and pieces of words, the rarer the heavier.

A text becomes two vectors: its words without function words, and the four-letter pieces of those
words (so that "connect" meets "connection"). Each feature weighs `(1 + log n) * log(1 + N / df)`
(Salton and Buckley, 1988, with N texts of which df hold it); each vector has length 1; similarity
is a weighted mean of the two cosines. An index keeps the texts by feature, so a comparison costs
the features shared.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ("Features", "TextIndex", "content_words", "pieces_of", "words_of")

_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD: Final = re.compile(r"[^\W_]+")
_PIECE_CHARS: Final = 4

_FUNCTION_TEXT: Final = """
    a about after all also an and any are as at be because been before being but by can cannot
    could did do does each either else for from had has have he her his how i if in into is it
    its itself may me might more most must my no nor not of off on once only or other our out
    over own same shall she should so some such than that the their them then there these they
    this those to too under until up upon us use used using very was we were what when where
    which while who whom whose why will with within without would you your"""
_FUNCTION_WORDS: Final = frozenset(_FUNCTION_TEXT.split())


def words_of(text: str) -> list[str]:
    """Return the words of `text` in order and lower case, identifiers taken apart."""
    if not text.islower():
        text = _CAMEL.sub(" ", text).lower()

    return _WORD.findall(text)


def content_words(text: str) -> list[str]:
    """Return the words of `text` that are not function words."""
    return [word for word in words_of(text) if word not in _FUNCTION_WORDS]


def pieces_of(word: str) -> list[str]:
    """Return the four-letter pieces of a word with its ends marked; a short word is one piece."""
    marked = f"<{word}>"
    count = len(marked) - _PIECE_CHARS + 1
    return [marked[start : start + _PIECE_CHARS] for start in range(max(1, count))]


@dataclass(frozen=True, slots=True)
class Features:
    """How often each word (with a blank before it, which no piece has) and each piece occurs."""

    words: Counter[str]
    pieces: Counter[str]

    @classmethod
    def of(cls, text: str) -> Features:
        """Count the features of a text."""
        found = content_words(text)
        pieces: list[str] = []
        for word in found:
            pieces += pieces_of(word)

        return cls(Counter([f" {word}" for word in found]), Counter(pieces))


class TextIndex:
    """A fixed list of texts to compare others with.

    `word_share` is the weight of whole words in the similarity, from 0 to 1; pieces have the rest.
    Building is linear in the texts; memory is about 12 bytes per distinct feature of each text.
    """

    def __init__(self, texts: Iterable[str], *, word_share: float) -> None:
        """Index `texts`; their positions are their numbers."""
        counted = [Features.of(text) for text in texts]
        self._size = len(counted)
        self._shares = (math.sqrt(word_share), math.sqrt(1 - word_share))
        self._ids, self._idf = _inverse_frequencies(counted)
        self._starts, self._owners, self._weights = self._postings(counted)

    def __len__(self) -> int:
        """Return the number of texts."""
        return self._size

    def similarities(self, features: Features) -> NDArray[np.float64]:
        """Return the similarity to each text of the index, from 0 to 1."""
        if not self._size:
            return np.zeros(0)

        ids, weights = self._vector(features)
        starts = self._starts[ids]
        lengths = self._starts[ids + 1] - starts
        offsets = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        places = offsets + np.arange(len(offsets))
        products = self._weights[places] * np.repeat(weights, lengths)
        sums = np.bincount(self._owners[places], products, self._size)
        return sums.astype(np.float64, copy=False)

    def holders(self, word: str) -> NDArray[np.int64]:
        """Return the numbers of the texts that hold `word` as a whole word."""
        number = self._ids.get(f" {word}")
        if number is None:
            return np.zeros(0, np.int64)

        return self._owners[self._starts[number] : self._starts[number + 1]]

    def _postings(
        self, counted: Sequence[Features]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return, by feature: where its entries start, the texts, and the weights in them."""
        vectors = [self._vector(features) for features in counted]
        ids = np.concatenate([np.zeros(0, np.int64), *(vector[0] for vector in vectors)])
        weights = np.concatenate([np.zeros(0), *(vector[1] for vector in vectors)])
        owners = np.repeat(np.arange(self._size), [len(vector[0]) for vector in vectors])
        order = np.argsort(ids, kind="stable")
        counts = np.bincount(ids, minlength=len(self._ids))
        starts = np.concatenate(([0], np.cumsum(counts)))
        return starts, owners[order], weights[order]

    def _vector(self, features: Features) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the numbers of the features the index knows, and their weights.

        A feature that it does not know weighs as if one text had it: it only lengthens the vector.
        """
        get = self._ids.get
        words, pieces = features.words, features.pieces
        ids = np.array([get(name, -1) for name in (*words, *pieces)], np.int64)
        counts = np.array([*words.values(), *pieces.values()], np.float64)
        values = (1 + np.log(counts)) * self._idf[ids]
        _scale(values[: len(words)], self._shares[0])
        _scale(values[len(words) :], self._shares[1])
        known = ids >= 0
        return ids[known], values[known]


def _inverse_frequencies(
    counted: Sequence[Features],
) -> tuple[dict[str, int], NDArray[np.float64]]:
    """Return the number of each feature, and the weights by number, the last for unknown ones."""
    frequencies: Counter[str] = Counter()
    for features in counted:
        frequencies.update(features.words.keys())
        frequencies.update(features.pieces.keys())

    df = np.array([*frequencies.values(), 1], np.float64)
    return {name: number for number, name in enumerate(frequencies)}, np.log1p(len(counted) / df)


def _scale(values: NDArray[np.float64], length: float) -> None:
    """Give a vector this length in place, unless it is zero."""
    norm = math.sqrt(float(values @ values))
    if norm:
        values *= length / norm
