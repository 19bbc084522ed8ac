"""Requests as Anthropic's bodies: what is sent in another form, left out and refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.clients.wire.anthropic_encode import DEFAULT_MAX_TOKENS, encode_request
from dspex.clients.wire.compat import PRESETS
from dspex.errors import InvalidRequest
from dspex.messages import (
    Compat,
    DroppedParam,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    ToolCall,
    ToolSpec,
)

ANTHROPIC = PRESETS["anthropic"]
TOOL = ToolSpec("add", "", {"type": "object"})


def encode(
    sampling: Sampling = Sampling(max_tokens=9_000), compat: Compat = ANTHROPIC, **changes: Any
) -> tuple[dict[str, Any], dict[str, DroppedParam]]:
    """Encode a plain question; return its body and what was left out, by name."""
    request = Request((Message("user", "2+2?"),), model="m", sampling=sampling, **changes)
    found = encode_request(request, compat, stream=False)
    body: dict[str, Any] = orjson.loads(found.body)
    return body, {param.name: param for param in found.dropped}


def applied(dropped: dict[str, DroppedParam], name: str) -> tuple[Any, Any]:
    """Return what was asked and what was sent of one parameter."""
    return dropped[name].asked, dropped[name].applied


class TestBound:
    def test_there_is_always_one(self) -> None:
        """The wire needs a bound: ours is recorded."""
        body, dropped = encode(Sampling())
        assert body["max_tokens"] == DEFAULT_MAX_TOKENS
        assert applied(dropped, "max_tokens") == (None, DEFAULT_MAX_TOKENS)

    def test_the_endpoints_own(self) -> None:
        """What the record of the endpoint names wins over ours."""
        body, dropped = encode(Sampling(), Compat(max_output_tokens=77))
        assert body["max_tokens"] == 77
        assert applied(dropped, "max_tokens") == (None, 77)

    def test_the_callers_own(self) -> None:
        """A bound that was asked for goes out as it is."""
        body, dropped = encode(Sampling(max_tokens=5), Compat(max_output_tokens=77))
        assert (body["max_tokens"], dropped) == (5, {})

    def test_thinking_comes_on_top_of_ours(self) -> None:
        """Thinking counts towards the bound, and leaves room for the answer."""
        body, _ = encode(Sampling(reasoning_tokens=4_000))
        assert body["max_tokens"] == DEFAULT_MAX_TOKENS + 4_000


class TestThinking:
    @pytest.mark.parametrize(
        ("asked", "max_tokens", "sent"),
        [
            (2_000, 9_000, 2_000),
            (10, 9_000, 1_024),
            (1, 1_025, 1_024),
            (9_000, 9_000, 8_999),
            (50_000, 9_000, 8_999),
        ],
    )
    def test_budget_is_kept_within_bounds(self, asked: int, max_tokens: int, sent: int) -> None:
        """At least the least there is, and less than the whole."""
        body, dropped = encode(Sampling(reasoning_tokens=asked, max_tokens=max_tokens))
        assert body["thinking"] == {"type": "enabled", "budget_tokens": sent}
        assert ("reasoning_tokens" in dropped) is (sent != asked)

    def test_no_room_for_thinking(self) -> None:
        """A bound too small for the least thinking leaves it out."""
        body, dropped = encode(Sampling(reasoning_tokens=5_000, max_tokens=1_024))
        assert "thinking" not in body
        assert applied(dropped, "reasoning_tokens") == (5_000, None)

    def test_no_budget_is_no_thinking(self) -> None:
        """Zero tokens turn it off."""
        assert encode(Sampling(reasoning_tokens=0))[0]["thinking"] == {"type": "disabled"}

    @pytest.mark.parametrize(
        ("asked", "sent"),
        [("minimal", "low"), ("low", "low"), ("medium", "medium"), ("max", "max"), ("own", "own")],
    )
    def test_effort(self, asked: str, sent: str) -> None:
        """In Anthropic's words, the next stronger one where it has none."""
        body, dropped = encode(Sampling(reasoning_effort=asked))
        assert body["output_config"] == {"effort": sent}
        assert ("reasoning_effort" in dropped) is (asked != sent)

    def test_a_number_wins_over_a_word(self) -> None:
        """A budget and no thinking at all cannot both be had."""
        wish = Sampling(reasoning_effort="none", reasoning_tokens=2_000, max_tokens=9_000)
        body, dropped = encode(wish)
        assert body["thinking"] == {"type": "enabled", "budget_tokens": 2_000}
        assert applied(dropped, "reasoning_effort") == ("none", None)

    def test_effort_and_budget(self) -> None:
        """How hard and how long may be said together."""
        body, _ = encode(
            Sampling(reasoning_effort="high", reasoning_tokens=2_000, max_tokens=9_000)
        )
        assert body["output_config"] == {"effort": "high"}
        assert body["thinking"] == {"type": "enabled", "budget_tokens": 2_000}

    def test_effort_in_the_endpoints_words(self) -> None:
        """A model that knows fewer gets one of those."""
        body, dropped = encode(Sampling(reasoning_effort="low"), Compat(efforts=("high", "max")))
        assert body["output_config"] == {"effort": "high"}
        assert applied(dropped, "reasoning_effort") == ("low", "high")

    def test_effort_beside_a_switch(self) -> None:
        """Where a model thinks only when told to, it is told."""
        body, _ = encode(Sampling(reasoning_effort="high"), Compat(reasoning_style="thinking"))
        assert body["thinking"] == {"type": "adaptive"}

    def test_not_taken(self) -> None:
        """An endpoint without thinking gets neither dial."""
        body, dropped = encode(
            Sampling(reasoning_effort="high", reasoning_tokens=9), Compat(reasoning_effort=False)
        )
        assert not {"thinking", "output_config"} & body.keys()
        assert {"reasoning_effort", "reasoning_tokens"} <= dropped.keys()

    def test_dials_that_thinking_does_not_bear(self) -> None:
        """The server refuses them; they are left out and recorded."""
        wish = Sampling(
            temperature=0.3, top_p=0.5, top_k=4, reasoning_tokens=2_000, max_tokens=9_000
        )
        body, dropped = encode(wish)
        assert not {"temperature", "top_p", "top_k"} & body.keys()
        assert {"temperature", "top_p", "top_k"} <= dropped.keys()

    def test_a_wide_top_p_is_borne(self) -> None:
        """From 0.95 on it is taken with thinking too."""
        wish = Sampling(top_p=0.95, reasoning_tokens=2_000, max_tokens=9_000)
        assert encode(wish)[0]["top_p"] == 0.95


