"""Streamed answers: whole ones, cut ones, and those that are something else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st
from openai.types.chat import ChatCompletionChunk

from dspex.clients.wire.openai_decode import decode_body
from dspex.clients.wire.openai_stream import OpenAIStreamDecoder
from dspex.errors import ProtocolError, ProviderError, RateLimited, ServerError
from dspex.messages import (
    Choice,
    FinishReason,
    Response,
    StreamEnd,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)
from dspex.usage import Usage

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


def chunk(delta: dict[str, Any] | None = None, finish: Any = None, **changes: Any) -> bytes:
    """Write one event, checked against OpenAI's own types where it is one of theirs."""
    row = {"index": changes.pop("index", 0), "delta": delta or {}, "finish_reason": finish}
    body = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-x",
        "choices": [row],
        **changes,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def usage_chunk() -> bytes:
    """Write the last chunk, which holds the usage and no choice."""
    return chunk(choices=[], usage=USAGE)


def decode(*pieces: bytes) -> list[StreamEvent]:
    """Decode a whole stream."""
    decoder = OpenAIStreamDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def response(*pieces: bytes) -> Response:
    """Decode a whole stream to its Response, and check its frame: one start, one end."""
    first, *middle, last = decode(*pieces)
    assert isinstance(first, StreamStart)
    assert isinstance(last, StreamEnd)
    assert not any(isinstance(event, StreamStart | StreamEnd) for event in middle)
    return last.response


HELLO = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk(finish="stop"),
)


class TestWholeAnswers:
    def test_text(self) -> None:
        """Start, deltas, end; the end holds the whole answer with its usage."""
        assert decode(*HELLO, usage_chunk(), DONE) == [
            StreamStart("gpt-x", "c1"),
            TextDelta("Hel"),
            TextDelta("lo"),
            StreamEnd(
                Response(
                    (Choice("Hello"),),
                    model="gpt-x",
                    request_id="c1",
                    usage=Usage(input_tokens=7, output_tokens=2, cost_usd=None, calls=1),
                )
            ),
        ]

    def test_chunks_are_official(self) -> None:
        """What these tests write is what OpenAI's SDK reads."""
        for piece in (*HELLO, usage_chunk()):
            ChatCompletionChunk.model_validate_json(piece.removeprefix(b"data: "))

    def test_end_without_done(self) -> None:
        """Some servers just stop; the answer is whole once it has said why it ended."""
        assert response(*HELLO).text == "Hello"

    def test_usage_after_the_finish_reason_is_waited_for(self) -> None:
        """The end comes with [DONE] or with the end of the stream, never before the usage."""
        decoder = OpenAIStreamDecoder()
        for piece in HELLO:
            assert not any(isinstance(event, StreamEnd) for event in decoder.feed(piece))

        decoder.feed(usage_chunk())
        (last,) = decoder.close()
        assert isinstance(last, StreamEnd)
        assert last.response.usage.input_tokens == 7

    def test_missing_last_blank_line(self) -> None:
        """A stream whose last line is cut off by the end is whole."""
        assert response(*HELLO, b"data: [DONE]").text == "Hello"

    def test_done_without_finish_reason(self) -> None:
        """The server said it is done; why, nobody knows."""
        assert response(chunk({"content": "x"}), DONE).finish_reason is FinishReason.UNKNOWN

    def test_nothing_counts_after_done(self) -> None:
        """What a server sends after its end is not read."""
        assert response(*HELLO, DONE, b"data: garbage\n\n", DONE).text == "Hello"

    def test_usage_on_every_chunk(self) -> None:
        """Where it grows with the answer, the last one holds."""
        pieces = [
            chunk({"content": "a"}, usage={"prompt_tokens": 7, "completion_tokens": count})
            for count in (1, 2, 3)
        ]
        assert response(*pieces, DONE).usage.output_tokens == 3

    def test_several_choices(self) -> None:
        """Choices come mixed and end in order."""
        pieces = (
            chunk({"content": "b"}, index=1),
            chunk({"content": "a"}, index=0),
            chunk(finish="stop", index=0),
            chunk(finish="length", index=1),
        )
        found = response(*pieces)
        assert [(choice.text, choice.finish_reason) for choice in found.choices] == [
            ("a", FinishReason.STOP),
            ("b", FinishReason.LENGTH),
        ]

    @pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
    def test_thinking(self, field: str) -> None:
        """It is marked in the deltas and apart in the answer."""
        pieces = (chunk({field: "hm"}), chunk({"content": "4"}), chunk(finish="stop"))
        assert decode(*pieces)[1:3] == [TextDelta("hm", reasoning=True), TextDelta("4")]
        choice = response(*pieces).choices[0]
        assert (choice.text, choice.reasoning) == ("4", "hm")

    def test_refusal(self) -> None:
        """It is put together like text, and is none."""
        pieces = (chunk({"refusal": "I "}), chunk({"refusal": "won't"}), chunk(finish="stop"))
        choice = response(*pieces).choices[0]
        assert (choice.text, choice.refusal) == ("", "I won't")

    def test_empty_answer_is_one(self) -> None:
        """A model may have nothing to say."""
        assert response(chunk(finish="stop"), DONE).text == ""

    def test_comments_and_odd_chunks_are_passed_over(self) -> None:
        """Keep-alives, chunks without choices, choices that are none."""
        odd = (b": ping\n\n", chunk(choices=None), chunk(choices=[None, 3]), chunk(choices=[]))
        assert response(*odd, *HELLO, DONE).text == "Hello"


