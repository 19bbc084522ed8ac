"""Texts as answers are compared: without what does not matter, and word by word."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from typing import Final

__all__ = ("holds", "normalize_answer", "overlap")

# Signs go, but not those that make the number: 1.5 is not 15 and -3 is not 3.
_SIGN: Final = re.compile(
    rf"(?<=\d)[.](?=\d)|(?<![\w)])-(?=\d)|([{re.escape(string.punctuation)}])"
)
_ARTICLE: Final = re.compile(r"\b(a|an|the)\b")


def normalize_answer(text: str) -> str:
    """Return `text` in lower case, without punctuation, articles and extra space.

    The normal form of SQuAD (P. Rajpurkar et al., "SQuAD: 100,000+ questions for machine
    comprehension of text", EMNLP 2016, section 6.1), after Unicode NFD, with one difference: a
    decimal point and a minus sign stay. Text of nothing but signs or articles stays as it is.
    """
    plain = unicodedata.normalize("NFD", text).lower()
    bare = _SIGN.sub(lambda sign: "" if sign[1] else sign[0], plain)
    return " ".join(_ARTICLE.sub(" ", bare).split()) or " ".join(plain.split())


def holds(text: str, answer: str) -> bool:
    """Tell whether an answer occurs in a text as a run of whole words, both in normal form."""
    return f" {normalize_answer(answer)} " in f" {normalize_answer(text)} "


def overlap(given: str, answer: str) -> float:
    """Return the harmonic mean of precision and recall over words, repeated ones counted."""
    ours, theirs = normalize_answer(given).split(), normalize_answer(answer).split()
    common = (Counter(ours) & Counter(theirs)).total()
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0
