"""Requests and responses are JSON-round-trippable values with one digest per meaning."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.messages import (
    Choice,
    FinishReason,
    ImagePart,
    Message,
    Request,
    Response,
    ResponseFormat,
    Sampling,
    TextPart,
    ToolCall,
    ToolSpec,
)

text = st.text(max_size=30)
contents = st.one_of(
    text,
    st.lists(st.one_of(st.builds(TextPart, text), st.builds(ImagePart, text)), max_size=3).map(
        tuple
    ),
)
messages = st.builds(
    Message,
    st.sampled_from(("system", "user", "assistant", "tool")),
    contents,
    tool_calls=st.lists(st.builds(ToolCall, text, text, text), max_size=2).map(tuple),
    tool_call_id=st.one_of(st.none(), text),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=8,
)
schemas = st.dictionaries(text, json_values, max_size=4)
requests = st.builds(
    Request,
    st.lists(messages, max_size=4).map(tuple),
    model=text,
    sampling=st.builds(
        Sampling,
        temperature=st.one_of(st.none(), st.floats(0, 2)),
        stop=st.lists(text, max_size=2).map(tuple),
        seed=st.one_of(st.none(), st.integers(0, 2**31)),
    ),
    tools=st.lists(st.builds(ToolSpec, text, text, schemas), max_size=2).map(tuple),
    response_format=st.one_of(
        st.none(), st.builds(ResponseFormat, st.just("json_schema"), schema=schemas)
    ),
    sample=st.integers(0, 1000),
)


def shuffled(value: Any) -> Any:
    """Return the same JSON with every object's keys in the opposite order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}

    return [shuffled(item) for item in value] if isinstance(value, list) else value


class TestRequest:
    @given(requests)
    def test_survives_json(self, request: Request) -> None:
        """A journal can hold a request and give the same one back."""
        assert request == Request.from_dict(json.loads(json.dumps(request.to_dict())))

    @given(requests)
    def test_the_order_of_schema_keys_does_not_matter(self, request: Request) -> None:
        """Two equal requests share their digest, whoever built their schemas."""
        tools = tuple(
            dataclasses.replace(tool, parameters=shuffled(tool.parameters))
            for tool in request.tools
        )

        assert request.digest() == dataclasses.replace(request, tools=tools).digest()

    @pytest.mark.parametrize(
        "changes",
        [
            {"model": "other"},
            {"sample": 1},
            {"sampling": Sampling(temperature=0.5)},
            {"messages": (Message("user", "hi!"),)},
            {"messages": (Message("system", "hi"),)},
            {"tool_choice": "none"},
            {"messages": (Message("user", "hi", tool_call_id=""),)},
            {"messages": (Message("user", "hi", name="ada"),)},
        ],
    )
    def test_whatever_changes_the_question_changes_the_digest(
        self, changes: dict[str, Any]
    ) -> None:
        """Different questions never share a cache entry."""
        request = Request((Message("user", "hi"),))

        assert request.digest() != dataclasses.replace(request, **changes).digest()

    def test_one_and_one_point_zero_are_one_wish(self) -> None:
        """A digest survives the round trip through JSON."""
        whole = Request((Message("user", "hi"),), sampling=Sampling(temperature=1))
        point = Request((Message("user", "hi"),), sampling=Sampling(temperature=1.0))

        assert whole.digest() == point.digest() == Request.from_dict(whole.to_dict()).digest()

    def test_text_that_utf8_cannot_carry_has_a_digest(self) -> None:
        """A lone surrogate from a model must not crash the cache."""
        broken = Request((Message("user", "\ud800"),))
        other = Request((Message("user", "\ud801"),))

        assert broken.digest() != other.digest()

    def test_a_digest_does_not_depend_on_the_process(self) -> None:
        """The digest of a known request is a known string: caches outlive processes."""
        request = Request((Message("user", "hi"),), model="m")

        assert len(request.digest()) == 64
        assert request.digest() == Request.from_dict(request.to_dict()).digest()

    def test_reading_garbage_names_the_field(self) -> None:
        """A broken record is refused with the place that is broken."""
        with pytest.raises(ValueError, match="messages"):
            Request.from_dict({"messages": 5})


class TestMessage:
    def test_text_of_a_mixed_message_leaves_out_the_pictures(self) -> None:
        """`text` joins what can be read."""
        message = Message("user", (TextPart("a"), ImagePart("data:x"), TextPart("b")))

        assert message.text == "ab"


class TestResponse:
    @given(text, st.sampled_from(FinishReason), st.booleans())
    def test_survives_json(self, answer: str, finish: FinishReason, cached: bool) -> None:
        """A cache can hold a response and give the same one back."""
        response = Response((Choice(answer, finish_reason=finish),), cached=cached)

        assert response == Response.from_dict(json.loads(json.dumps(response.to_dict())))

    def test_the_first_choice_speaks_for_the_response(self) -> None:
        """`text` and `finish_reason` are those of choice 0."""
        response = Response((Choice("a", finish_reason=FinishReason.LENGTH), Choice("b")))

        assert ("a", FinishReason.LENGTH) == (response.text, response.finish_reason)