class TestToolCalls:
    def test_arguments_come_in_pieces(self) -> None:
        """Calls are told apart by index; id and name come once."""
        pieces = (
            chunk({"tool_calls": [call(0, "a", "add", "")]}),
            chunk({"tool_calls": [call(0, None, None, '{"x"')]}),
            chunk({"tool_calls": [call(1, "b", "sub", "{}")]}),
            chunk({"tool_calls": [call(0, None, None, ":1}")]}),
            chunk(finish="tool_calls"),
        )
        assert decode(*pieces)[1:5] == [
            ToolCallDelta(0, id="a", name="add", arguments=""),
            ToolCallDelta(0, arguments='{"x"'),
            ToolCallDelta(1, id="b", name="sub", arguments="{}"),
            ToolCallDelta(0, arguments=":1}"),
        ]
        assert response(*pieces).choices[0].tool_calls == (
            ToolCall("a", "add", '{"x":1}'),
            ToolCall("b", "sub", "{}"),
        )

    def test_without_index_an_id_begins_a_call(self) -> None:
        """Servers that leave the index out repeat the id, or send none."""
        pieces = (
            chunk({"tool_calls": [call(None, "a", "add", "{")]}),
            chunk({"tool_calls": [call(None, None, None, "}")]}),
            chunk({"tool_calls": [call(None, "b", "sub", "{}")]}),
            chunk(finish="stop"),
        )
        choice = response(*pieces).choices[0]
        assert choice.tool_calls == (ToolCall("a", "add", "{}"), ToolCall("b", "sub", "{}"))
        assert choice.finish_reason is FinishReason.TOOL_CALLS

    def test_repeated_id_and_name_are_not_added_up(self) -> None:
        """Some servers say both in each piece."""
        pieces = [chunk({"tool_calls": [call(0, "a", "add", part)]}) for part in ("{", "}")]
        assert response(*pieces, DONE).choices[0].tool_calls == (ToolCall("a", "add", "{}"),)

    def test_odd_index_is_a_place(self) -> None:
        """An index is a name for a call, not its position."""
        pieces = [chunk({"tool_calls": [call(index, "", "f", "{}")]}) for index in (7, -1)]
        assert response(*pieces, DONE).choices[0].tool_calls == (
            ToolCall("call_0", "f", "{}"),
            ToolCall("call_1", "f", "{}"),
        )


def call(index: int | None, identity: str | None, name: str | None, part: str) -> dict[str, Any]:
    """Write one piece of a tool call."""
    row: dict[str, Any] = {"id": identity, "function": {"name": name, "arguments": part}}
    return row if index is None else {"index": index, **row}


