"""Cohere's streams: whole ones, cut ones, and those that are something else."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from cohere import AsyncClientV2, UserChatMessageV2
from hypothesis import given, strategies as st

from dspex.clients.wire.cohere_decode import decode_body
from dspex.clients.wire.cohere_stream import CohereStreamDecoder
from dspex.errors import ProtocolError, ProviderError, ServerError
from dspex.messages import (
    Citation,
    FinishReason,
    ReasoningPart,
    Response,
    StreamEnd,
    StreamEvent,
    StreamStart,
    TextDelta,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
)
from tests.support.capture import capture

USAGE = {"tokens": {"input_tokens": 7.0, "output_tokens": 3.0}}


def event(kind: str, message: dict[str, Any] | None = None, **fields: Any) -> bytes:
    """Write one event."""
    row: dict[str, Any] = {"type": kind, **fields}
    if message is not None:
        row["delta"] = {"message": message}

    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps(row))


def said(kind: str, text: str, index: int = 0, **fields: Any) -> bytes:
    """Write more of a block."""
    return event("content-delta", {"content": {kind: text}}, index=index, **fields)


def block(kind: str, *pieces: str, index: int = 0) -> bytes:
    """Write a whole block."""
    begin = event("content-start", {"content": {"type": kind, kind: ""}}, index=index)
    rows = [said(kind, piece, index) for piece in pieces]
    return begin + b"".join(rows) + event("content-end", index=index)


def call(index: int, identity: str, name: str, *pieces: str) -> bytes:
    """Write a whole call of a tool."""
    function = {"name": name, "arguments": ""}
    row = {"id": identity, "type": "function", "function": function}
    begin = event("tool-call-start", {"tool_calls": row}, index=index)
    rows = [
        event("tool-call-delta", {"tool_calls": {"function": {"arguments": piece}}}, index=index)
        for piece in pieces
    ]
    return begin + b"".join(rows) + event("tool-call-end", index=index)


def end(reason: str | None = "COMPLETE", **fields: Any) -> bytes:
    """Write the last event."""
    return event("message-end", delta={"finish_reason": reason, "usage": USAGE, **fields})


def decode(*pieces: bytes) -> list[StreamEvent]:
    """Decode a whole stream."""
    decoder = CohereStreamDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def response(*pieces: bytes) -> Response:
    """Decode a whole stream to its Response, and check its frame: one start, one end."""
    first, *middle, last = decode(*pieces)
    assert isinstance(first, StreamStart)
    assert isinstance(last, StreamEnd)
    assert not any(isinstance(event, StreamStart | StreamEnd) for event in middle)
    return last.response


START = event("message-start", {"role": "assistant"}, id="c1")
PLAN = event("tool-plan-delta", {"tool_plan": "I "}) + event(
    "tool-plan-delta", {"tool_plan": "add."}
)
CITATION = {"start": 0, "end": 2, "text": "He", "sources": [{"type": "document", "id": "d1"}]}
CITED = event("citation-start", {"citations": CITATION}, index=0) + event("citation-end", index=0)
DONE = b"data: [DONE]\n\n"
WHOLE = (
    START,
    block("thinking", "h", "m"),
    PLAN,
    block("text", "Hel", "lo", index=1),
    CITED,
    call(0, "t1", "add", '{"x"', ": 1}"),
    call(1, "t2", "now"),
    end("TOOL_CALL"),
)
HELLO = (START, block("text", "Hel", "lo"), end())


class TestWholeAnswers:
    def test_everything(self) -> None:
        """Start, deltas of every kind, end."""
        first, *deltas, last = decode(*WHOLE, DONE)
        assert first == StreamStart("", "c1")
        assert deltas == [
            TextDelta("h", reasoning=True),
            TextDelta("m", reasoning=True),
            TextDelta("I ", reasoning=True),
            TextDelta("add.", reasoning=True),
            TextDelta("Hel"),
            TextDelta("lo"),
            ToolCallDelta(0, id="t1", name="add"),
            ToolCallDelta(0, arguments='{"x"'),
            ToolCallDelta(0, arguments=": 1}"),
            ToolCallDelta(1, id="t2", name="now"),
        ]
        assert isinstance(last, StreamEnd)
        (choice,) = last.response.choices
        assert (choice.text, choice.reasoning) == ("Hello", "hmI add.")
        assert choice.finish_reason is FinishReason.TOOL_CALLS
        assert choice.thinking == (ReasoningPart("hm"), ReasoningPart("I add.", id="tool_plan"))
        assert choice.tool_calls == (ToolCall("t1", "add", '{"x": 1}'), ToolCall("t2", "now", ""))
        assert choice.citations == (Citation("He", source="d1"),)
        assert (last.response.request_id, last.response.usage.output_tokens) == ("c1", 3)

    async def test_the_official_library_reads_the_same(self) -> None:
        """What these tests write is what Cohere's own parser takes, event by event."""
        async with capture() as server, AsyncClientV2("key", base_url=server.url) as client:
            server.answer_events(*WHOLE)
            stream = client.chat_stream(model="m", messages=[UserChatMessageV2(content="?")])
            official = [event async for event in stream]

        deltas = [event.delta.message for event in official if event.type == "content-delta"]
        ours = response(*WHOLE).choices[0]
        assert "".join(delta.content.text or "" for delta in deltas) == ours.text
        assert [event.type for event in official].count("tool-call-start") == len(ours.tool_calls)
        assert official[-1].delta.usage.tokens.output_tokens == 3.0
        assert official[-1].delta.finish_reason == "TOOL_CALL"

    def test_logprobs(self) -> None:
        """They come with the pieces that they are of."""
        row = {"text": "Hello", "token_ids": [1], "logprobs": [-0.5]}
        found = response(START, said("text", "Hello", logprobs=row), end())
        assert found.choices[0].logprobs == (TokenLogprob("Hello", -0.5),)

    def test_nothing_counts_after_the_end(self) -> None:
        """What comes after message-end is not read."""
        assert response(*HELLO, DONE, b"data: garbage\n\n").text == "Hello"

    def test_nothing_said(self) -> None:
        """A model may have nothing to say, and give no reason."""
        found = response(START, end(None))
        assert (found.text, found.finish_reason) == ("", FinishReason.UNKNOWN)


