"""What a request may use is guessed for rates, and bounded from above for budgets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.clients.limits.estimates import (
    DEFAULT_OUTPUT_TOKENS,
    bound_output,
    bound_usage,
    estimate_usage,
)
from dspex.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Request,
    ResponseFormat,
    Sampling,
    TextPart,
    ToolCall,
    ToolSpec,
)


def ask(content: Any = "hi", **fields: Any) -> Request:
    return Request((Message("user", content),), **fields)


def bound(content: Any = "hi", **fields: Any) -> int:
    return bound_usage(ask(content, **fields)).input_tokens


class TestEstimate:
    def test_counts_the_prompt_and_every_bounded_choice(self) -> None:
        """Four characters a token, and the output bound for each choice asked for."""
        message = Message("user", (TextPart("x" * 40), ImagePart("data:,")))
        request = Request((message,), sampling=Sampling(max_tokens=100, n=3))

        estimate = estimate_usage(request)

        assert (11, 300, 1) == (estimate.input_tokens, estimate.output_tokens, estimate.calls)


class TestBoundOutput:
    def test_a_request_with_a_bound_stays_as_it_is(self) -> None:
        """Nothing is added and nothing copied."""
        request = ask(sampling=Sampling(max_tokens=5))

        assert (request, None) == bound_output(request, 100)

    @pytest.mark.parametrize(("default", "sent"), [(100, 100), (None, DEFAULT_OUTPUT_TOKENS)])
    def test_one_without_gets_the_endpoints_and_says_so(
        self, default: int | None, sent: int
    ) -> None:
        """What was added is on record, as what was left out is."""
        request, added = bound_output(ask(), default)

        assert sent == request.sampling.max_tokens
        assert added is not None
        assert ("max_tokens", None, sent) == (added.name, added.asked, added.applied)

    def test_everything_else_is_asked_as_before(self) -> None:
        """Each field of the request comes through."""
        request = ask(
            model="m",
            sampling=Sampling(temperature=0.5, seed=3),
            tools=(ToolSpec("look", "Look it up.", {"type": "object"}),),
            tool_choice="required",
            parallel_tool_calls=False,
            response_format=ResponseFormat("json_object"),
            extra={"user": "u"},
            sample=4,
        )
        bounded, _ = bound_output(request, 100)

        assert replace(request, sampling=replace(request.sampling, max_tokens=100)) == bounded

    def test_thinking_gets_room_of_its_own(self) -> None:
        """A bound below the thinking that was asked for would leave none for the answer."""
        request, _ = bound_output(ask(sampling=Sampling(reasoning_tokens=1_000)), 100)

        assert 1_100 == request.sampling.max_tokens

    def test_the_providers_own_field_is_a_bound_as_well(self) -> None:
        """What is in `extra` wins over what the wire would write."""
        request = ask(extra={"max_completion_tokens": 7, "n": 2})

        assert (request, None) == bound_output(request, 100)
        assert 14 == bound_usage(request).output_tokens


class TestBoundUsage:
    @given(st.text(max_size=200))
    def test_no_text_has_more_tokens_than_bytes(self, text: str) -> None:
        """A tokenizer that falls back to single bytes is the worst there is."""
        assert len(text.encode("utf-8", "replace")) <= bound(text)

    def test_every_choice_may_be_as_long_as_the_bound(self) -> None:
        """Asking for three sets three aside."""
        assert 30 == bound_usage(ask(sampling=Sampling(max_tokens=10, n=3))).output_tokens

    @pytest.mark.parametrize(
        "part",
        [
            ImagePart("https://example.test/x.png"),
            ImagePart("data:image/png;base64,AAAA"),
            AudioPart("A" * 6_400, "wav"),
            FilePart("data:application/pdf;base64," + "A" * 500),
            FilePart("https://example.test/x.pdf"),
            FilePart(file_id="file-1"),
        ],
        ids=lambda part: type(part).__name__,
    )
    def test_other_parts_count(self, part: Part) -> None:
        """A picture or a document is not free because it is no text."""
        assert bound((TextPart("hi"), part)) >= bound("hi") + 200

    @pytest.mark.parametrize(
        "fields",
        [
            {"tools": (ToolSpec("look", "Look it up. " * 20, {"type": "object"}),)},
            {"response_format": ResponseFormat("json_schema", schema={"enum": ["x" * 200]})},
        ],
        ids=["tools", "schema"],
    )
    def test_schemas_count(self, fields: dict[str, Any]) -> None:
        """They are part of the prompt that the server makes."""
        assert bound(**fields) >= bound() + 200

    def test_turns_with_calls_and_thinking_count(self) -> None:
        """What the model said before is read again."""
        turn = Message(
            "assistant",
            "",
            tool_calls=(ToolCall("1", "look", "x" * 100),),
            reasoning=(ReasoningPart("y" * 100),),
        )

        assert bound_usage(Request((turn,))).input_tokens >= 200