class TestOddServers:
    def test_empty_finish_reason_is_none_yet(self) -> None:
        """Some servers send one with each chunk; a stream cut there is cut."""
        with pytest.raises(ProtocolError, match="ended before"):
            decode(chunk({"content": "a"}, finish=""))

        assert response(chunk({"content": "a"}, finish=""), chunk(finish="stop")).text == "a"

    def test_whole_answer_instead_of_a_stream(self) -> None:
        """A server that does not stream answers anyway, as plain JSON or as one event."""
        row = {"index": 0, "message": {"content": "4"}, "finish_reason": "stop"}
        body = json.dumps({"id": "c1", "model": "m", "choices": [row], "usage": USAGE}, indent=1)
        assert response(body.encode()) == decode_body(body.encode())

    def test_whole_message_at_the_end_of_a_stream(self) -> None:
        """Some servers repeat what they streamed; it is not the answer twice."""
        row = {"index": 0, "delta": {}, "message": {"content": "Hello"}, "finish_reason": "stop"}
        assert response(*HELLO[:3], chunk(choices=[row])).text == "Hello"

    def test_bare_error_instead_of_an_event(self) -> None:
        """What breaks off the stream is raised for what it is, not as a cut."""
        with pytest.raises(RateLimited, match="slow down"):
            decode(*HELLO[:2], b'{"error": {"code": 429,\n "message": "slow down"}}\n')

        with pytest.raises(RateLimited, match="slow down"):
            decode(b'[{"error": {"code": 429, "message": "slow down"}}]')

    def test_usage_with_each_chunk(self) -> None:
        """The last one holds, as servers with running totals mean it."""
        first = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
        found = response(chunk({"content": "a"}, usage=first), chunk(finish="stop", usage=USAGE))
        assert found.usage.output_tokens == 2

    def test_timings_and_padding_are_passed_over(self) -> None:
        """Unknown fields are no trouble."""
        pieces = (chunk({"content": "a"}, obfuscation="xxxx"), chunk(finish="stop", timings={}))
        assert response(*pieces).text == "a"

    def test_arguments_as_an_object(self) -> None:
        """In one piece, as some servers send them."""
        row = {"index": 0, "id": "c", "function": {"name": "f", "arguments": {"a": 1}}}
        found = response(chunk({"tool_calls": [row]}), chunk(finish="tool_calls"))
        assert found.choices[0].tool_calls == (ToolCall("c", "f", '{"a":1}'),)


class TestCutAndBroken:
    @pytest.mark.parametrize(
        "pieces",
        [
            (),
            (b": only a comment\n\n",),
            HELLO[:1],
            HELLO[:3],
            (DONE,),
            (usage_chunk(),),
            (chunk({"content": "a"}, finish="stop", index=0), chunk({"content": "b"}, index=1)),
        ],
        ids=["nothing", "comment", "role", "text", "done", "usage", "second choice"],
    )
    def test_cut_stream_raises(self, pieces: tuple[bytes, ...]) -> None:
        """Half an answer never passes for a whole one."""
        with pytest.raises(ProtocolError, match="ended before") as caught:
            decode(*pieces)

        assert caught.value.data.code == "truncated"

    def test_stream_cut_within_a_chunk(self) -> None:
        """A chunk that breaks off is shown."""
        with pytest.raises(ProtocolError, match="not JSON"):
            decode(*HELLO[:2], HELLO[2][:40])

    @pytest.mark.parametrize(
        ("error", "expected"),
        [({"code": 429, "message": "x"}, RateLimited), ({"message": "overloaded"}, ServerError)],
    )
    def test_error_within_the_stream(
        self, error: dict[str, Any], expected: type[ProviderError]
    ) -> None:
        """An error that comes after good chunks is raised for what it is."""
        with pytest.raises(expected):
            decode(*HELLO[:2], b"data: " + json.dumps({"error": error}).encode() + b"\n\n")

    def test_error_of_a_choice(self) -> None:
        """So is one that came within a choice."""
        row = {"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 429}}
        with pytest.raises(RateLimited):
            decode(*HELLO[:2], chunk(choices=[row]))

    @pytest.mark.parametrize("data", [b"hello", b"[1]", b"3", b"{", b"\xff"])
    def test_garbage_is_shown(self, data: bytes) -> None:
        """Something that is no chunk is a protocol error."""
        with pytest.raises(ProtocolError):
            decode(b"data: " + data + b"\n\n")

    @given(st.lists(st.binary(max_size=20), max_size=6))
    def test_any_bytes_raise_nothing_else(self, pieces: list[bytes]) -> None:
        """No stream of bytes raises anything but a ProviderError."""
        with pytest.raises(ProviderError):
            decode(*pieces)


def cut(whole: bytes, draw: st.DataObject) -> list[bytes]:
    """Cut a stream anywhere."""
    cuts = sorted(draw.draw(st.sets(st.integers(0, len(whole)), max_size=12)))
    return [whole[start:end] for start, end in pairwise([0, *cuts, len(whole)])]


TEXT = st.text(max_size=6)
TOKEN = st.fixed_dictionaries(
    {
        "token": TEXT,
        "logprob": st.floats(-100, 0),
        "top_logprobs": st.lists(
            st.fixed_dictionaries({"token": TEXT, "logprob": st.floats(-100, 0)}), max_size=2
        ),
    }
)
TOOL_CALL = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["", "a", "b"]),
        "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
    }
)
ANNOTATION = st.builds(lambda url: {"url_citation": {"url": url, "title": "t"}}, TEXT)


