"""JSON in a model's text: strict, fenced, among words, broken, hostile."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.adapters.loose_json import json_candidates, read_json, takes_long

_TEXT = st.text(st.characters(codec="utf-8"))
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (' {"a": 1} ', {"a": 1}),
        ('Sure:\n```json\n{"a": 1}\n```', {"a": 1}),
        ("```\n[1, 2]\n```\nDone.", [1, 2]),
        ('{"a": 1', {"a": 1}),
        ("{'a': None, b: True,}", {"a": None, "b": True}),
        ('{"a": "one\ntwo"}', {"a": "one\ntwo"}),
        ('{"a": "half\\', {"a": "half"}),
        ('{"a": "half\\u00', {"a": "half"}),
        ('{"a": "whole\\\\', {"a": "whole\\"}),
        ("3", 3),
        ("null", None),
    ],
)
def test_what_is_read(text: str, value: Any) -> None:
    """Strictly where it can be, else without what stands around it, else repaired."""
    assert read_json(text) == value


@pytest.mark.parametrize("text", ["", "nothing here", "a } b", "\ud800", "[" * 1_000])
def test_what_is_none(text: str) -> None:
    """Nothing is made up."""
    with pytest.raises(ValueError, match="no JSON"):
        read_json(text)


def test_candidates_come_in_order() -> None:
    """JSON, then a Python literal, then the text as it stands."""
    assert list(json_candidates("[1]")) == [[1], [1], [1], [1], "[1]"]
    assert next(json_candidates("{'a'}")) == {"a"}
    assert list(json_candidates("word")) == ["word"]


@given(_JSON.filter(lambda value: isinstance(value, (list, dict))))
def test_json_between_fences_is_read_to_the_letter(value: Any) -> None:
    """However large, for nothing is repaired."""
    text = json.dumps(value)

    assert read_json(f"Here it is:\n```json\n{text}\n```\nDone.") == value


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "{",
        '{"a":',
        "[{'a': '",
        "{a:b,",
        "{a: tru}",
        "{a: tru ",
        "[]{",
        '"a\\"',
        "``` {",
        "{``` ",
    ],
)
def test_hostile_text_does_not_take_long(unit: str) -> None:
    """Brackets opened and never closed cost a repair seconds; they are not repaired."""
    began = time.process_time()
    for size in (19_000, 300_000):
        for _ in json_candidates("x" + unit * (size // len(unit))):
            pass

    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    ("text", "long"),
    [
        ("{" * 1_000, False),
        ("{a b c " * 200, True),
        ("[1, 2]" * 200, True),
        ("[[ ## answer ## ]]\n" + "word " * 1_000, False),
        ("word " * 2_000, True),
    ],
)
def test_what_may_take_long(text: str, long: bool) -> None:
    """What is long, and what has brackets that may have to be repaired."""
    assert takes_long(text) is long
