"""Requests as Gemini's bodies: what is sent in another form, left out and refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.gemini_encode import encode_request
from dspex.errors import InvalidRequest
from dspex.messages import (
    Compat,
    DroppedParam,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    ToolSpec,
)

GEMINI = PRESETS["gemini"]
TOOL = ToolSpec("add", "", {"type": "object"})


def encode(
    sampling: Sampling = Sampling(), compat: Compat = GEMINI, **changes: Any
) -> tuple[dict[str, Any], dict[str, DroppedParam]]:
    """Encode a plain question; return its body and what was left out, by name."""
    request = Request((Message("user", "2+2?"),), model="m", sampling=sampling, **changes)
    found = encode_request(request, compat)
    body: dict[str, Any] = orjson.loads(found.body)
    return body, {param.name: param for param in found.dropped}


def applied(dropped: dict[str, DroppedParam], name: str) -> tuple[Any, Any]:
    """Return what was asked and what was sent of one parameter."""
    return dropped[name].asked, dropped[name].applied


class TestSampling:
    def test_nothing_that_was_not_set(self) -> None:
        """Contents alone; the model stands in the path."""
        body, dropped = encode()
        assert body == {"contents": [{"role": "user", "parts": [{"text": "2+2?"}]}]}
        assert dropped == {}

    def test_at_most_five_stops(self) -> None:
        """The first ones go out, and what was left out is recorded."""
        body, dropped = encode(Sampling(stop=tuple("abcdefg")))
        assert body["generationConfig"] == {"stopSequences": list("abcde")}
        assert applied(dropped, "stop") == (list("abcdefg"), list("abcde"))

    def test_top_logprobs_alone_ask_for_logprobs(self) -> None:
        """The one cannot be had without the other."""
        body, _ = encode(Sampling(top_logprobs=2))
        assert body["generationConfig"] == {"responseLogprobs": True, "logprobs": 2}

    @pytest.mark.parametrize(
        ("compat", "wish", "name", "sent"),
        [
            (Compat(temperature=False), Sampling(temperature=0.5), "temperature", None),
            (Compat(temperature=False), Sampling(top_p=0.5), "top_p", None),
            (Compat(top_k=False), Sampling(top_k=5), "top_k", None),
            (Compat(seed=False), Sampling(seed=5), "seed", None),
            (Compat(n=False), Sampling(n=5), "n", 1),
            (Compat(stop=False), Sampling(stop=("x",)), "stop", None),
            (Compat(penalties=False), Sampling(presence_penalty=1), "presence_penalty", None),
            (Compat(penalties=False), Sampling(frequency_penalty=1), "frequency_penalty", None),
            (Compat(logprobs=False), Sampling(logprobs=True), "logprobs", None),
            (Compat(logprobs=False), Sampling(top_logprobs=1), "top_logprobs", None),
            (
                Compat(reasoning_effort=False),
                Sampling(reasoning_effort="low"),
                "reasoning_effort",
                None,
            ),
            (
                Compat(reasoning_effort=False),
                Sampling(reasoning_tokens=9),
                "reasoning_tokens",
                None,
            ),
        ],
    )
    def test_not_taken(self, compat: Compat, wish: Sampling, name: str, sent: object) -> None:
        """What the endpoint does not take is left out and recorded."""
        body, dropped = encode(wish, compat)
        assert "generationConfig" not in body
        assert dropped[name].applied == sent


class TestThinking:
    @pytest.mark.parametrize(
        ("asked", "level"),
        [("minimal", "MINIMAL"), ("high", "HIGH"), ("xhigh", "XHIGH"), ("odd", "ODD")],
    )
    def test_levels(self, asked: str, level: str) -> None:
        """Gemini's words are ours in capitals."""
        config = encode(Sampling(reasoning_effort=asked))[0]["generationConfig"]["thinkingConfig"]
        assert config == {"thinkingLevel": level, "includeThoughts": True}

    @pytest.mark.parametrize(
        ("asked", "efforts", "level"), [("max", (), "XHIGH"), ("low", ("high",), "HIGH")]
    )
    def test_levels_it_has_not(self, asked: str, efforts: tuple[str, ...], level: str) -> None:
        """The next stronger one, or the most, and recorded."""
        body, dropped = encode(Sampling(reasoning_effort=asked), Compat(efforts=efforts))
        assert body["generationConfig"]["thinkingConfig"]["thinkingLevel"] == level
        assert applied(dropped, "reasoning_effort") == (asked, level.lower())

    def test_budget_wins_over_level(self) -> None:
        """The server takes one of them."""
        body, dropped = encode(Sampling(reasoning_effort="low", reasoning_tokens=9))
        config = body["generationConfig"]["thinkingConfig"]
        assert config == {"thinkingBudget": 9, "includeThoughts": True}
        assert applied(dropped, "reasoning_effort") == ("low", None)