@st.composite
def choice_rows(draw: st.DrawFn, index: int) -> dict[str, Any]:
    """Make a whole choice."""
    message = {
        "content": draw(TEXT),
        "reasoning_content": draw(TEXT),
        "refusal": draw(TEXT),
        "tool_calls": draw(st.lists(TOOL_CALL, max_size=3)),
        "annotations": draw(st.lists(ANNOTATION, max_size=2)),
    }
    finish = draw(st.sampled_from(["stop", "length", "tool_calls", "because"]))
    tokens = draw(st.lists(TOKEN, max_size=3))
    return {
        "index": index,
        "message": message,
        "finish_reason": finish,
        "logprobs": {"content": tokens},
    }


def pieces_of(row: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Break a choice into the deltas that a server would send, and the rows that hold them."""
    message = row["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "content", "refusal"):
        deltas += [{name: character} for character in message[name]]

    for number, call_row in enumerate(message["tool_calls"]):
        function = call_row["function"]
        head = {"name": function["name"], "arguments": ""}
        deltas.append({"tool_calls": [{"index": number, "id": call_row["id"], "function": head}]})
        for character in function["arguments"]:
            part = {"index": number, "function": {"arguments": character}}
            deltas.append({"tool_calls": [part]})

    deltas += [{"annotations": [annotation]} for annotation in message["annotations"]]
    for delta in deltas:
        yield delta, {"index": row["index"], "delta": delta, "finish_reason": None}

    for token in row["logprobs"]["content"]:
        yield {}, {"index": row["index"], "delta": {}, "logprobs": {"content": [token]}}

    yield {}, {"index": row["index"], "delta": {}, "finish_reason": row["finish_reason"]}


class TestAnyCutting:
    @given(
        st.lists(st.text(max_size=6), max_size=8),
        st.booleans(),
        st.sampled_from([b"\n", b"\r", b"\r\n"]),
        st.data(),
    )
    def test_pieces_change_nothing(
        self, texts: list[str], with_usage: bool, line_end: bytes, draw: st.DataObject
    ) -> None:
        """However the bytes are cut and the lines end, the events are the same."""
        whole = b"".join(chunk({"content": text}) for text in texts) + chunk(finish="stop")
        whole = (whole + (usage_chunk() if with_usage else b"") + DONE).replace(b"\n", line_end)
        pieces = cut(whole, draw)
        assert decode(*pieces) == decode(whole)
        assert response(*pieces).text == "".join(texts)

    @given(st.data(), st.integers(1, 3))
    def test_stream_gives_all_of_a_whole_answer(self, draw: st.DataObject, count: int) -> None:
        """Text, thinking, refusal, calls, log-probabilities and annotations, for each choice."""
        rows = [draw.draw(choice_rows(index)) for index in range(count)]
        whole = {"id": "c1", "model": "gpt-x", "usage": USAGE}
        expected = decode_body(json.dumps({**whole, "choices": rows}).encode())
        stream = b"".join(
            chunk(delta, index=row["index"], choices=[piece])
            for row in rows
            for delta, piece in pieces_of(row)
        )
        assert response(*cut(stream + usage_chunk() + DONE, draw)) == expected

    @given(st.text(max_size=30))
    def test_stream_gives_what_a_whole_answer_gives(self, text: str) -> None:
        """Folding the stream is the same as asking without one."""
        whole = {"id": "c1", "model": "gpt-x", "usage": USAGE}
        row = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
        body = json.dumps({**whole, "choices": [row]}).encode()
        pieces = [chunk({"content": character}) for character in text]
        assert response(*pieces, chunk(finish="stop"), usage_chunk(), DONE) == decode_body(body)
