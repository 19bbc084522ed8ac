"""Labelled records in prose, and the words that go with their labels."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from dspex.sandbox.associations import associate, find_associations, read_records
from dspex.sandbox.grammar import Rule

PAIRS = [
    ("the router drops packets", "network"),
    ("my invoice is wrong", "billing"),
    ("packets get lost", "network"),
    ("an invoice came twice", "billing"),
]
RECORDS = [{"text": text, "area": area} for text, area in PAIRS]

LAYOUTS = {
    "lines": "\n\n".join(f"Text: {text}\nArea: {area}" for text, area in PAIRS),
    "bullets": "\n".join(f"- **Text:** {text}\n- **Area:** {area}" for text, area in PAIRS),
    "headers": "\n".join(f"[[ ## text ## ]]\n{t}\n[[ ## area ## ]]\n{a}" for t, a in PAIRS),
    "titles": "\n".join(f"### Text\n{text}\n\n### Area\n{area}\n" for text, area in PAIRS),
    "json": json.dumps(RECORDS, indent=1),
    "json lines": "\n".join(json.dumps(record) for record in RECORDS),
    "python": str(RECORDS),
    "calls": "\n".join(f"Example(text={text!r}, area={area!r})" for text, area in PAIRS),
}


@pytest.mark.parametrize("layout", LAYOUTS)
class TestLayouts:
    def test_records_are_read(self, layout: str) -> None:
        """Each usual way of writing records gives the same ones."""
        assert read_records(LAYOUTS[layout]) == RECORDS

    def test_words_meet_their_labels(self, layout: str) -> None:
        """The word of two texts with one label is the strongest; no other names are paired."""
        found = find_associations(f"Look at these.\n\n{LAYOUTS[layout]}")
        strongest = {item.rule for item in found[:2]}
        assert strongest == {
            Rule("text", "packets", "area", "network"),
            Rule("text", "invoice", "area", "billing"),
        }
        assert {(i.rule.input_name, i.rule.output_name) for i in found} == {("text", "area")}


class TestRecords:
    def test_fact_corrects_a_record(self) -> None:
        """What the feedback says was right counts over what was answered."""
        shown = 'Text: x y\nArea: a\nFeedback: No. The correct area is "b".'
        assert read_records(shown)[0]["area"] == "b"

    def test_quotes_inside_values(self) -> None:
        """Escaped quotes belong to the value."""
        assert read_records(json.dumps({"text": 'say "hi"', "area": "a"})) == [
            {"text": 'say "hi"', "area": "a"}
        ]

    def test_prose_has_no_labels(self) -> None:
        """Text without recurring short values gives no association."""
        assert find_associations("Dear reader,\nnothing: here is\nto be: learned from this.") == []

    @given(st.text(max_size=300))
    def test_any_text_is_read(self, text: str) -> None:
        """No text makes the reader of records fail."""
        find_associations(text)


class TestAssociate:
    def test_word_of_all_labels_speaks_for_none(self) -> None:
        """A word that comes equally often with every label is left out."""
        found = associate([("same red", "a"), ("same blue", "b")], "text", "area")
        assert {item.rule.phrase for item in found} == {"red", "blue"}

    def test_more_texts_weigh_more(self) -> None:
        """A word seen twice with its label counts more than one seen once."""
        weights = {item.rule.phrase: item.weight for item in associate(PAIRS, "text", "area")}
        assert weights["invoice"] > weights["twice"] > 0

    def test_no_pairs(self) -> None:
        """Nothing follows from nothing."""
        assert associate([], "text", "area") == []
