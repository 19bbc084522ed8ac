"""Answers become JSON and come back whole; anything else is refused."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.cache.codec import as_hit, decode_answer, decode_json, encode_answer, encode_json
from dspex.messages import (
    Choice,
    Citation,
    DroppedParam,
    EmbedResponse,
    FinishReason,
    ReasoningPart,
    Response,
    TokenLogprob,
    ToolCall,
)
from dspex.usage import Usage

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
MAYBE = st.none() | TEXTS
KEPT = (FinishReason.STOP, FinishReason.LENGTH, FinishReason.TOOL_CALLS)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)

CHOICES = st.builds(
    Choice,
    TEXTS,
    finish_reason=st.sampled_from(KEPT),
    reasoning=MAYBE,
    refusal=MAYBE,
    tool_calls=st.just(()) | st.tuples(st.builds(ToolCall, TEXTS, TEXTS, TEXTS, signature=MAYBE)),
    thinking=st.just(()) | st.tuples(st.builds(ReasoningPart, TEXTS, signature=MAYBE)),
    logprobs=st.just(()) | st.tuples(st.builds(TokenLogprob, TEXTS, NUMBERS)),
    citations=st.just(()) | st.tuples(st.builds(Citation, TEXTS, source=MAYBE)),
)
RESPONSES = st.builds(
    Response,
    st.lists(CHOICES, min_size=1, max_size=3).map(tuple),
    model=TEXTS,
    endpoint=TEXTS,
    request_id=MAYBE,
    usage=st.just(Usage(calls=1, input_tokens=7, cost_usd=Decimal("0.1"))),
    latency_s=st.just(1.5),
    dropped=st.just(()) | st.just((DroppedParam("seed", 3, None, "not taken"),)),
)


class TestRoundTrip:
    @given(RESPONSES)
    def test_an_answer_comes_back_whole_and_used_nothing(self, answer: Response) -> None:
        """Lone surrogates, tools, thinking and all."""
        assert as_hit(answer) == decode_answer(encode_answer(answer))

    @given(st.lists(st.lists(NUMBERS, min_size=1).map(tuple), min_size=1).map(tuple))
    def test_vectors_come_back_whole(self, vectors: tuple[tuple[float, ...], ...]) -> None:
        """To the last digit."""
        answer = EmbedResponse(vectors, model="m", endpoint="e")

        assert as_hit(answer) == decode_answer(encode_answer(answer))

    @given(RESPONSES)
    def test_what_is_written_is_what_the_message_itself_reads(self, answer: Response) -> None:
        """The format is that of `Response.from_dict`, which outlives this cache."""
        assert answer.choices == Response.from_dict(decode_json(encode_answer(answer))).choices

    def test_a_plain_answer_is_short(self) -> None:
        """Ten thousand empty fields would be most of the file."""
        assert len(encode_answer(Response((Choice("x" * 100),)))) < 250


class TestRefused:
    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"\xff",
            b"{",
            b"null",
            b"[]",
            b"{}",
            b'"text"',
            b'{"choices": []}',
            b'{"choices": [{"text": "x", "finish_reason": "error"}]}',
            b'{"choices":[{"text":"x","finish_reason":"error"}],"model":"","endpoint":"","request_id":null}',
            b'{"choices":[{"text":5,"finish_reason":"stop"}],"model":"","endpoint":"","request_id":null}',
            b'{"choices": [null], "model": "", "endpoint": "", "request_id": null}',
            b'{"vectors": "none"}',
            b'{"vectors": []}',
        ],
    )
    def test_bytes_that_are_no_answer(self, value: bytes) -> None:
        """Somebody else wrote the file, or the disk made it up."""
        with pytest.raises(ValueError):  # noqa: PT011 - each of them says something else
            decode_answer(value)

    @given(st.binary(max_size=60))
    def test_no_bytes_do_any_harm(self, value: bytes) -> None:
        """A ValueError, or an answer, and nothing else."""
        with suppress(ValueError):
            decode_answer(value)


class TestJson:
    def test_numbers_beyond_64_bits_survive(self) -> None:
        """Python's integers have no end."""
        assert {"n": 2**80} == decode_json(encode_json({"n": 2**80}))

    def test_it_is_json_for_everybody(self) -> None:
        """Other tools may look."""
        assert {"a": 1} == orjson.loads(encode_json({"a": 1}))
