"""Anthropic's streams: whole ones, cut ones, and those that are something else."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from anthropic import AsyncAnthropic
from hypothesis import given, strategies as st

from dspex.clients.wire.anthropic_decode import decode_body
from dspex.clients.wire.anthropic_stream import AnthropicStreamDecoder
from dspex.errors import (
    ContextWindowExceeded,
    ProtocolError,
    ProviderError,
    RateLimited,
    ServerError,
)
from dspex.messages import (
    Citation,
    FinishReason,
    ReasoningPart,
    Response,
    StreamEnd,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)
from tests.support.capture import capture


def event(kind: str, **fields: Any) -> bytes:
    """Write one named event."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def start(**changes: Any) -> bytes:
    """Write the first event: a message with its input's usage, and nothing said yet."""
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 1},
    }
    return event("message_start", message={**message, **changes})


def block(index: int, first: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    """Write a whole block."""
    rows = [event("content_block_delta", index=index, delta=delta) for delta in deltas]
    begin = event("content_block_start", index=index, content_block=first)
    return begin + b"".join(rows) + event("content_block_stop", index=index)


def text(index: int, *pieces: str) -> bytes:
    """Write a block of text."""
    first = {"type": "text", "text": ""}
    return block(index, first, *({"type": "text_delta", "text": piece} for piece in pieces))


def end(reason: str = "end_turn", **usage: Any) -> bytes:
    """Write the last two events."""
    delta = {"stop_reason": reason, "stop_sequence": None}
    counts = {"output_tokens": 7, **usage}
    return event("message_delta", delta=delta, usage=counts) + event("message_stop")


def decode(*pieces: bytes) -> list[StreamEvent]:
    """Decode a whole stream."""
    decoder = AnthropicStreamDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def response(*pieces: bytes) -> Response:
    """Decode a whole stream to its Response, and check its frame: one start, one end."""
    first, *middle, last = decode(*pieces)
    assert isinstance(first, StreamStart)
    assert isinstance(last, StreamEnd)
    assert not any(isinstance(event, StreamStart | StreamEnd) for event in middle)
    return last.response


CITATION = {
    "type": "char_location",
    "cited_text": "a",
    "document_index": 0,
    "document_title": "paper",
    "start_char_index": 3,
    "end_char_index": 9,
}
THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "h"},
    {"type": "thinking_delta", "thinking": "m"},
    {"type": "signature_delta", "signature": "sig"},
)
REDACTED = block(1, {"type": "redacted_thinking", "data": "xyz"})
SAID = block(
    2,
    {"type": "text", "text": ""},
    {"type": "text_delta", "text": "Hel"},
    {"type": "citations_delta", "citation": CITATION},
    {"type": "text_delta", "text": "lo"},
)
CALL = block(
    3,
    {"type": "tool_use", "id": "t1", "name": "add", "input": {}},
    {"type": "input_json_delta", "partial_json": ""},
    {"type": "input_json_delta", "partial_json": '{"x"'},
    {"type": "input_json_delta", "partial_json": ": 1}"},
)
BARE_CALL = block(4, {"type": "tool_use", "id": "t2", "name": "now", "input": {}})
PING = event("ping")
WHOLE = (start(), PING, THINKING, REDACTED, SAID, PING, CALL, BARE_CALL, end("tool_use"))
HELLO = (start(), text(0, "Hel", "lo"), end())


