"""Sections of an answer: found however the model wrote their headers."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.adapters.sections import fold_name, header, split_sections

_NAMES = {"reasoning": "reasoning", "final_answer": "final_answer"}


@pytest.mark.parametrize(
    "text",
    [
        "[[ ## reasoning ## ]]\nwhy\n\n[[ ## final_answer ## ]]\n42\n\n[[ ## completed ## ]]",
        "[[ ## reasoning ## ]]\nwhy\n[[ ## final_answer ## ]]\n42",
        "[[ ## reasoning ## ]] why [[ ## final_answer ## ]] 42 [[ ## completed ## ]]",
        "[[ ## Reasoning ## ]]\nwhy\n[[ ## FINAL_ANSWER ## ]]\n42\n[[ ## Completed ## ]]\nbye",
        "[[##reasoning##]]\nwhy\n[[##  final answer  ##]]\n42",
        "[[ ## Reasoning ]]\nwhy\n[ ## final-answer ## ]\n42",
        "Sure!\n[[ ## reasoning ## ]]\nwhy\n[[ ## final_answer ## ]]\n42\n[[ ## note ## ]]\nx",
        "  [[ ## reasoning ## ]]\n  why\n  **[[ ## final_answer ## ]]**\n42",
        "[[ ## reasoning ## ]]\r\nwhy\r\n\r\n[[ ## final_answer ## ]]\r\n42\r\n",
        "[[ ## final_answer ## ]]\n42\n[[ ## reasoning ## ]]\nwhy\n[[ ## completed ## ]]",
        "[[ ## reasoning ## ]]\nwhy\n[[ ## final_answer ## ]]\n42\n[[ ## final_answer ## ]]\n43",
    ],
)
def test_headers_in_many_forms(text: str) -> None:
    """Case, spacing, brackets, order, repetition, chatter and a missing end do no harm."""
    found = split_sections(text, _NAMES)

    assert {name: value.strip("*\n ") for name, value in found.items()} == {
        "reasoning": "why",
        "final_answer": "42",
    }


def test_a_header_that_is_only_talked_about() -> None:
    """Inside a line it is none, as long as the real one begins a line."""
    text = (
        "[[ ## reasoning ## ]]\nThen I fill [[ ## final_answer ## ]] with it.\n"
        "[[ ## final_answer ## ]]\n42\n[[ ## completed ## ]]"
    )

    assert split_sections(text, _NAMES) == {
        "reasoning": "Then I fill [[ ## final_answer ## ]] with it.",
        "final_answer": "42",
    }


def test_what_is_not_there_is_left_out() -> None:
    """Nothing is guessed."""
    assert split_sections("no sections at all", _NAMES) == {}
    assert split_sections("[[ ## reasoning ## ]]\nwhy", _NAMES) == {"reasoning": "why"}


def test_nothing_counts_behind_the_end() -> None:
    """A model that goes on talking does not add fields."""
    text = "[[ ## reasoning ## ]]\na\n[[ ## completed ## ]]\n[[ ## final_answer ## ]]\nb"

    assert split_sections(text, _NAMES) == {"reasoning": "a"}


def test_a_field_may_be_called_like_the_end_marker() -> None:
    """The first such header is the field, the second the end."""
    text = "[[ ## completed ## ]]\nyes\n\n[[ ## completed ## ]]\nbye"

    assert split_sections(text, {"completed": "completed"}) == {"completed": "yes"}


def test_names_that_differ_in_case_alone() -> None:
    """They are told apart when they are written exactly."""
    names = {"a": "a", "A": "A"}

    assert split_sections("[[ ## a ## ]]\n1\n[[ ## A ## ]]\n2", names) == {"a": "1", "A": "2"}


@given(st.text(alphabet="[]# \t\nab", max_size=300))
def test_any_text_can_be_split(text: str) -> None:
    """Whatever comes, what is found is part of it and asked for."""
    found = split_sections(text, {"a": "a", "b": "b"})

    assert found.keys() <= {"a", "b"}
    assert all(value in text for value in found.values())


@pytest.mark.parametrize("unit", ["[[ # a ", "[[ ## a b ", "[ #", "[[ ## " + " " * 50])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    """Half-written headers by the hundred thousand are read at once (the test would time out)."""
    assert split_sections(unit * 20_000 + " " * 100_000, _NAMES) == {}


def test_headers_and_folded_names() -> None:
    """How a header is written, and how names are compared."""
    assert header("x") == "[[ ## x ## ]]"
    assert fold_name(" Final  Answer ") == fold_name("final-answer") == "final_answer"
