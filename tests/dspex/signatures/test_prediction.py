"""Predictions: fields, usage, completions, repairs."""

from __future__ import annotations

import pickle

import pytest

from dspex.signatures.prediction import Prediction, Repair
from dspex.signatures.record import Record
from dspex.usage import Usage

_USAGE = Usage(input_tokens=3, calls=2)


@pytest.fixture
def prediction() -> Prediction:
    return Prediction.of(
        {"answer": "a"},
        _USAGE,
        repairs=(Repair("it was empty", ""),),
        completions=(Prediction(answer="a"), Prediction(answer="b")),
    )


def test_it_has_fields_and_circumstances(prediction: Prediction) -> None:
    """Fields by attribute; usage, repairs and completions beside them."""
    assert prediction.answer == "a"
    assert prediction.usage is _USAGE
    assert prediction.repairs[0].problem == "it was empty"
    assert [other.answer for other in prediction.completions] == ["a", "b"]


def test_a_plain_one_is_its_own_only_completion() -> None:
    """Whoever loops over completions need not ask how many were wanted."""
    prediction = Prediction(answer="a")

    assert prediction.completions == (prediction,)
    assert prediction.usage == Usage()
    assert prediction.repairs == ()


def test_equality_is_that_of_the_fields(prediction: Prediction) -> None:
    """What it cost does not make it another answer; a record is no prediction."""
    assert prediction == Prediction(answer="a")
    assert hash(prediction) == hash(Prediction(answer="a"))
    assert prediction != Record(answer="a")


def test_usage_is_changed_in_a_copy(prediction: Prediction) -> None:
    """The copy keeps all else; the same usage gives the same object."""
    other = prediction.with_usage(Usage(calls=9))

    assert (other.usage.calls, prediction.usage.calls) == (9, 2)
    assert other.repairs == prediction.repairs
    assert prediction.with_usage(_USAGE) is prediction


def test_it_travels_by_json_and_pickle(prediction: Prediction) -> None:
    """Circumstances included."""
    for copy in (
        Prediction.from_dict(prediction.to_dict()),
        pickle.loads(pickle.dumps(prediction)),
    ):
        assert copy == prediction
        assert copy.usage == prediction.usage
        assert copy.repairs == prediction.repairs
        assert copy.completions == prediction.completions


def test_reserved_names_are_those_it_uses() -> None:
    """An output of that name could not be reached by attribute."""
    assert {"usage", "completions", "repairs", "to_dict"} <= Prediction.RESERVED
    assert "answer" not in Prediction.RESERVED


def test_it_cannot_be_changed(prediction: Prediction) -> None:
    """Neither fields nor circumstances."""
    for name in ("answer", "usage", "anything"):
        with pytest.raises(AttributeError):
            setattr(prediction, name, 1)