class TestWholeAnswers:
    def test_everything(self) -> None:
        """Start, deltas of every kind, end."""
        first, *deltas, last = decode(*WHOLE)
        assert first == StreamStart("claude-x", "msg_1")
        assert deltas == [
            TextDelta("h", reasoning=True),
            TextDelta("m", reasoning=True),
            TextDelta("Hel"),
            TextDelta("lo"),
            ToolCallDelta(0, id="t1", name="add"),
            ToolCallDelta(0, arguments='{"x"'),
            ToolCallDelta(0, arguments=": 1}"),
            ToolCallDelta(1, id="t2", name="now"),
            ToolCallDelta(1, arguments="{}"),
        ]
        assert isinstance(last, StreamEnd)
        (choice,) = last.response.choices
        assert (choice.text, choice.reasoning) == ("Hello", "hm")
        assert choice.finish_reason is FinishReason.TOOL_CALLS
        assert choice.tool_calls == (ToolCall("t1", "add", '{"x": 1}'), ToolCall("t2", "now", "{}"))
        assert choice.thinking == (
            ReasoningPart("hm", signature="sig"),
            ReasoningPart(encrypted="xyz"),
        )
        assert choice.citations == (Citation("a", source="paper", start=3, end=9),)

    async def test_the_official_library_reads_the_same(self) -> None:
        """What these tests write is what Anthropic's own parser takes, and it finds the same."""
        async with capture() as server:
            server.answer_events(*WHOLE)
            client = AsyncAnthropic(api_key="k", base_url=server.url, max_retries=0)
            async with (
                client,
                client.messages.stream(
                    model="m", max_tokens=9, messages=[{"role": "user", "content": "?"}]
                ) as stream,
            ):
                official = await stream.get_final_message()

        whole = decode_body(official.model_dump_json().encode())
        ours = response(*WHOLE)
        assert whole.choices[0].thinking == ours.choices[0].thinking
        assert whole.usage == ours.usage
        assert [orjson.loads(call.arguments) for call in whole.choices[0].tool_calls] == [
            orjson.loads(call.arguments) for call in ours.choices[0].tool_calls
        ]
        assert (whole.text, whole.model, whole.request_id) == ("Hello", "claude-x", "msg_1")

    def test_usage_is_cumulative(self) -> None:
        """The last of each count holds; those that the end leaves out are those of the start."""
        usage = response(start(), text(0, "x"), end(input_tokens=None)).usage
        assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (8, 3, 7)

    def test_end_of_the_stream_after_the_reason(self) -> None:
        """Without message_stop the answer is whole once it has said why it ended."""
        cut = end().split(b"event: message_stop")[0]
        assert response(start(), text(0, "x"), cut).text == "x"

    def test_nothing_counts_after_the_end(self) -> None:
        """What comes after message_stop is not read."""
        assert response(*HELLO, b"data: garbage\n\n").text == "Hello"

    def test_nothing_said(self) -> None:
        """A model may have nothing to say."""
        assert response(start(), end()).text == ""

    def test_refusal(self) -> None:
        """It ends a stream like any reason."""
        delta = {"stop_reason": "refusal", "stop_details": {"explanation": "no."}}
        pieces = (start(), text(0, "I"), event("message_delta", delta=delta, usage={}))
        choice = response(*pieces, event("message_stop")).choices[0]
        assert (choice.finish_reason, choice.refusal) == (FinishReason.CONTENT_FILTER, "no.")

    def test_no_room_left(self) -> None:
        """An answer that ran out of context is no answer."""
        with pytest.raises(ContextWindowExceeded):
            decode(start(), text(0, "x"), end("model_context_window_exceeded"))


class TestOddStreams:
    def test_input_that_comes_whole(self) -> None:
        """Followers give all arguments with the beginning of the call."""
        first = {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}
        pieces = (start(), event("content_block_start", index=0, content_block=first), end())
        deltas = decode(*pieces)[1:-1]
        assert deltas == [ToolCallDelta(0, id="t", name="f"), ToolCallDelta(0, arguments='{"x":1}')]
        assert response(*pieces).choices[0].tool_calls == (ToolCall("t", "f", '{"x":1}'),)

    def test_text_that_comes_with_the_beginning(self) -> None:
        """It is part of the block."""
        first = {"type": "text", "text": "Hel"}
        pieces = (start(), block(0, first, {"type": "text_delta", "text": "lo"}), end())
        assert decode(*pieces)[1:3] == [TextDelta("Hel"), TextDelta("lo")]
        assert response(*pieces).text == "Hello"

    @pytest.mark.parametrize(
        ("delta", "expected"),
        [
            ({"type": "text_delta", "text": "x"}, TextDelta("x")),
            ({"type": "thinking_delta", "thinking": "x"}, TextDelta("x", reasoning=True)),
        ],
    )
    def test_a_block_without_beginning(self, delta: dict[str, Any], expected: TextDelta) -> None:
        """Its first piece says what it is."""
        pieces = (start(), event("content_block_delta", index=0, delta=delta), end())
        assert decode(*pieces)[1] == expected

    def test_content_that_comes_with_the_message(self) -> None:
        """It is the beginning of the answer."""
        pieces = (start(content=[{"type": "text", "text": "Hel"}]), text(1, "lo"), end())
        assert response(*pieces).text == "Hello"

    def test_a_piece_of_another_kind_than_its_block(self) -> None:
        """Text for a call and arguments for a text are passed over."""
        pieces = (
            start(),
            block(
                0, {"type": "text", "text": "x"}, {"type": "input_json_delta", "partial_json": "{"}
            ),
            block(1, {"type": "tool_use", "name": "f"}, {"type": "text_delta", "text": "y"}),
            end(),
        )
        choice = response(*pieces).choices[0]
        assert (choice.text, choice.tool_calls) == ("x", (ToolCall("call_0", "f", "{}"),))

    def test_without_message_start(self) -> None:
        """The answer begins with its first block."""
        assert response(text(0, "x"), end()).text == "x"

    @pytest.mark.parametrize(
        "odd",
        [
            b": comment\n\n",
            b"data: {}\n\n",
            b'data: {"type": 3}\n\n',
            b'data: {"type": "new_event"}\n\n',
            event("content_block_stop", index=9),
            event("content_block_delta", index=0, delta={"type": "new_delta"}),
            event("content_block_delta", index=0, delta=None),
            event("content_block_start", index=5, content_block=None),
            event("message_delta", delta=None, usage=None),
            b"data: [DONE]\n\n",
        ],
    )
    def test_what_is_not_known_is_passed_over(self, odd: bytes) -> None:
        """New events and odd ones change nothing."""
        assert response(start(), text(0, "Hello"), odd, end()).text == "Hello"


