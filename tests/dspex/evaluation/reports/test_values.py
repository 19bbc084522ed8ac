"""Values on a page."""

from __future__ import annotations

from dspex.evaluation.reports.values import against, plain, short, shown


class Hidden:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError


def test_plain() -> None:
    """Texts stay, the rest is JSON, and what is neither is shown as Python does."""
    assert plain("a") == "a"
    assert plain([1, "x"]) == '[\n 1,\n "x"\n]'
    assert plain({"a": None}) == '{\n "a": null\n}'
    assert plain(Hidden()) == "<cannot be shown: ValueError>"


def test_short() -> None:
    """One line, cut."""
    assert short("a\n b" * 99, 10) == "a ba ba..."


def test_long_values_are_cut_and_counted() -> None:
    """The rest is counted."""
    assert "… 1,000 more characters" in shown("x" * 3_000)
    assert "(empty)" in shown("")


def test_words_that_differ_are_marked() -> None:
    """In texts that have much in common only."""
    expected, predicted = against("it is in the north", "it was in the north")
    assert "<ins>is </ins>" in expected
    assert "<del>was </del>" in predicted
    for left, right in (("a b c d", "w x y z"), ("yes", "no"), ("x " * 500, "x " * 499)):
        assert "<ins>" not in "".join(against(left, right))


def test_marked_text_is_escaped() -> None:
    """What differs is text, too."""
    _, predicted = against("one two three four", "one two <b> four")
    assert "<del>&lt;b&gt; </del>" in predicted
