"""Reading prompts: tolerant of sentences, exact about values."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.sandbox.prompt import (
    Demo,
    read_demos,
    read_question,
    read_sections,
    split_messages,
)
from tests.dspex.sandbox.chat import section

REMINDER = "Answer with `[[ ## area ## ]]`, then `[[ ## completed ## ]]`."


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


class TestSections:
    def test_values_reach_to_the_next_header(self) -> None:
        """A value may have many lines; the end marker is no section."""
        text = "note\n[[ ## a ## ]]\none\n\ntwo\n[[ ## b ## ]] three\n[[ ## completed ## ]]\n"
        assert read_sections(text) == {"a": "one\n\ntwo", "b": "three"}

    def test_header_inside_a_line_is_text(self) -> None:
        """Only a header that starts a line begins a section."""
        assert read_sections("[[ ## a ## ]]\nsee [[ ## b ## ]]") == {"a": "see [[ ## b ## ]]"}

    @given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(max_size=20)))
    def test_what_was_written_is_read(self, values: dict[str, str]) -> None:
        """Values without headers of their own come back stripped."""
        values = {name: text.replace("[", "") for name, text in values.items()}
        values.pop("completed", None)
        text = "\n\n".join(section(name, value) for name, value in values.items())
        assert read_sections(text) == {name: value.strip() for name, value in values.items()}


class TestQuestion:
    def test_outputs_come_from_the_last_paragraph(self) -> None:
        """The reminder names the outputs and is no part of the last input."""
        question = read_question(f"{section('text', 'a')}\n\n{REMINDER}", asks_json=False)
        assert question.inputs == {"text": "a"}
        assert question.outputs == ("area",)
        assert not question.as_json

    def test_order_is_kept_and_inputs_are_left_out(self) -> None:
        """Outputs come in the order named, once each."""
        reminder = "From `[[ ## text ## ]]` make [[ ## z ## ]], [[ ## a ## ]], not [[ ## z ## ]]."
        question = read_question(f"{section('text', 'x')}\n\n{reminder}", asks_json=False)
        assert question.outputs == ("z", "a")

    def test_last_paragraph_without_names_is_part_of_the_value(self) -> None:
        """An input may end in any paragraph."""
        question = read_question(section("text", "one\n\ntwo"), asks_json=False)
        assert question.inputs == {"text": "one\n\ntwo"}
        assert question.outputs == ()

    def test_text_without_sections_is_one_input(self) -> None:
        """A plain question is an input without a name."""
        assert read_question("hello", asks_json=False).inputs == {"": "hello"}

    def test_json(self) -> None:
        """Beside the word JSON, names stand in back ticks."""
        reminder = "Respond with a JSON object: `a`, then `b` (from `text`)."
        question = read_question(f"{section('text', 'x')}\n\n{reminder}", asks_json=False)
        assert question.as_json
        assert question.outputs == ("a", "b")

    def test_turns_after_the_question_do_not_count(self) -> None:
        """A complaint about an answer leaves the question where it was."""
        messages = [user(section("t", "1")), assistant("?"), user("Again, please.")]
        assert split_messages(messages) == ([], section("t", "1"))

    def test_no_sections_anywhere(self) -> None:
        """Then the last message is the question."""
        messages = [user("a"), assistant("b"), user("c")]
        assert split_messages(messages) == (messages[:2], "c")


class TestDemos:
    def test_pairs(self) -> None:
        """A user turn and the assistant turn after it are a demonstration."""
        messages = [
            {"role": "system", "content": section("t", "{t}")},
            user("Here some parts are missing.\n\n" + section("t", "1")),
            assistant(section("a", "x") + "\n\n[[ ## completed ## ]]"),
            user(section("t", "2")),
            assistant('{"a": "y", "n": 3, "sure": true}'),
        ]
        assert read_demos(messages) == (
            Demo({"t": "1"}, {"a": "x"}),
            Demo({"t": "2"}, {"a": "y", "n": "3", "sure": "True"}),
        )

    def test_question_of_a_history_turn_loses_its_reminder(self) -> None:
        """Earlier turns may carry a reminder too."""
        messages = [user(f"{section('t', '1')}\n\n{REMINDER}"), assistant(section("area", "x"))]
        assert read_demos(messages) == (Demo({"t": "1"}, {"area": "x"}),)

    @pytest.mark.parametrize("turns", [[assistant("x")], [user(section("t", "1"))], []])
    def test_half_a_pair_is_none(self, turns: list[dict[str, str]]) -> None:
        """Without its other half a turn shows nothing."""
        assert read_demos(turns) == ()

    def test_broken_json_shows_nothing(self) -> None:
        """An answer that is neither sections nor JSON has no outputs."""
        assert read_demos([user(section("t", "1")), assistant("{oops")]) == (Demo({"t": "1"}, {}),)
