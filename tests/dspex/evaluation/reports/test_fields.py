"""Differences field by field."""

from __future__ import annotations

from dspex.evaluation.outcome import Outcome, Status
from dspex.evaluation.reports.fields import Fields, labels_of
from dspex.signatures.example import Example


def outcome(index: int, **predicted: object) -> Outcome:
    """Make a scored outcome."""
    return Outcome(index, "0" * 16, Status.SCORED, score=1.0, prediction=predicted)


def test_counts_and_keeps_a_few() -> None:
    """Equal as exact_match sees it; the first five that differ are kept; the worst field first."""
    fields = Fields()
    for index in range(20):
        example = Example(q="?", a="Yes!", b=index, c="unseen").with_inputs("q")
        fields.compare(outcome(index, a="yes", b=index if index < 5 else -1, other=1), example)

    worse, better = fields.differences()
    assert fields.compared == 20
    assert (better.name, better.compared, better.equal) == ("a", 20, 20)
    assert (worse.name, worse.equal, len(worse.mismatches)) == ("b", 5, 5)
    assert (worse.mismatches[0].index, worse.mismatches[0].predicted) == (5, -1)


def test_fields_are_bounded() -> None:
    """Forty fields are enough for a page."""
    fields = Fields()
    names = {f"f{n}": n for n in range(90)}
    fields.compare(outcome(0, **names), Example(q=1, **names).with_inputs("q"))
    assert len(fields.differences()) == 40


def test_labels() -> None:
    """Without knowing the inputs nothing is a label."""
    assert labels_of(Example(a=1)) == {}
    assert labels_of(Example(q=1, a=2).with_inputs("q")) == {"a": 2}
