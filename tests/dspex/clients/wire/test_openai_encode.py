"""Requests as OpenAI's bytes, checked with OpenAI's own types."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from pydantic import TypeAdapter, ValidationError

from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.openai_encode import encode_request
from dspex.errors import InvalidRequest
from dspex.messages import (
    Compat,
    DroppedParam,
    ImagePart,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    TextPart,
    ToolCall,
    ToolSpec,
)

OPENAI = Compat()
ASK = Request((Message("system", "Be brief."), Message("user", "2+2?")), model="gpt")
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}}
TOOL = ToolSpec("add", "Add numbers.", {"type": "object", "properties": {}})
PIXEL = "data:image/png;base64,AAAA"

WHOLE: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsNonStreaming)
STREAMED: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsStreaming)


def encode(request: Request, compat: Compat = OPENAI, *, stream: bool = False) -> dict[str, Any]:
    """Encode, check against the official types, and decode again."""
    body: dict[str, Any] = orjson.loads(encode_request(request, compat, stream=stream).body)
    exhaust((STREAMED if stream else WHOLE).validate_python(body))
    return body


def exhaust(value: object) -> None:
    """Walk through a validated value: pydantic checks an Iterable only when it is read."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return

    for item in value.values() if isinstance(value, dict) else value:
        exhaust(item)


def dropped(request: Request, compat: Compat) -> dict[str, DroppedParam]:
    """Encode and return what was left out, by name."""
    found = encode_request(request, compat, stream=False).dropped
    return {param.name: param for param in found}


def asking(**changes: Any) -> Request:
    """Build a request with other fields."""
    return Request(ASK.messages, model="gpt", **changes)


class TestOracle:
    @pytest.mark.parametrize(
        "change",
        [
            {"messages": [{"role": "wizard", "content": "x"}]},
            {"messages": [{"role": "user", "content": [{"type": "smell"}]}]},
            {"temperature": "hot"},
            {"tools": [{"type": "function"}]},
        ],
    )
    def test_official_types_refuse_nonsense(self, change: dict[str, Any]) -> None:
        """The check that these tests lean on can fail."""
        with pytest.raises(ValidationError):
            exhaust(WHOLE.validate_python(encode(ASK) | change))


class TestMessages:
    def test_plain_request_has_nothing_that_was_not_set(self) -> None:
        """Model and messages, and no parameter."""
        assert encode(ASK) == {
            "model": "gpt",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "2+2?"},
            ],
        }

    def test_system_role_is_the_endpoints(self) -> None:
        """Some call it developer."""
        assert encode(ASK, PRESETS["meta"])["messages"][0]["role"] == "developer"

    def test_parts(self) -> None:
        """Text and images, with detail where it was given."""
        parts = (TextPart("what is it?"), ImagePart(PIXEL), ImagePart("https://x/y.png", "low"))
        assert encode(Request((Message("user", parts),)))["messages"][0]["content"] == [
            {"type": "text", "text": "what is it?"},
            {"type": "image_url", "image_url": {"url": PIXEL}},
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        ]

    def test_tool_turns(self) -> None:
        """A call of a tool and its result keep their ids; an empty text beside it is null."""
        call = ToolCall("call_1", "add", '{"a": 1}')
        turns = (
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "3", tool_call_id="call_1"),
        )
        assert encode(Request(turns))["messages"] == [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "add", "arguments": '{"a": 1}'},
                    }
                ],
            },
            {"role": "tool", "content": "3", "tool_call_id": "call_1"},
        ]

    def test_name_of_the_speaker(self) -> None:
        """It goes out where it is set."""
        assert encode(Request((Message("user", "hi", name="ann"),)))["messages"][0]["name"] == "ann"

    @pytest.mark.parametrize(
        ("images", "url", "problem"),
        [
            ("none", PIXEL, "no images"),
            ("data", "https://x/y.png", "only as data: URLs"),
        ],
    )
    def test_image_that_would_not_be_seen_is_an_error(
        self, images: Any, url: str, problem: str
    ) -> None:
        """Leaving it out would change the question."""
        request = Request((Message("user", (ImagePart(url),)),))
        with pytest.raises(InvalidRequest, match=problem):
            encode_request(request, Compat(images=images), stream=False)

    def test_data_url_where_only_those_are_seen(self) -> None:
        """The image goes out."""
        request = Request((Message("user", (ImagePart(PIXEL),)),))
        assert encode(request, PRESETS["ollama"])


class TestSampling:
    def test_everything_that_is_set_goes_out(self) -> None:
        """Under OpenAI's names."""
        sampling = Sampling(
            temperature=0.0,
            top_p=0.9,
            max_tokens=10,
            stop=("END",),
            seed=0,
            n=3,
            presence_penalty=0.1,
            frequency_penalty=0.2,
            reasoning_effort="low",
        )
        body = encode(asking(sampling=sampling))
        del body["model"], body["messages"]
        assert body == {
            "temperature": 0.0,
            "top_p": 0.9,
            "max_completion_tokens": 10,
            "stop": ["END"],
            "seed": 0,
            "n": 3,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "reasoning_effort": "low",
        }

    def test_older_name_of_max_tokens(self) -> None:
        """Where the endpoint knows only that."""
        body = encode(asking(sampling=Sampling(max_tokens=10)), PRESETS["ollama"])
        assert (body["max_tokens"], "max_completion_tokens" in body) == (10, False)

    def test_what_is_not_taken_is_recorded(self) -> None:
        """Each parameter left out is on record with what was asked."""
        sampling = Sampling(n=2, seed=7, stop=("x",), presence_penalty=1.0, reasoning_effort="high")
        poor = Compat(n=False, seed=False, stop=False, penalties=False, reasoning_effort=False)
        found = dropped(asking(sampling=sampling), poor)
        assert {name: (param.asked, param.applied) for name, param in found.items()} == {
            "n": (2, 1),
            "seed": (7, None),
            "stop": (["x"], None),
            "presence_penalty": (1.0, None),
            "reasoning_effort": ("high", None),
        }
        assert set(encode(asking(sampling=sampling), poor)) == {"model", "messages"}

    def test_what_was_not_asked_is_not_dropped(self) -> None:
        """A poor endpoint drops nothing of a plain request."""
        poor = Compat(n=False, seed=False, stop=False, penalties=False, reasoning_effort=False)
        assert dropped(ASK, poor) == {}

    def test_sample_number_stays_at_home(self) -> None:
        """It tells samples apart for caches, not for the provider."""
        assert encode(asking(sample=7)) == encode(ASK)