class TestCutAndBroken:
    @pytest.mark.parametrize(
        "pieces",
        [(), (PING,), HELLO[:1], HELLO[:2], (b": only a comment\n\n",), (event("message_stop"),)],
        ids=["nothing", "ping", "start", "text", "comment", "stop alone"],
    )
    def test_cut_stream_raises(self, pieces: tuple[bytes, ...]) -> None:
        """Half an answer never passes for a whole one."""
        with pytest.raises(ProtocolError, match="ended before") as caught:
            decode(*pieces)

        assert caught.value.data.code == "truncated"

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("overloaded_error", ServerError),
            ("api_error", ServerError),
            ("rate_limit_error", RateLimited),
        ],
    )
    def test_error_within_the_stream(self, kind: str, expected: type[ProviderError]) -> None:
        """An error that comes after good events is raised for what it is."""
        with pytest.raises(expected, match="Overloaded"):
            decode(*HELLO[:2], event("error", error={"type": kind, "message": "Overloaded"}))

    @pytest.mark.parametrize("data", [b"hello", b"[1]", b"3", b"{", b"\xff"])
    def test_garbage_is_shown(self, data: bytes) -> None:
        """Something that is no event is a protocol error."""
        with pytest.raises(ProtocolError):
            decode(b"data: " + data + b"\n\n")

    @given(st.lists(st.binary(max_size=20), max_size=6))
    def test_any_bytes_raise_nothing_else(self, pieces: list[bytes]) -> None:
        """No stream of bytes raises anything but a ProviderError."""
        with pytest.raises(ProviderError):
            decode(*pieces)

    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from(["type", "index", "delta", "message", "content_block", "usage"]),
                st.sampled_from(
                    [
                        *("message_start", "content_block_start", "content_block_delta"),
                        *("content_block_stop", "message_delta", "message_stop"),
                        *(0, None, True, [], {}, {"type": "text_delta", "text": 3}),
                        *({"type": "tool_use", "input": 3}, {"content": [{"type": "text"}, 3]}),
                        *({"type": "input_json_delta", "partial_json": "{"}, {"stop_reason": 1}),
                        *({"type": "citations_delta", "citation": {}}, {"stop_reason": "end_turn"}),
                    ]
                ),
            ),
            max_size=8,
        )
    )
    def test_any_events_are_an_answer_or_an_error(self, rows: list[dict[str, Any]]) -> None:
        """No sequence of events raises anything but a ProviderError."""
        try:
            found = response(*(b"data: " + orjson.dumps(row) + b"\n\n" for row in rows))
        except ProviderError:
            return

        assert Response.from_dict(found.to_dict()) == found


class TestAnyCutting:
    @given(st.sampled_from([b"\n", b"\r", b"\r\n"]), st.data())
    def test_pieces_change_nothing(self, line_end: bytes, draw: st.DataObject) -> None:
        """However the bytes are cut and the lines end, the events are the same."""
        whole = b"".join(WHOLE).replace(b"\n", line_end)
        cuts = sorted(draw.draw(st.sets(st.integers(0, len(whole)), max_size=12)))
        pieces = [whole[start:end] for start, end in pairwise([0, *cuts, len(whole)])]
        assert decode(*pieces) == decode(*WHOLE)

    @given(st.lists(st.text(max_size=8), max_size=4), st.integers(0, 9))
    def test_stream_gives_what_a_whole_answer_gives(self, texts: list[str], tokens: int) -> None:
        """Folding the stream is the same as asking without one."""
        usage = {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": tokens}
        content = [{"type": "text", "text": piece} for piece in texts]
        whole = {"id": "msg_1", "model": "claude-x", "content": content, "usage": usage}
        body = orjson.dumps({**whole, "stop_reason": "end_turn"})
        blocks = [text(index, *piece) for index, piece in enumerate(texts)]
        assert response(start(), *blocks, end(output_tokens=tokens)) == decode_body(body)