class TestTools:
    @pytest.mark.parametrize(
        ("compat", "changes", "name"),
        [
            (Compat(tools=False), {"tools": (TOOL,)}, "tools"),
            (Compat(tool_choice=False), {"tools": (TOOL,), "tool_choice": "add"}, "tool_choice"),
            (GEMINI, {"tools": (TOOL,), "parallel_tool_calls": False}, "parallel_tool_calls"),
        ],
    )
    def test_not_taken(self, compat: Compat, changes: dict[str, Any], name: str) -> None:
        """What cannot be said is recorded."""
        body, dropped = encode(compat=compat, **changes)
        assert "toolConfig" not in body
        assert name in dropped

    def test_a_choice_of_no_tool(self) -> None:
        """A name that is none of the tools is refused here, where it is easy to see."""
        with pytest.raises(InvalidRequest, match="'sub'"):
            encode(tools=(TOOL,), tool_choice="sub")

    def test_auto(self) -> None:
        """The default may be said."""
        body, _ = encode(tools=(TOOL,), tool_choice="auto")
        assert body["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}


class TestFormat:
    def test_schema_where_only_json_is_taken(self) -> None:
        """Then it is any JSON, and recorded."""
        body, dropped = encode(
            compat=Compat(structured_output="json_object"),
            response_format=ResponseFormat("json_schema", schema={"type": "object"}),
        )
        assert body["generationConfig"] == {"responseMimeType": "application/json"}
        assert applied(dropped, "response_format") == ("json_schema", "json_object")

    def test_not_taken(self) -> None:
        """Or nothing."""
        body, dropped = encode(
            compat=Compat(structured_output="none"), response_format=ResponseFormat("json_object")
        )
        assert "generationConfig" not in body
        assert applied(dropped, "response_format") == ("json_object", None)

    def test_schema_of_anything(self) -> None:
        """A form without a schema is any JSON."""
        body, _ = encode(response_format=ResponseFormat("json_schema"))
        assert body["generationConfig"] == {"responseMimeType": "application/json"}


class TestExtra:
    def test_it_wins_field_by_field(self) -> None:
        """What it configures goes over ours, and leaves the rest."""
        extra = {"generationConfig": {"seed": 2, "mediaResolution": "LOW"}, "store": False}
        body, _ = encode(Sampling(seed=1, max_tokens=9), extra=extra)
        assert body["generationConfig"] == {
            "seed": 2,
            "maxOutputTokens": 9,
            "mediaResolution": "LOW",
        }
        assert body["store"] is False

    def test_the_callers_mapping_is_left_alone(self) -> None:
        """It belongs to a frozen request, which may be asked again."""
        extra = {"generationConfig": {"seed": 2}}
        first, second = (encode(extra=extra)[0] for _ in range(2))
        assert first == second
        assert extra == {"generationConfig": {"seed": 2}}


@given(
    st.builds(
        Sampling,
        temperature=st.none() | st.floats(0, 2),
        top_k=st.none() | st.integers(0, 100),
        n=st.integers(1, 4),
        stop=st.lists(st.text(max_size=3), max_size=7).map(tuple),
        reasoning_effort=st.none() | st.sampled_from(["none", "minimal", "low", "max", "odd"]),
        reasoning_tokens=st.none() | st.integers(0, 99_999),
    ),
    st.sampled_from([GEMINI, Compat(), Compat(temperature=False, n=False, reasoning_effort=False)]),
)
def test_every_wish_is_sent_or_recorded(wish: Sampling, compat: Compat) -> None:
    """No dial is lost, and a level and a budget never go out together."""
    body, dropped = encode(wish, compat)
    config = body.get("generationConfig", {})
    for name, field, value in (
        ("temperature", "temperature", wish.temperature),
        ("top_k", "topK", wish.top_k),
        ("stop", "stopSequences", list(wish.stop) or None),
        ("n", "candidateCount", wish.n if wish.n > 1 else None),
    ):
        assert value is None or config.get(field) == value or name in dropped

    assert not {"thinkingBudget", "thinkingLevel"} <= config.get("thinkingConfig", {}).keys()