class TestTools:
    @pytest.mark.parametrize("choice", ["auto", "none", "required"])
    def test_tools_and_choice(self, choice: str) -> None:
        """A tool is a function with a schema; the common choices are words."""
        body = encode(asking(tools=(TOOL,), tool_choice=choice))
        assert body["tool_choice"] == choice
        assert body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}

    def test_choice_of_one_tool(self) -> None:
        """Any other word is the name of a tool."""
        body = encode(asking(tools=(TOOL,), tool_choice="add"))
        assert body["tool_choice"] == {"type": "function", "function": {"name": "add"}}

    def test_endpoint_without_tools(self) -> None:
        """They are left out and recorded by name."""
        found = dropped(asking(tools=(TOOL,), tool_choice="auto"), Compat(tools=False))
        assert found["tools"].asked == ["add"]

    def test_endpoint_without_choice(self) -> None:
        """Tools go out, the choice is recorded."""
        request = asking(tools=(TOOL,), tool_choice="required")
        body = encode(request, PRESETS["ollama"])
        assert ("tools" in body, "tool_choice" in body) == (True, False)
        assert dropped(request, PRESETS["ollama"])["tool_choice"].asked == "required"


class TestResponseFormat:
    def test_schema(self) -> None:
        """Name, schema and strictness, also from a read-only mapping."""
        asked = ResponseFormat("json_schema", name="sum", schema=MappingProxyType(SCHEMA))
        assert encode(asking(response_format=asked))["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "sum", "schema": SCHEMA, "strict": True},
        }

    def test_any_object(self) -> None:
        """JSON mode."""
        body = encode(asking(response_format=ResponseFormat("json_object")))
        assert body["response_format"] == {"type": "json_object"}

    @pytest.mark.parametrize(
        ("best", "asked", "sent", "recorded"),
        [
            ("json_object", "json_schema", {"type": "json_object"}, True),
            ("json_object", "json_object", {"type": "json_object"}, False),
            ("none", "json_schema", None, True),
            ("none", "json_object", None, True),
        ],
    )
    def test_weaker_endpoint(
        self, best: Any, asked: Any, sent: dict[str, str] | None, recorded: bool
    ) -> None:
        """The next best form goes out, and what was lost is on record."""
        request = asking(response_format=ResponseFormat(asked, schema=SCHEMA))
        compat = Compat(structured_output=best)
        assert encode(request, compat).get("response_format") == sent
        assert ("response_format" in dropped(request, compat)) is recorded


class TestStream:
    def test_usage_is_asked_for(self) -> None:
        """Without that, a streamed answer has no cost."""
        body = encode(ASK, stream=True)
        assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})

    def test_unless_it_is_not_taken(self) -> None:
        """Some endpoints refuse the option."""
        assert "stream_options" not in encode(ASK, Compat(stream_usage=False), stream=True)


class TestHardText:
    def test_lone_surrogates_go_out_escaped(self) -> None:
        """Models write them, and their text comes back to them."""
        body = encode_request(Request((Message("user", "a\ud83d"),)), OPENAI, stream=False).body
        assert b"a\\ud83d" in body

    def test_huge_integer_in_a_schema(self) -> None:
        """Beyond 64 bits it goes out as it is."""
        asked = ResponseFormat("json_schema", schema={"maximum": 2**70})
        body = encode_request(asking(response_format=asked), OPENAI, stream=False).body
        assert str(2**70).encode() in body

    def test_what_is_not_json_is_an_error(self) -> None:
        """A schema with an object of Python in it names it."""
        asked = ResponseFormat("json_schema", schema={"default": object()})
        with pytest.raises(InvalidRequest, match="object is not JSON"):
            encode_request(asking(response_format=asked), OPENAI, stream=False)

    def test_endless_schema_is_an_error(self) -> None:
        """A schema that contains itself does not take the process down."""
        endless: dict[str, Any] = {}
        endless["again"] = endless
        asked = ResponseFormat("json_schema", schema=endless)
        with pytest.raises(InvalidRequest, match="cannot be written"):
            encode_request(asking(response_format=asked), OPENAI, stream=False)

    @given(
        st.text(),
        st.floats(0, 2),
        st.integers(1, 2**31),
        st.lists(st.text(min_size=1), max_size=4),
        st.sampled_from(sorted(PRESETS)),
        st.booleans(),
    )
    def test_any_request_satisfies_the_official_types(
        self, text: str, temperature: float, number: int, stop: list[str], server: str, stream: bool
    ) -> None:
        """Whatever is asked of whichever server, OpenAI's SDK would take the body."""
        sampling = Sampling(
            temperature=temperature, max_tokens=number, seed=number, stop=tuple(stop)
        )
        request = Request(
            (Message("user", text),),
            sampling=sampling,
            response_format=ResponseFormat("json_object"),
        )
        body = encode(request, PRESETS[server], stream=stream)
        assert body["messages"] == [{"role": "user", "content": text}]