class TestOddStreams:
    def test_calls_in_a_list(self) -> None:
        """Some servers send a call as the only one of a list."""
        row = {"id": "t1", "function": {"name": "f", "arguments": "{}"}}
        pieces = (START, event("tool-call-start", {"tool_calls": [row]}), end())
        assert response(*pieces).choices[0].tool_calls == (ToolCall("t1", "f", "{}"),)

    def test_missing_last_blank_line(self) -> None:
        """A stream whose last line is cut off by the end is whole."""
        assert response(*HELLO[:2], HELLO[2].rstrip()).text == "Hello"

    def test_without_start(self) -> None:
        """The answer begins with its first event."""
        assert response(*HELLO[1:]).text == "Hello"

    @pytest.mark.parametrize(
        "odd",
        [
            b": comment\n\n",
            b"data: \n\n",
            b"data: {}\n\n",
            b'data: {"type": 3}\n\n',
            event("debug", prompt="x"),
            event("content-delta"),
            event("content-delta", delta={"message": {"content": {"text": 3}}}),
            event("citation-start", {"citations": []}),
            event("tool-plan-delta", delta=None),
            event("content-end", index=99),
        ],
    )
    def test_what_is_not_known_is_passed_over(self, odd: bytes) -> None:
        """New events and odd ones change nothing."""
        assert response(START, block("text", "Hello"), odd, end()).text == "Hello"


class TestCutAndBroken:
    @pytest.mark.parametrize(
        "pieces",
        [(), HELLO[:1], HELLO[:2], (b": only a comment\n\n",), (DONE,)],
        ids=["nothing", "start", "text", "comment", "done"],
    )
    def test_cut_stream_raises(self, pieces: tuple[bytes, ...]) -> None:
        """Half an answer never passes for a whole one."""
        with pytest.raises(ProtocolError, match="ended before") as caught:
            decode(*pieces)

        assert caught.value.data.code == "truncated"

    @pytest.mark.parametrize(
        ("last", "problem"),
        [
            (end("ERROR"), "ERROR"),
            (end("TIMEOUT"), "TIMEOUT"),
            (end("ERROR", error="the model broke"), "the model broke"),
            (end("COMPLETE", error="the model broke"), "the model broke"),
        ],
    )
    def test_an_answer_that_failed(self, last: bytes, problem: str) -> None:
        """Its text so far is no answer."""
        with pytest.raises(ServerError, match=problem):
            decode(*HELLO[:2], last)

    def test_error_within_the_stream(self) -> None:
        """An error that comes after good events is raised for what it is."""
        with pytest.raises(ServerError, match="it broke"):
            decode(*HELLO[:2], b'data: {"error": {"message": "it broke"}}\n\n')

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
                st.sampled_from(["type", "index", "delta", "id", "logprobs"]),
                st.sampled_from(
                    [
                        *("message-start", "content-start", "content-delta", "tool-call-start"),
                        *("tool-call-delta", "tool-plan-delta", "citation-start", "message-end"),
                        *(0, None, True, [], {}, {"message": 3}, {"message": {"content": [3]}}),
                        *({"message": {"tool_calls": {"id": 3}}}, {"finish_reason": 3}),
                        *({"message": {"tool_calls": {"function": {"arguments": {}}}}},),
                        *({"message": {"citations": {"text": "x"}}}, {"usage": 3}),
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

    @given(
        st.lists(st.tuples(st.sampled_from(["text", "thinking"]), st.text(max_size=8)), max_size=4)
    )
    def test_stream_gives_what_a_whole_answer_gives(self, blocks: list[tuple[str, str]]) -> None:
        """Folding the stream is the same as asking without one."""
        content = [{"type": kind, kind: text} for kind, text in blocks]
        body = {"id": "c1", "message": {"content": content}, "usage": USAGE}
        whole = decode_body(orjson.dumps({**body, "finish_reason": "COMPLETE"}))
        pieces = [block(kind, *text, index=index) for index, (kind, text) in enumerate(blocks)]
        assert response(START, *pieces, end()) == whole
