"""Records: values by attribute and by name, immutable, compared by value."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given, strategies as st

from dspex.signatures.record import Record


def test_values_by_attribute_and_by_name() -> None:
    """Both ways give the same; dict() and ** give all."""
    record = Record(a=1, b="x")

    assert record.a == record["a"] == 1
    assert dict(record) == {**record} == {"a": 1, "b": "x"}
    assert list(record) == ["a", "b"]
    assert ("a" in record, "c" in record, len(record)) == (True, False, 2)
    assert record.get("c", 3) == 3
    assert list(record.items()) == [("a", 1), ("b", "x")]


def test_a_base_and_more() -> None:
    """A record starts from a mapping or another record; keywords win."""
    assert Record(Record({"a": 1}, b=2), b=3) == Record(a=1, b=3)


def test_fields_win_over_names_of_the_mapping() -> None:
    """A field called `items` is the field."""
    record = Record(items=["x"], values=3)

    assert record.items == ["x"]
    assert record.values == 3
    assert record["items"] == ["x"]


def test_what_is_missing_is_named() -> None:
    """With what there is."""
    with pytest.raises(AttributeError, match="no 'c': it has a, b"):
        _ = Record(a=1, b=2).c
    with pytest.raises(KeyError, match="'c'"):
        _ = Record(a=1, b=2)["c"]


def test_it_cannot_be_changed() -> None:
    """Neither set nor deleted."""
    record = Record(a=1)

    with pytest.raises(AttributeError, match="immutable"):
        record.a = 2
    with pytest.raises(AttributeError, match="immutable"):
        del record.a
    assert record == Record(a=1)


def test_the_base_is_copied() -> None:
    """Later changes to the mapping it came from do not show."""
    base = {"a": 1}
    record = Record(base)
    base["a"] = 2

    assert record.a == 1


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.recursive(
            st.one_of(st.integers(), st.text(), st.none(), st.booleans(), st.floats()),
            lambda inner: st.one_of(
                st.lists(inner), st.tuples(inner), st.dictionaries(st.text(), inner)
            ),
            max_leaves=5,
        ),
    )
)
def test_equal_records_hash_alike_and_travel(values: dict[str, object]) -> None:
    """Also with values that have no hash of their own; by pickle and by copy."""
    record = Record(values)

    assert hash(record) == hash(Record(dict(reversed(values.items()))))
    for other in (Record(values), copy.copy(record)):
        assert other == record
    assert repr(pickle.loads(pickle.dumps(record))) == repr(record)


def test_it_is_shown_as_it_is_written() -> None:
    """The repr builds an equal record."""
    assert eval(repr(Record(a=1, b="x"))) == Record(a=1, b="x")
    assert "a" in dir(Record(a=1))
