"""Examples: inputs and labels, copies, JSON, digests."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from dspex.errors import DatasetError
from dspex.signatures.example import Example
from dspex.signatures.record import Record


@pytest.fixture
def example() -> Example:
    return Example(question="1+1", answer="2", note=None).with_inputs("question")


def test_inputs_and_labels_share_the_values(example: Example) -> None:
    """What is not an input is a label."""
    assert example.inputs() == {"question": "1+1"}
    assert example.labels() == {"answer": "2", "note": None}
    assert example.input_names == frozenset({"question"})


def test_inputs_must_be_declared() -> None:
    """Nobody guesses which fields are given; the message says what to write."""
    for ask in (Example.inputs, Example.labels):
        with pytest.raises(DatasetError, match="with_inputs"):
            ask(Example(a=1))


def test_an_unknown_input_is_refused() -> None:
    """It is named."""
    with pytest.raises(DatasetError, match="'b'"):
        Example(a=1).with_inputs("a", "b")


def test_a_field_may_be_called_like_a_method() -> None:
    """`labels` is a method by attribute and the field by name."""
    example = Example(labels=["x"], inputs="y").with_inputs("inputs")

    assert example["labels"] == ["x"]
    assert example.inputs() == {"inputs": "y"}
    assert example.labels() == {"labels": ["x"]}


def test_copies_keep_what_they_do_not_change(example: Example) -> None:
    """Values and input names are changed apart from each other; the original stays."""
    assert example.with_values(answer="3").inputs() == {"question": "1+1"}
    assert example.with_values(answer="3").answer == "3"
    assert example.without("question", "zz").input_names == frozenset()
    assert Example(example, more=1).input_names == frozenset({"question"})
    assert example.answer == "2"


def test_equality_covers_input_names(example: Example) -> None:
    """The same values with other inputs are another example; a record is no example."""
    assert example != example.with_inputs("answer")
    assert example == Example(question="1+1", answer="2", note=None).with_inputs("question")
    assert example != Record(example)
    assert len({example, example.with_inputs("question")}) == 1


def test_digests_follow_the_content(example: Example) -> None:
    """Values and input names count, the order of the fields does not."""
    shuffled = Example(note=None, answer="2", question="1+1").with_inputs("question")

    assert example.digest() == shuffled.digest()
    assert example.digest() != example.with_values(answer="3").digest()
    assert example.digest() != example.with_inputs("answer").digest()
    assert example.digest() == example.digest()


def test_a_value_without_a_json_form_is_named() -> None:
    """Saving and digesting say which field is the trouble."""
    with pytest.raises(DatasetError, match="'b'"):
        Example(a=1, b=object()).digest()


def test_it_travels_by_json_and_pickle(example: Example) -> None:
    """Both bring back an equal example."""
    for one in (example, Example(a=[1], b={"c": None})):
        assert Example.from_dict(one.to_dict()) == one
        assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize("data", [{}, {"values": 3, "inputs": None}, {"values": {}, "inputs": "a"}])
def test_foreign_data_is_refused(data: dict[str, object]) -> None:
    """What is no example is a DatasetError."""
    with pytest.raises(DatasetError, match="not an example"):
        Example.from_dict(data)


def test_it_is_shown_as_it_is_written(example: Example) -> None:
    """The repr builds an equal example."""
    assert eval(repr(example)) == example


def test_a_field_may_be_called_self() -> None:
    """The methods that take values by name leave every name to the values."""
    assert Example(self=1, base=2).with_values(self=3)["self"] == 3


@pytest.mark.parametrize("base", ["a question", ["question"], 3, ("question", "x")])
def test_what_has_no_names_is_no_example(base: Any) -> None:
    """The message shows what was given and says what to write."""
    with pytest.raises(TypeError, match=r"named values are wanted, got .* give a dict"):
        Example(base)
