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
    AudioPart,
    Compat,
    DroppedParam,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
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

    @pytest.mark.parametrize(
        ("part", "problem"),
        [
            (AudioPart("AAAA", "wav"), "no audio; got 'wav'"),
            (FilePart("https://x/y.pdf"), "no files; got 'https://x/y.pdf'"),
            (FilePart(file_id="file-1"), "no files; got 'file-1'"),
        ],
        ids=["audio", "file", "file by id"],
    )
    def test_part_that_is_not_taken_is_an_error(self, part: Any, problem: str) -> None:
        """Leaving it out would change the question."""
        with pytest.raises(InvalidRequest, match=problem):
            encode_request(Request((Message("user", (part,)),)), Compat(), stream=False)

    def test_file_elsewhere_where_only_data_are_read(self) -> None:
        """OpenAI's chat fetches no files."""
        request = Request((Message("user", (FilePart("https://x/y.pdf"),)),))
        with pytest.raises(InvalidRequest, match="files only as data: URLs"):
            encode_request(request, PRESETS["openai"], stream=False)

    def test_wish_for_citations_is_recorded(self) -> None:
        """This wire has no way to ask for them."""
        file = FilePart("data:application/pdf;base64,AAAA", citations=True)
        request = Request((Message("user", (file,)),))
        assert dropped(request, PRESETS["openai"])["citations"].asked is True

    def test_result_of_a_tool_is_one_text(self) -> None:
        """Some servers refuse a list there."""
        turn = Message("tool", (TextPart("a"), TextPart("b")), tool_call_id="c")
        assert encode(Request((turn,)))["messages"][0]["content"] == "ab"

    def test_image_from_a_tool_is_an_error(self) -> None:
        """It would be taken and not looked at."""
        turn = Message("tool", (TextPart("a"), ImagePart(PIXEL)), tool_call_id="c")
        with pytest.raises(InvalidRequest, match="result of a tool as text; got image"):
            encode_request(Request((turn,)), OPENAI, stream=False)

    @pytest.mark.parametrize(
        ("content", "sent"),
        [("no such file", "Error: no such file"), ("Error 7", "Error 7"), ("", "Error: ")],
    )
    def test_failed_tool_says_so(self, content: str, sent: str) -> None:
        """There is no field for it, so that the text says it, once."""
        turn = Message("tool", content, tool_call_id="c", is_error=True)
        assert encode(Request((turn,)))["messages"][0]["content"] == sent

    def test_thinking_goes_back_where_it_must(self) -> None:
        """Under the server's own name for it, in one text."""
        thought = (ReasoningPart("two "), ReasoningPart("and two"))
        turns = Request((Message("assistant", "4", reasoning=thought),))
        replayed = Compat(replay_reasoning=True, reasoning_field="thoughts")
        (row,) = encode(turns, PRESETS["deepseek"])["messages"]
        assert row["reasoning_content"] == "two and two"
        assert encode(turns, replayed)["messages"][0]["thoughts"] == "two and two"
        assert encode(turns)["messages"] == [{"role": "assistant", "content": "4"}]

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

    @pytest.mark.parametrize(
        ("server", "effort", "sent"),
        [
            ("openai", "high", {"reasoning_effort": "high"}),
            ("openai", "none", {"reasoning_effort": "none"}),
            ("openrouter", "high", {"reasoning": {"effort": "high"}}),
            ("deepseek", "high", {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
            ("zai", "none", {"thinking": {"type": "disabled"}}),
            ("xai", "low", {"thinking": {"type": "enabled"}, "reasoning_effort": "low"}),
            ("ollama", "none", {"reasoning_effort": "none"}),
            ("ollama", "minimal", {"reasoning_effort": "low"}),
            ("ollama", "xhigh", {"reasoning_effort": "max"}),
            ("moonshot", "medium", {"reasoning_effort": "high"}),
            ("moonshot", "none", {"reasoning_effort": "low"}),
            ("meta", "none", {"reasoning_effort": "minimal"}),
            ("lmstudio", "high", {}),
        ],
    )
    def test_effort_in_the_dialect_of_the_server(
        self, server: str, effort: str, sent: dict[str, Any]
    ) -> None:
        """Where it goes and which words there are is data; what was changed is on record."""
        request = asking(sampling=Sampling(reasoning_effort=effort))
        body = orjson.loads(encode_request(request, PRESETS[server], stream=False).body)
        del body["model"], body["messages"]
        assert body == sent
        applied = sent.get("reasoning_effort", effort if sent else None)
        found = dropped(request, PRESETS[server]).get("reasoning_effort")
        assert (found is not None) is (applied != effort)
        assert found is None or (found.asked, found.applied) == (effort, applied)

    def test_bound_on_the_thinking(self) -> None:
        """It goes where the server has a field for it, beside the effort or alone."""
        both = asking(sampling=Sampling(reasoning_effort="low", reasoning_tokens=64))
        assert encode(both, PRESETS["openrouter"])["reasoning"] == {
            "effort": "low",
            "max_tokens": 64,
        }
        alone = asking(sampling=Sampling(reasoning_tokens=64))
        assert encode(alone, PRESETS["vllm"])["thinking_token_budget"] == 64
        assert dropped(alone, OPENAI)["reasoning_tokens"].asked == 64

    def test_what_is_not_openais(self) -> None:
        """Most likely tokens alone: where the server knows it, and on record elsewhere."""
        request = asking(sampling=Sampling(top_k=5))
        assert encode(request, PRESETS["vllm"])["top_k"] == 5
        assert dropped(request, OPENAI)["top_k"] == DroppedParam(
            "top_k", 5, None, "the endpoint does not take it"
        )

    def test_log_probabilities_alone(self) -> None:
        """The likely others go out only where they were asked for."""
        body = encode(asking(sampling=Sampling(logprobs=True)))
        assert (body["logprobs"], "top_logprobs" in body) == (True, False)

    def test_what_is_not_taken_is_recorded(self) -> None:
        """Each parameter left out is on record with what was asked."""
        sampling = Sampling(
            temperature=0.5,
            top_p=0.5,
            n=2,
            seed=7,
            stop=("x",),
            presence_penalty=1.0,
            reasoning_effort="high",
            top_logprobs=2,
        )
        poor = Compat(
            temperature=False,
            n=False,
            seed=False,
            stop=False,
            penalties=False,
            reasoning_effort=False,
            logprobs=False,
        )
        found = dropped(asking(sampling=sampling), poor)
        assert {name: (param.asked, param.applied) for name, param in found.items()} == {
            "temperature": (0.5, None),
            "top_p": (0.5, None),
            "n": (2, 1),
            "logprobs": (True, None),
            "top_logprobs": (2, None),
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

    def test_strictness_only_where_it_was_asked(self) -> None:
        """None leaves it to the provider."""
        for strict, sent in ((None, {}), (True, {"strict": True}), (False, {"strict": False})):
            tool = ToolSpec("add", "Add numbers.", {"type": "object"}, strict=strict)
            (row,) = encode(asking(tools=(tool,)))["tools"]
            assert {key: row["function"][key] for key in row["function"] if key == "strict"} == sent

    def test_calls_at_the_same_time(self) -> None:
        """The wish goes out with the tools, or is recorded."""
        request = asking(tools=(TOOL,), parallel_tool_calls=False)
        assert encode(request)["parallel_tool_calls"] is False
        assert dropped(request, PRESETS["ollama"])["parallel_tool_calls"].asked is False
        assert "parallel_tool_calls" not in encode(asking(parallel_tool_calls=False))

    def test_choice_without_tools(self) -> None:
        """What makes no sense is for the provider to refuse."""
        assert encode(asking(tool_choice="none"))["tool_choice"] == "none"

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

    def test_schema_at_the_top(self) -> None:
        """Where a server looks for it there, it stands in both places."""
        asked = ResponseFormat("json_schema", name="sum", schema=SCHEMA)
        request = asking(response_format=asked)
        body = orjson.loads(encode_request(request, PRESETS["llamacpp"], stream=False).body)
        assert body["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "sum", "schema": SCHEMA, "strict": True},
            "schema": SCHEMA,
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


class TestOwnFields:
    def test_they_win(self) -> None:
        """What the provider alone knows goes out as it is, over what the wire would write."""
        extra = {"temperature": 0.9, "min_p": 0.1, "stream_options": None}
        request = asking(sampling=Sampling(temperature=0.1), extra=extra)
        body = orjson.loads(encode_request(request, PRESETS["vllm"], stream=True).body)
        assert (body["temperature"], body["min_p"], body["stream_options"]) == (0.9, 0.1, None)


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
