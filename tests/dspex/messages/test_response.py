"""Answers as data: whole, JSON-round-trippable, and ready to be sent back."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from dspex.messages import (
    Choice,
    Citation,
    FinishReason,
    Message,
    ReasoningPart,
    Response,
    TokenLogprob,
    ToolCall,
    fill,
)
from dspex.usage import Usage

text = st.text(max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
choices = st.builds(
    Choice,
    text,
    finish_reason=st.sampled_from(FinishReason),
    reasoning=st.one_of(st.none(), text),
    tool_calls=st.lists(
        st.builds(ToolCall, text, text, text, signature=st.one_of(st.none(), text)), max_size=2
    ).map(tuple),
    thinking=st.lists(
        st.builds(ReasoningPart, text, signature=st.one_of(st.none(), text)), max_size=2
    ).map(tuple),
    logprobs=st.lists(
        st.builds(
            TokenLogprob,
            text,
            finite,
            st.lists(st.tuples(text, finite), max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    citations=st.lists(st.builds(Citation, text, source=text, start=st.integers(0, 9))).map(tuple),
)
responses = st.builds(
    Response,
    st.lists(choices, min_size=1, max_size=3).map(tuple),
    model=text,
    usage=st.builds(
        Usage, input_tokens=st.integers(0, 99), cost_usd=st.sampled_from((None, Decimal("0.1")))
    ),
)


class TestResponse:
    @given(responses)
    def test_it_survives_json(self, response: Response) -> None:
        """Thinking, signatures, log-probabilities and citations included."""
        assert Response.from_dict(json.loads(json.dumps(response.to_dict()))) == response

    def test_the_first_choice_speaks_for_it(self) -> None:
        """Its text and its end."""
        response = Response((Choice("a", finish_reason=FinishReason.LENGTH), Choice("b")))
        assert (response.text, response.finish_reason) == ("a", FinishReason.LENGTH)

    def test_other_data_is_refused(self) -> None:
        """The field is named."""
        with pytest.raises(ValueError, match="choices"):
            Response.from_dict({"choices": 3})


class TestChoice:
    def test_it_goes_back_as_a_turn(self) -> None:
        """With its calls and its thinking, which some providers want to see again."""
        call = ToolCall("1", "search", "{}", signature="s")
        thinking = (ReasoningPart("hm", signature="t"),)
        turn = Choice("text", tool_calls=(call,), thinking=thinking).to_message()
        assert turn == Message("assistant", "text", tool_calls=(call,), reasoning=thinking)


class TestFill:
    def test_a_response_that_nobody_has_seen_may_be_filled(self) -> None:
        """It is the same object."""
        response = Response((Choice("a"),))
        assert fill(response, latency_s=1.5, cached=True) is response
        assert (response.latency_s, response.cached) == (1.5, True)

    def test_there_is_nothing_else_to_set(self) -> None:
        """A response has its fields and no others."""
        with pytest.raises(AttributeError):
            fill(Response((Choice("a"),)), colour="red")

    def test_it_is_frozen_for_everybody_else(self) -> None:
        """Plain assignment is refused."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            Response((Choice("a"),)).model = "x"  # type: ignore[misc]  # that is the point
