"""Outcomes as data: whatever a program answered, a line of JSON holds it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from dspex.errors import ErrorData, ErrorKind
from dspex.evaluation.outcome import Failure, Outcome, Stage, Status
from dspex.usage import Usage

KEY = "00000000000000ff"


def outcome(**changes: Any) -> Outcome:
    """Return an outcome with some of its fields set."""
    return Outcome(**{"index": 3, "key": KEY, "status": Status.SCORED, **changes})


failures = st.builds(
    Failure,
    st.text(),
    st.text(),
    stage=st.sampled_from(Stage),
    where=st.none() | st.text(),
    data=st.none() | st.builds(ErrorData, st.sampled_from(ErrorKind), st.text()),
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
outcomes = st.builds(
    Outcome,
    st.integers(0, 10**6),
    st.just(KEY),
    st.sampled_from(Status),
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    prediction=st.none() | st.dictionaries(st.text(), plain),
    failure=st.none() | failures,
    latency_s=st.floats(0, 1e6),
    usage=st.builds(Usage, input_tokens=st.integers(0, 10**9), cost_usd=st.just(Decimal("0.1"))),
    feedback=st.none() | st.text(),
    correlation_id=st.text(),
    retry=st.integers(0, 1),
)


class TestRoundTrip:
    @given(outcomes)
    def test_json_gives_the_same_outcome(self, original: Outcome) -> None:
        """A line that is read back is the outcome that was written."""
        assert Outcome.from_json(original.to_json()) == original

    @given(outcomes)
    def test_one_line(self, original: Outcome) -> None:
        """An outcome is one line, so that a file of them can be read line by line."""
        assert b"\n" not in original.to_json()

    def test_empty_fields_take_no_room(self) -> None:
        """What an outcome does not have is not written."""
        assert set(json.loads(outcome().to_json())) == {"index", "key", "status", "latency_s"}

    def test_unknown_fields_are_ignored(self) -> None:
        """A file written by a later version can still be read."""
        row = json.loads(outcome(score=1.0).to_json())
        assert Outcome.from_dict({**row, "mood": "good"}) == outcome(score=1.0)


class Answer(BaseModel):
    """A value that a typed field may hold."""

    text: str


LOOP: list[Any] = []
LOOP.append(LOOP)


class TestOddPredictions:
    @pytest.mark.parametrize(
        ("value", "read"),
        [
            (10**30, 10**30),
            ("\ud800", "\ud800"),
            (Answer(text="x"), {"text": "x"}),
            (Decimal("1.5"), "1.5"),
            ({1: "one"}, {"1": "one"}),
            (object, "<class 'object'>"),
        ],
    )
    def test_has_a_form(self, value: object, read: object) -> None:
        """Big integers, broken text, models and strange objects are written all the same."""
        line = outcome(prediction={"answer": value}).to_json()
        assert Outcome.from_json(line).prediction == {"answer": read}

    @pytest.mark.parametrize("value", [LOOP, {("a", "b"): 1}, {object(): 1}])
    def test_hopeless_value_does_not_lose_the_outcome(self, value: object) -> None:
        """A loop, or a key that is none, costs the value and not the outcome."""
        read = Outcome.from_json(outcome(prediction={"answer": value}, score=0.5).to_json())
        assert read.score == 0.5
        assert read.prediction is not None


class TestFailure:
    def test_shows_class_and_message(self) -> None:
        """Text for people says what happened."""
        assert str(Failure("KeyError", "'x'")) == "KeyError: 'x'"

    def test_without_message(self) -> None:
        """A class without a message stands alone."""
        assert str(Failure("CancelledError", "")) == "CancelledError"


class Unprintable:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __repr__(self) -> str:
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("no text"), SystemExit(3)])
def test_a_value_that_cannot_be_shown_costs_only_itself(error: BaseException) -> None:
    """The outcome is kept whatever the program answered."""
    line = outcome(prediction={"answer": Unprintable(error)}, score=1.0).to_json()

    kept = Outcome.from_json(line)
    assert kept.score == 1.0
    assert kept.prediction == {"answer": f"<cannot be shown: {type(error).__name__}>"}
