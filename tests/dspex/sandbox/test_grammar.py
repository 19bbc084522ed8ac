"""Sentences in, rules out, and back."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.sandbox.grammar import Rule, normal_name, read_facts, read_rules, write_rules

SOCKET = Rule("text", "socket", "area", "networking")
names = st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,5})?", fullmatch=True)
quoted = st.text(st.characters(blacklist_characters='"\n\r', codec="ascii"), min_size=1, max_size=9)
rules = st.builds(Rule, names, quoted.map(str.lower), names, quoted)


class TestRules:
    @pytest.mark.parametrize(
        "sentence",
        [
            'If the text mentions "socket", the area is "networking".',
            'if the text mentions "Socket", the area is "networking"',
            'If the `text` mentions "socket", the `area` is "networking".',
            'Rules: 1. If the Text mentions "socket", the Area is "networking". Be brief.',
        ],
    )
    def test_forms(self, sentence: str) -> None:
        """Case, back ticks and what stands around do not matter."""
        assert read_rules(sentence) == (SOCKET,)

    @pytest.mark.parametrize(
        "joined", ['"a" or "b" or "c"', '"a", "b", or "c"', '"a", "b" or "c"', '"a", "b", "c"']
    )
    def test_several_phrases(self, joined: str) -> None:
        """One sentence may name several phrases."""
        found = read_rules(f'If the text mentions {joined}, the area is "x".')
        assert [rule.phrase for rule in found] == ["a", "b", "c"]

    def test_names_of_several_words(self) -> None:
        """An underscore may be written as a space."""
        found = read_rules('If the full text mentions "a b", the main area is "c d".')
        assert found == (Rule("full_text", "a b", "main_area", "c d"),)

    @pytest.mark.parametrize(
        "sentence",
        [
            "",
            "If the text mentions socket, the area is networking.",
            'The text mentions "socket".',
            'If the text mentions "socket" the area is "networking".',
            'If the text mentions "", the area is "networking".',
            'If the text mentions "so\ncket", the area is "networking".',
        ],
    )
    def test_other_sentences_are_passed_over(self, sentence: str) -> None:
        """What is not in the grammar is no rule, and no error."""
        assert read_rules(sentence) == ()

    @given(st.lists(rules, max_size=8))
    def test_written_rules_are_read_back(self, stated: list[Rule]) -> None:
        """Writing groups rules by label but loses none."""
        assert set(read_rules(write_rules(stated))) == set(stated)

    def test_repeats_are_dropped(self) -> None:
        """The same rule twice is one rule."""
        assert read_rules(write_rules([SOCKET]) * 2) == (SOCKET,)


class TestFacts:
    @pytest.mark.parametrize(
        "sentence",
        ['The area is "x".', 'Wrong: the correct area is "x"', 'the expected `area` is "x"'],
    )
    def test_forms(self, sentence: str) -> None:
        """A fact may say that it corrects something."""
        assert read_facts(sentence) == {"area": "x"}

    def test_the_end_of_a_rule_is_no_fact(self) -> None:
        """Rules state what holds under a condition only."""
        assert read_facts(write_rules([SOCKET])) == {}

    def test_last_fact_counts(self) -> None:
        """What is said later corrects what was said before."""
        assert read_facts('The area is "x". The area is "y".') == {"area": "y"}


def test_normal_name() -> None:
    """Names compare without case and with one kind of blank."""
    assert normal_name(" Main  Area ") == "main_area"
