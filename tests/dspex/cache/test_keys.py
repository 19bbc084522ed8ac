"""Equal questions have one key, whatever the order of their parts; others never share one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.cache.keys import disk_key, endpoint_prefix, result_key
from dspex.messages import Compat, Message, Request, ToolSpec

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


def shuffled(value: Any) -> Any:
    """Give the same value with the keys of each object in the opposite order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}

    return [shuffled(item) for item in value] if isinstance(value, list) else value


def prefix(**changes: Any) -> str:
    given_: dict[str, Any] = {
        "name": "p",
        "wire": "openai-chat",
        "compat": Compat(),
        "base_url": "http://h/v1",
    }
    return endpoint_prefix(**(given_ | changes))


class TestRequest:
    @given(st.dictionaries(st.text(max_size=3), VALUES, min_size=1))
    def test_the_order_of_keys_does_not_matter(self, schema: dict[str, Any]) -> None:
        """A schema or an extra field built another way asks the same."""
        one, other = (
            Request(
                (Message("user", "hi"),),
                tools=(ToolSpec("f", "", given_),),
                extra=given_,
            )
            for given_ in (schema, shuffled(schema))
        )

        assert one.digest() == other.digest()

    @given(st.text(), st.text(), st.integers(0, 3), st.integers(0, 3))
    def test_other_questions_and_samples_have_other_keys(
        self, text: str, other: str, sample: int, another: int
    ) -> None:
        """Two samples of one prompt must never collapse into one."""
        one = Request((Message("user", text),), sample=sample)
        two = Request((Message("user", other),), sample=another)

        assert (one.digest() == two.digest()) == ((text, sample) == (other, another))


class TestEndpoint:
    @pytest.mark.parametrize(
        "changes",
        [
            {"name": "q"},
            {"wire": "other"},
            {"base_url": "http://h/v2"},
            {"compat": Compat(tools=False)},
        ],
    )
    def test_another_server_of_the_same_name_has_other_keys(self, changes: dict[str, Any]) -> None:
        """Two processes that share a disk may mean different servers."""
        assert prefix() != prefix(**changes)

    def test_the_same_server_has_the_same_keys(self) -> None:
        """A slash at the end of a URL is none."""
        assert prefix() == prefix(base_url="http://h/v1/", compat=Compat())

    def test_a_key_is_stable(self) -> None:
        """A new version must find what an old one has paid for; a change is a new `_VERSION`."""
        assert "p:881d" == prefix()[:6]


class TestNames:
    @given(st.text(), st.text(), st.text(), st.text())
    def test_results_of_two_namespaces_never_meet(
        self, one: str, key: str, two: str, other: str
    ) -> None:
        """Whatever characters are in them."""
        assert (result_key(one, key) == result_key(two, other)) == ((one, key) == (two, other))

    def test_a_key_on_disk_is_short(self) -> None:
        """However long the name, and whatever is in it."""
        assert len(disk_key("\ud800" * 1_000)) == 20
