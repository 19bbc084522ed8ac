"""Requests as the body of OpenAI's Responses; the common ones stand beside the official library."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter

from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.responses_encode import encode_request
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

OPENAI = PRESETS["openai-responses"]
ASK = (Message("user", "2+2?"),)
TOOL = ToolSpec("add", "Add numbers.", {"type": "object"})
WHOLE: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsNonStreaming)
STREAMED: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsStreaming)


def encode(request: Request, compat: Compat = OPENAI, *, stream: bool = False) -> dict[str, Any]:
    """Encode, check against the official types, and decode again."""
    body: dict[str, Any] = orjson.loads(encode_request(request, compat, stream=stream).body)
    (STREAMED if stream else WHOLE).validate_python(body)
    return body


def asking(**changes: Any) -> Request:
    """Build a request with other fields."""
    return Request(ASK, model="gpt", **changes)


def dropped(request: Request, compat: Compat = OPENAI) -> dict[str, DroppedParam]:
    """Encode and return what was left out, by name."""
    return {param.name: param for param in encode_request(request, compat, stream=False).dropped}


class TestBody:
    def test_plain_request(self) -> None:
        """Nothing is stored, and nothing is sent that was not set."""
        assert encode(asking()) == {
            "model": "gpt",
            "input": [{"role": "user", "content": "2+2?"}],
            "store": False,
        }

    def test_own_fields_win(self) -> None:
        """Even over what the wire always says."""
        assert encode(asking(extra={"store": True, "truncation": "auto"}))["store"] is True

    def test_only_instructions(self) -> None:
        """They are items then: an answer needs something to answer."""
        body = encode(Request((Message("system", "Be brief."),)))
        assert body["input"] == [{"role": "developer", "content": "Be brief."}]
        assert "instructions" not in body

    def test_what_the_wire_has_no_field_for_is_recorded(self) -> None:
        """Each with what was asked."""
        sampling = Sampling(
            stop=("x",),
            seed=7,
            n=2,
            presence_penalty=1.0,
            frequency_penalty=1.0,
            top_k=5,
            reasoning_tokens=64,
        )
        found = dropped(asking(sampling=sampling))
        assert {name: (param.asked, param.applied) for name, param in found.items()} == {
            "stop": (["x"], None),
            "seed": (7, None),
            "n": (2, 1),
            "presence_penalty": (1.0, None),
            "frequency_penalty": (1.0, None),
            "top_k": (5, None),
            "reasoning_tokens": (64, None),
        }
        assert encode(asking(sampling=sampling)) == encode(asking())

    def test_weaker_endpoint(self) -> None:
        """What it does not take is recorded in the same way."""
        sampling = Sampling(
            temperature=0.5, top_p=0.5, reasoning_effort="high", logprobs=True, top_logprobs=2
        )
        poor = Compat(temperature=False, reasoning_effort=False, logprobs=False, tools=False)
        found = dropped(asking(sampling=sampling, tools=(TOOL,), tool_choice="auto"), poor)
        assert sorted(found) == [
            "logprobs",
            "reasoning_effort",
            "temperature",
            "tools",
            "top_logprobs",
            "top_p",
        ]

    def test_effort_of_other_words(self) -> None:
        """The next stronger one goes out, and is recorded."""
        asked = asking(sampling=Sampling(reasoning_effort="medium"))
        clever = Compat(efforts=("low", "high"))
        assert encode(asked, clever)["reasoning"] == {"effort": "high"}
        assert dropped(asked, clever)["reasoning_effort"].applied == "high"

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({}, None),
            ({"sampling": Sampling(reasoning_effort="none")}, None),
            ({"sampling": Sampling(reasoning_effort="low")}, ["reasoning.encrypted_content"]),
            ({"sampling": Sampling(logprobs=True)}, ["message.output_text.logprobs"]),
            (
                {"sampling": Sampling(logprobs=True, reasoning_effort="low")},
                ["message.output_text.logprobs", "reasoning.encrypted_content"],
            ),
        ],
    )
    def test_include(self, changes: dict[str, Any], expected: list[str] | None) -> None:
        """Thinking is asked for only of a model that was asked to think: others refuse."""
        assert encode(asking(**changes)).get("include") == expected

    def test_include_where_thinking_must_go_back(self) -> None:
        """Then it is always asked for."""
        assert encode(asking(), Compat(replay_reasoning=True))["include"] == [
            "reasoning.encrypted_content"
        ]

    @pytest.mark.parametrize(
        ("best", "asked", "sent", "recorded"),
        [
            ("json_object", "json_schema", {"format": {"type": "json_object"}}, True),
            ("json_object", "json_object", {"format": {"type": "json_object"}}, False),
            ("none", "json_schema", None, True),
            ("none", "json_object", None, True),
        ],
    )
    def test_weaker_form_of_answer(
        self, best: Any, asked: Any, sent: dict[str, Any] | None, recorded: bool
    ) -> None:
        """The next best form goes out, and what was lost is on record."""
        request = asking(response_format=ResponseFormat(asked, schema={}))
        compat = Compat(structured_output=best)
        assert encode(request, compat).get("text") == sent
        assert ("response_format" in dropped(request, compat)) is recorded

    def test_tools_and_choice_apart(self) -> None:
        """Either goes out without the other."""
        body = encode(asking(tools=(TOOL,)))
        assert ("tools" in body, "tool_choice" in body) == (True, False)
        assert encode(asking(tool_choice="none"))["tool_choice"] == "none"


class TestItems:
    def test_thinking_comes_before_what_it_led_to(self) -> None:
        """Thinking, text and calls of one turn, in that order."""
        turn = Message(
            "assistant",
            "Let me see.",
            reasoning=(ReasoningPart(encrypted="x", id="rs_1"),),
            tool_calls=(ToolCall("c", "add", "{}"),),
        )
        items = encode(Request((turn,)))["input"]
        assert [item.get("type", item.get("role")) for item in items] == [
            "reasoning",
            "assistant",
            "function_call",
        ]
        assert items[0] == {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "encrypted_content": "x",
        }

    def test_parts_of_an_answer_are_one_text(self) -> None:
        """A model's turn that was put together by hand."""
        turn = Message("assistant", (TextPart("a"), TextPart("b")))
        assert encode(Request((turn,)))["input"] == [{"role": "assistant", "content": "ab"}]

    def test_name_of_the_speaker_is_recorded(self) -> None:
        """There is no field for it."""
        assert dropped(Request((Message("user", "hi", name="ann"),)))["name"].asked == "ann"

    def test_wish_for_citations_is_recorded(self) -> None:
        """Nor for this."""
        file = FilePart("https://x/y.pdf", citations=True)
        assert dropped(Request((Message("user", (file,)),)))["citations"].asked is True

    def test_failed_tool_says_so(self) -> None:
        """In its text."""
        turn = Message("tool", "no such file", tool_call_id="c", is_error=True)
        (item,) = encode(Request((turn,)))["input"]
        assert item["output"] == "Error: no such file"

    @pytest.mark.parametrize(
        ("role", "part", "problem"),
        [
            ("user", AudioPart("AAAA", "wav"), "no audio"),
            ("assistant", ImagePart("https://x/y.png"), "own turns as text; got image"),
            ("user", FilePart("data:text/plain,hello"), "base64"),
        ],
        ids=["audio", "image of a model", "data in the clear"],
    )
    def test_what_cannot_be_said_is_an_error(self, role: Any, part: Any, problem: str) -> None:
        """Leaving it out would change the question."""
        with pytest.raises(InvalidRequest, match=problem):
            encode_request(Request((Message(role, (part,)),)), OPENAI, stream=False)

    def test_image_that_would_not_be_seen_is_an_error(self) -> None:
        """Also where it is a tool that shows it."""
        turn = Message("tool", (ImagePart("https://x/y.png"),), tool_call_id="c")
        with pytest.raises(InvalidRequest, match="no images"):
            encode_request(Request((turn,)), Compat(images="none"), stream=False)

    @given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text())))
    def test_no_turn_is_lost(self, said: list[tuple[Any, str]]) -> None:
        """Every text is in the instructions or in an item, in its order."""
        body = encode(Request(tuple(Message(role, text) for role, text in said)))
        items = [item["content"] for item in body["input"]]
        head = len(said) - len(items)
        assert items == [text for _, text in said[head:]]
        assert body.get("instructions", "") == "\n\n".join(text for _, text in said[:head])
