"""Requests as Cohere's bodies: what is sent in another form, left out and refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.clients.wire.cohere_encode import encode_request
from dspex.clients.wire.compat import PRESETS
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

COHERE = PRESETS["cohere"]
ADD = ToolSpec("add", "", {"type": "object"})
SUB = ToolSpec("sub", "", {"type": "object"}, strict=True)
MUL = ToolSpec("mul", "", {"type": "object"}, strict=False)


def encode(
    sampling: Sampling = Sampling(), compat: Compat = COHERE, **changes: Any
) -> tuple[dict[str, Any], dict[str, DroppedParam]]:
    """Encode a plain question; return its body and what was left out, by name."""
    request = Request((Message("user", "2+2?"),), model="m", sampling=sampling, **changes)
    found = encode_request(request, compat, stream=False)
    body: dict[str, Any] = orjson.loads(found.body)
    return body, {param.name: param for param in found.dropped}


def applied(dropped: dict[str, DroppedParam], name: str) -> tuple[Any, Any]:
    """Return what was asked and what was sent of one parameter."""
    return dropped[name].asked, dropped[name].applied


class TestSampling:
    @pytest.mark.parametrize(
        ("wish", "name", "field", "asked", "sent"),
        [
            (Sampling(top_p=1.0), "top_p", "p", 1.0, 0.99),
            (Sampling(top_p=0.0), "top_p", "p", 0.0, 0.01),
            (
                Sampling(presence_penalty=-0.5),
                "presence_penalty",
                "presence_penalty",
                -0.5,
                0.0,
            ),
            (
                Sampling(frequency_penalty=1.5),
                "frequency_penalty",
                "frequency_penalty",
                1.5,
                1.0,
            ),
        ],
    )
    def test_moved_into_the_wires_bounds(
        self, wish: Sampling, name: str, field: str, asked: float, sent: float
    ) -> None:
        """A number that the server would refuse is moved and recorded."""
        body, dropped = encode(wish)
        assert body[field] == sent
        assert applied(dropped, name) == (asked, sent)

    def test_at_most_five_stops(self) -> None:
        """The first ones go out, and what was left out is recorded."""
        body, dropped = encode(Sampling(stop=tuple("abcdefg")))
        assert body["stop_sequences"] == list("abcde")
        assert applied(dropped, "stop") == (list("abcdefg"), list("abcde"))

    def test_what_the_wire_has_not(self) -> None:
        """Choices and rivals of tokens are recorded, whatever the record says."""
        body, dropped = encode(Sampling(n=2, top_logprobs=3), Compat())
        assert body["logprobs"] is True
        assert applied(dropped, "n") == (2, 1)
        assert applied(dropped, "top_logprobs") == (3, None)

    @pytest.mark.parametrize(
        ("compat", "wish", "name"),
        [
            (Compat(temperature=False), Sampling(temperature=0.5), "temperature"),
            (Compat(temperature=False), Sampling(top_p=0.5), "top_p"),
            (Compat(top_k=False), Sampling(top_k=5), "top_k"),
            (Compat(seed=False), Sampling(seed=5), "seed"),
            (Compat(stop=False), Sampling(stop=("x",)), "stop"),
            (Compat(penalties=False), Sampling(presence_penalty=1), "presence_penalty"),
            (Compat(penalties=False), Sampling(frequency_penalty=1), "frequency_penalty"),
            (Compat(logprobs=False), Sampling(logprobs=True), "logprobs"),
            (Compat(reasoning_effort=False), Sampling(reasoning_effort="low"), "reasoning_effort"),
            (Compat(reasoning_effort=False), Sampling(reasoning_tokens=9), "reasoning_tokens"),
        ],
    )
    def test_not_taken(self, compat: Compat, wish: Sampling, name: str) -> None:
        """What the endpoint does not take is left out and recorded."""
        body, dropped = encode(wish, compat)
        assert body.keys() == {"model", "messages", "stream"}
        assert dropped[name].applied is None


class TestThinking:
    @pytest.mark.parametrize(
        ("effort", "tokens", "sent", "recorded"),
        [
            (None, 0, {"type": "disabled"}, False),
            ("none", None, {"type": "disabled"}, False),
            ("none", 0, {"type": "disabled"}, False),
            ("none", 9, {"type": "enabled", "token_budget": 9}, True),
            ("high", None, {"type": "enabled"}, True),
            ("high", 9, {"type": "enabled", "token_budget": 9}, True),
            ("high", 0, {"type": "disabled"}, True),
        ],
    )
    def test_only_on_and_off(
        self, effort: str | None, tokens: int | None, sent: dict[str, Any], recorded: bool
    ) -> None:
        """How hard to think cannot be said, and is recorded; a number wins over a word."""
        body, dropped = encode(Sampling(reasoning_effort=effort, reasoning_tokens=tokens))
        assert body["thinking"] == sent
        assert ("reasoning_effort" in dropped) is recorded


class TestTools:
    def test_a_named_tool_is_the_only_one(self) -> None:
        """The wire names no tool: only that one is offered, and must be called."""
        body, dropped = encode(tools=(ADD, SUB), tool_choice="sub")
        assert [row["function"]["name"] for row in body["tools"]] == ["sub"]
        assert body["tool_choice"] == "REQUIRED"
        assert applied(dropped, "tool_choice") == ("sub", "REQUIRED")

    def test_a_choice_of_no_tool(self) -> None:
        """A name that is none of the tools is refused here, where it is easy to see."""
        with pytest.raises(InvalidRequest, match="'mul'"):
            encode(tools=(ADD,), tool_choice="mul")

    @pytest.mark.parametrize(
        ("tools", "sent"), [((ADD,), None), ((ADD, SUB), True), ((MUL, ADD), False)]
    )
    def test_strict_goes_for_all(self, tools: tuple[ToolSpec, ...], sent: bool | None) -> None:
        """One wish holds for the tools that have none."""
        assert encode(tools=tools)[0].get("strict_tools") is sent

    def test_strict_and_not(self) -> None:
        """Two wishes cannot both be granted."""
        body, dropped = encode(tools=(SUB, MUL))
        assert "strict_tools" not in body
        assert dropped["strict"].asked == ["sub"]

    @pytest.mark.parametrize(
        ("compat", "changes", "name"),
        [
            (Compat(tools=False), {"tools": (ADD,)}, "tools"),
            (Compat(tool_choice=False), {"tools": (ADD,), "tool_choice": "add"}, "tool_choice"),
            (COHERE, {"tools": (ADD,), "parallel_tool_calls": False}, "parallel_tool_calls"),
        ],
    )
    def test_not_taken(self, compat: Compat, changes: dict[str, Any], name: str) -> None:
        """What cannot be said is recorded."""
        body, dropped = encode(compat=compat, **changes)
        assert "tool_choice" not in body
        assert name in dropped


class TestFormat:
    @pytest.mark.parametrize(
        ("best", "form", "sent", "recorded"),
        [
            ("json_object", ResponseFormat("json_schema"), {"type": "json_object"}, "json_object"),
            ("none", ResponseFormat("json_object"), None, None),
        ],
    )
    def test_not_taken(
        self, best: Any, form: ResponseFormat, sent: Any, recorded: str | None
    ) -> None:
        """The best that the endpoint honours, and recorded."""
        body, dropped = encode(compat=Compat(structured_output=best), response_format=form)
        assert body.get("response_format") == sent
        assert applied(dropped, "response_format") == (form.type, recorded)

    def test_schema_of_anything(self) -> None:
        """A form without a schema is any JSON."""
        body, dropped = encode(response_format=ResponseFormat("json_schema"))
        assert (body["response_format"], dropped) == ({"type": "json_object"}, {})


@given(
    st.builds(
        Sampling,
        temperature=st.none() | st.floats(0, 2),
        top_p=st.none() | st.floats(0, 1),
        presence_penalty=st.none() | st.floats(-2, 2),
        n=st.integers(1, 4),
        stop=st.lists(st.text(max_size=3), max_size=7).map(tuple),
        reasoning_effort=st.none() | st.sampled_from(["none", "low", "max", "odd"]),
        reasoning_tokens=st.none() | st.integers(0, 99_999),
    ),
    st.sampled_from([COHERE, Compat(), Compat(temperature=False, reasoning_effort=False)]),
)
def test_every_wish_is_sent_or_recorded(wish: Sampling, compat: Compat) -> None:
    """No dial is lost, and what is sent keeps the wire's bounds."""
    body, dropped = encode(wish, compat)
    for name, field, value in (
        ("temperature", "temperature", wish.temperature),
        ("top_p", "p", wish.top_p),
        ("presence_penalty", "presence_penalty", wish.presence_penalty),
        ("stop", "stop_sequences", list(wish.stop) or None),
        ("n", "n", wish.n if wish.n > 1 else None),
    ):
        assert value is None or body.get(field) == value or name in dropped

    assert 0.01 <= body.get("p", 0.5) <= 0.99
    assert 0 <= body.get("presence_penalty", 0) <= 1
