"""Reasoning: a text, or the model's own thinking."""

from __future__ import annotations

import pickle

import pytest

from dspex.messages import Choice, Compat, Sampling
from dspex.types import Reasoning

THINKS = Compat(reasoning_field="reasoning")


def test_it_is_a_text() -> None:
    """In every way."""
    assert Reasoning.parse(" why ") == " why "
    assert Reasoning("why").render() == Reasoning("why").to_json() == "why"
    assert type(pickle.loads(pickle.dumps(Reasoning("why")))) is Reasoning


@pytest.mark.parametrize(
    ("compat", "sampling", "expected"),
    [
        (THINKS, Sampling(reasoning_effort="low"), True),
        (THINKS, Sampling(reasoning_tokens=1_000), True),
        (Compat(replay_reasoning=True), Sampling(reasoning_effort="high"), True),
        (THINKS, Sampling(reasoning_effort="none"), False),
        (THINKS, Sampling(), False),
        (Compat(), Sampling(reasoning_effort="high"), False),
    ],
)
def test_when_it_is_the_model_s_own(compat: Compat, sampling: Sampling, expected: bool) -> None:
    """The call asks for it and the endpoint hands it out."""
    assert Reasoning.travels_natively(compat, sampling) is expected


def test_it_is_read_from_the_answer() -> None:
    """None where the provider gave none."""
    assert Reasoning.from_choice(Choice("x", reasoning="why")) == "why"
    assert Reasoning.from_choice(Choice("x")) is None