class TestSampling:
    def test_temperature_is_at_most_one(self) -> None:
        """A hotter one is moved down and recorded."""
        body, dropped = encode(Sampling(temperature=1.5, max_tokens=9))
        assert body["temperature"] == 1.0
        assert applied(dropped, "temperature") == (1.5, 1.0)

    def test_temperature_not_taken(self) -> None:
        """Newer models take no such dial."""
        body, dropped = encode(Sampling(temperature=1.5, top_p=0.5), Compat(temperature=False))
        assert not {"temperature", "top_p"} & body.keys()
        assert applied(dropped, "temperature") == (1.5, None)

    def test_what_the_wire_has_not(self) -> None:
        """Seeds, choices, penalties and log-probabilities are recorded, whatever is taken."""
        wish = Sampling(
            n=3,
            seed=1,
            presence_penalty=0.5,
            frequency_penalty=0.5,
            logprobs=True,
            top_logprobs=2,
            max_tokens=9,
        )
        body, dropped = encode(wish, Compat())
        assert body.keys() == {"model", "messages", "max_tokens"}
        assert dropped.keys() == {
            "n",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "logprobs",
            "top_logprobs",
        }
        assert applied(dropped, "n") == (3, 1)

    def test_stop_of_white_space_is_refused_by_the_server(self) -> None:
        """It is left out and recorded; the others stay."""
        body, dropped = encode(Sampling(stop=("\n", "END"), max_tokens=9))
        assert body["stop_sequences"] == ["END"]
        assert applied(dropped, "stop") == (["\n", "END"], ["END"])

    def test_stop_not_taken(self) -> None:
        """Nor is it, where the endpoint has none."""
        body, dropped = encode(Sampling(stop=("END",), max_tokens=9), Compat(stop=False))
        assert "stop_sequences" not in body
        assert applied(dropped, "stop") == (["END"], None)


