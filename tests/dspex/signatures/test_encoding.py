"""Values as plain JSON, the same in every process."""

from __future__ import annotations

import datetime
import enum
import json
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pydantic
import pytest

from dspex.signatures.encoding import digest, to_jsonable


class Colour(enum.Enum):
    RED = "red"


class Model(pydantic.BaseModel):
    when: datetime.date
    tags: set[str]


@dataclass
class Point:
    x: int
    colour: Colour


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("ä", "ä"),
        (Colour.RED, "red"),
        ((1, [2]), [1, [2]]),
        ({"b", "a", "c"}, ["a", "b", "c"]),
        (frozenset({3, 1}), [1, 3]),
        ({1: "a", Colour.RED: 2}, {"1": "a", "red": 2}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Point(1, Colour.RED), {"x": 1, "colour": "red"}),
        (
            Model(when=datetime.date(2026, 1, 2), tags={"b", "a"}),
            {"when": "2026-01-02", "tags": ["a", "b"]},
        ),
        (Decimal("1.10"), "1.10"),
        (b"x", "x"),
    ],
)
def test_values_become_plain_data(value: Any, expected: Any) -> None:
    """Every kind of field value has one JSON form."""
    assert to_jsonable(value) == expected
    json.dumps(to_jsonable(value))


def test_what_has_no_form_is_a_type_error() -> None:
    """The message shows the value."""
    with pytest.raises(TypeError, match="object"):
        to_jsonable({"a": [object()]})


@pytest.mark.parametrize("value", [2**70, "\ud800", {"b": 1, "a": 2}])
def test_digests_take_all_json(value: Any) -> None:
    """Big integers and lone surrogates too; the order of keys does not count."""
    assert len(digest(value)) == 64
    assert digest({"a": 2, "b": 1}) == digest({"b": 1, "a": 2})


@pytest.mark.slow
def test_digests_are_the_same_in_every_process() -> None:
    """Whatever the seed of Python's string hashes."""
    code = (
        "from dspex.signatures.encoding import *; print(digest(to_jsonable({'x': set('abcdef')})))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(found) == 1
