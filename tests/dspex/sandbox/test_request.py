"""Request bodies: what is read, and how what is wrong is named."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.sandbox.request import RequestError, parse_chat_request

GOOD: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def refused(**changes: Any) -> RequestError:
    """Return the error for a good request with these changes."""
    with pytest.raises(RequestError) as caught:
        parse_chat_request(orjson.dumps(GOOD | changes))

    return caught.value


def test_defaults() -> None:
    """What is left out has the provider's own defaults."""
    wanted = parse_chat_request(orjson.dumps(GOOD))
    assert (wanted.temperature, wanted.choices, wanted.seed) == (1.0, 1, None)
    assert (wanted.max_tokens, wanted.stream, wanted.include_usage) == (None, False, False)
    assert wanted.schema is None


def test_text_parts_are_joined() -> None:
    """A message may come in text parts."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    body = GOOD | {"messages": [{"role": "user", "content": parts}]}
    assert parse_chat_request(orjson.dumps(body)).messages == [{"role": "user", "content": "ab"}]


@pytest.mark.parametrize(
    ("wanted", "schema"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, {}),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}}}, {"a": 1}),
    ],
)
def test_response_format(wanted: Any, schema: Any) -> None:
    """Text, any JSON object and a schema are told apart."""
    assert parse_chat_request(orjson.dumps(GOOD | {"response_format": wanted})).schema == schema


def test_newer_name_of_the_token_limit_wins() -> None:
    """Both names of the limit are read."""
    body = GOOD | {"max_tokens": 5, "max_completion_tokens": 7}
    assert parse_chat_request(orjson.dumps(body)).max_tokens == 7
    assert parse_chat_request(orjson.dumps(GOOD | {"max_tokens": 5})).max_tokens == 5


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": [], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0]",
        ),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"seed": 1.5}, "seed"),
        ({"seed": True}, "seed"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "include_usage"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": 1}}},
            "response_format.json_schema.schema",
        ),
    ],
)
def test_bad_parameter_is_named(changes: dict[str, Any], param: str) -> None:
    """The error body has OpenAI's shape and names the parameter."""
    error = refused(**changes)
    body = orjson.loads(error.body())["error"]
    assert error.status == 400
    assert body["type"] == "invalid_request_error"
    assert body["param"] == param
    assert body["message"]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """No body makes the parser fail in another way."""
    with pytest.raises(RequestError):
        parse_chat_request(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["role", "content", "type", "text", "schema", "json_schema"]), inner
            )
        ),
    ),
    st.sampled_from(["messages", "stream_options", "response_format", "n", "model", "tools"]),
)
def test_any_value_is_read_or_refused(value: Any, key: str) -> None:
    """No JSON value in any place makes the parser fail in another way."""
    with contextlib.suppress(RequestError):
        parse_chat_request(orjson.dumps(GOOD | {key: value}))