class TestTools:
    def test_nothing_that_was_not_said(self) -> None:
        """No description, no strictness."""
        body, _ = encode(tools=(TOOL,))
        assert body["tools"] == [{"name": "add", "input_schema": {"type": "object"}}]
        assert "tool_choice" not in body

    def test_one_call_at_a_time(self) -> None:
        """That is said beside a choice, which is then the default one."""
        body, _ = encode(tools=(TOOL,), parallel_tool_calls=False)
        assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}

    def test_several_calls_are_the_default(self) -> None:
        """Nothing needs to be said."""
        assert "tool_choice" not in encode(tools=(TOOL,), parallel_tool_calls=True)[0]

    @pytest.mark.parametrize(
        ("compat", "changes", "name"),
        [
            (Compat(tools=False), {"tools": (TOOL,)}, "tools"),
            (Compat(tool_choice=False), {"tools": (TOOL,), "tool_choice": "add"}, "tool_choice"),
            (
                Compat(parallel_tool_calls=False),
                {"tools": (TOOL,), "parallel_tool_calls": False},
                "parallel_tool_calls",
            ),
            (ANTHROPIC, {"tool_choice": "auto"}, "tool_choice"),
        ],
    )
    def test_not_taken(self, compat: Compat, changes: dict[str, Any], name: str) -> None:
        """What the endpoint cannot do with tools is recorded."""
        body, dropped = encode(compat=compat, **changes)
        assert name not in body
        assert name in dropped


class TestFormat:
    @pytest.mark.parametrize(
        ("compat", "form"),
        [
            (ANTHROPIC, ResponseFormat("json_object")),
            (PRESETS["deepseek-anthropic"], ResponseFormat("json_schema", schema={})),
            (Compat(structured_output="json_object"), ResponseFormat("json_schema", schema={})),
        ],
    )
    def test_not_taken(self, compat: Compat, form: ResponseFormat) -> None:
        """The wire has only schemas, and some servers ignore those."""
        body, dropped = encode(compat=compat, response_format=form)
        assert "output_config" not in body
        assert applied(dropped, "response_format") == (form.type, None)

    def test_a_schema_of_anything_is_one_of_an_object(self) -> None:
        """The wire needs one."""
        body, _ = encode(response_format=ResponseFormat("json_schema"))
        assert body["output_config"]["format"]["schema"] == {"type": "object"}


class TestExtra:
    def test_it_wins(self) -> None:
        """Fields of the provider's own go over what the wire would write."""
        assert encode(extra={"max_tokens": 3, "speed": "fast"})[0]["max_tokens"] == 3

    def test_what_json_cannot_say(self) -> None:
        """It is an error of the request."""
        with pytest.raises(InvalidRequest, match="JSON"):
            encode(extra={"x": object()})


@given(
    st.builds(
        Sampling,
        temperature=st.none() | st.floats(0, 2),
        top_p=st.none() | st.floats(0, 1),
        max_tokens=st.none() | st.integers(1, 99_999),
        stop=st.lists(st.text(max_size=3), max_size=4).map(tuple),
        seed=st.none() | st.integers(),
        n=st.integers(1, 4),
        reasoning_effort=st.none() | st.sampled_from(["none", "minimal", "low", "max", "odd"]),
        reasoning_tokens=st.none() | st.integers(0, 99_999),
        top_k=st.none() | st.integers(0, 100),
    ),
    st.sampled_from([ANTHROPIC, PRESETS["deepseek-anthropic"], Compat(temperature=False)]),
)
def test_every_wish_is_sent_or_recorded(wish: Sampling, compat: Compat) -> None:
    """No dial is lost, and what is sent keeps the wire's rules."""
    body, dropped = encode(wish, compat)
    for name, field, value in (
        ("temperature", "temperature", wish.temperature),
        ("top_p", "top_p", wish.top_p),
        ("top_k", "top_k", wish.top_k),
        ("stop", "stop_sequences", list(wish.stop) or None),
        ("seed", "seed", wish.seed),
    ):
        assert value is None or body.get(field) == value or name in dropped

    assert wish.reasoning_tokens is None or "thinking" in body or "reasoning_tokens" in dropped
    budget = body.get("thinking", {}).get("budget_tokens")
    assert budget is None or 1_024 <= budget < body["max_tokens"]
    assert body.get("temperature", 0) <= 1
    assert budget is None or "temperature" not in body


def test_a_call_that_is_no_object_cannot_be_repeated() -> None:
    """The wire has no place for it; the error shows what the model wrote."""
    turn = Message("assistant", "", tool_calls=(ToolCall("1", "add", "[1"),))
    with pytest.raises(InvalidRequest, match=r"'add'.*'\[1'"):
        encode_request(Request((turn,)), ANTHROPIC, stream=False)
