"""Streamed answers of OpenAI's Responses: whole, cut, failed, and in any pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from dspex.clients.wire.responses_decode import decode_body
from dspex.clients.wire.responses_stream import ResponsesStreamDecoder
from dspex.errors import InvalidRequest, ProtocolError, ProviderError, RateLimited, ServerError
from dspex.messages import (
    FinishReason,
    Response,
    StreamEnd,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)

OFFICIAL: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
HEAD = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-x",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
USAGE = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 9,
}


def message(text: str, refusal: str = "") -> dict[str, Any]:
    """Write a finished message."""
    content: list[dict[str, Any]] = [{"type": "output_text", "text": text, "annotations": []}]
    if refusal:
        content.append({"type": "refusal", "refusal": refusal})

    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def call(arguments: str, call_id: str = "call_1") -> dict[str, Any]:
    """Write a finished call of a tool."""
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": call_id,
        "name": "add",
        "arguments": arguments,
        "status": "completed",
    }


def thought(text: str) -> dict[str, Any]:
    """Write finished thinking."""
    summary = [{"type": "summary_text", "text": text}]
    return {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "x"}


def events(*items: dict[str, Any], end: str = "completed", **changes: Any) -> list[dict[str, Any]]:
    """Write the events of an answer, as OpenAI sends them."""
    numbers = count()
    began = {**HEAD, "status": "in_progress", "output": []}
    rows: list[dict[str, Any]] = [{"type": "response.created", "response": began}]
    for index, item in enumerate(items):
        place = {"output_index": index, "item_id": item["id"]}
        fresh = {**item, "status": "in_progress", "content": [], "arguments": "", "summary": []}
        fresh = {name: fresh[name] for name in item}
        rows.append({"type": "response.output_item.added", "output_index": index, "item": fresh})
        rows += [{**place, **row} for row in deltas(item)]
        rows.append({"type": "response.output_item.done", "output_index": index, "item": item})

    whole = {**HEAD, "status": end, "output": list(items), "usage": USAGE, **changes}
    rows.append({"type": f"response.{end}", "response": whole})
    return [{**row, "sequence_number": next(numbers)} for row in rows]


def deltas(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Write what comes between the beginning and the end of an item."""
    for index, part in enumerate(item.get("content", [])):
        kind, field = (
            ("output_text", "text") if part["type"] == "output_text" else ("refusal", "refusal")
        )
        for piece in part[field]:
            row = {"type": f"response.{kind}.delta", "content_index": index, "delta": piece}
            yield row | ({"logprobs": []} if kind == "output_text" else {})

    for index, part in enumerate(item.get("summary", [])):
        for piece in part["text"]:
            yield {
                "type": "response.reasoning_summary_text.delta",
                "summary_index": index,
                "delta": piece,
            }

    for piece in item.get("arguments", ""):
        yield {"type": "response.function_call_arguments.delta", "delta": piece}


def stream(rows: list[dict[str, Any]]) -> bytes:
    """Write events as the bytes of a stream."""
    return b"".join(f"event: {row['type']}\ndata: {json.dumps(row)}\n\n".encode() for row in rows)


def decode(*pieces: bytes) -> list[StreamEvent]:
    """Decode a whole stream."""
    decoder = ResponsesStreamDecoder()
    found = [event for piece in pieces for event in decoder.feed(piece)]
    return found + decoder.close()


def response(*pieces: bytes) -> Response:
    """Decode a whole stream to its Response, and check its frame: one start, one end."""
    first, *middle, last = decode(*pieces)
    assert isinstance(first, StreamStart)
    assert isinstance(last, StreamEnd)
    assert not any(isinstance(event, StreamStart | StreamEnd) for event in middle)
    return last.response


class TestWholeAnswers:
    def test_text(self) -> None:
        """Start, deltas, end; the end holds the whole answer."""
        first, *middle, last = decode(stream(events(message("Hi"))))
        assert first == StreamStart("gpt-x", "resp_1")
        assert middle == [TextDelta("H"), TextDelta("i")]
        assert isinstance(last, StreamEnd)
        assert (last.response.text, last.response.usage.output_tokens) == ("Hi", 2)

    def test_fixtures_are_official(self) -> None:
        """What these tests write is what OpenAI's library reads."""
        for row in events(thought("hm"), message("Hi", "no"), call("{}")):
            OFFICIAL.validate_python(row)

    def test_thinking_is_marked(self) -> None:
        """It is not part of the answer."""
        found = decode(stream(events(thought("h"), message("4"))))
        assert found[1:-1] == [TextDelta("h", reasoning=True), TextDelta("4")]

    def test_thinking_in_the_open(self) -> None:
        """Open models stream the text itself."""
        row = {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "2"}
        first, *rest = events(message("4"))
        assert TextDelta("2", reasoning=True) in decode(stream([first, row, *rest]))

    def test_tool_calls(self) -> None:
        """Calls are counted among themselves; id and name come once, before the arguments."""
        found = decode(stream(events(message(""), call("{}"), call("[]", "call_2"))))
        assert found[1:-1] == [
            ToolCallDelta(0, id="call_1", name="add"),
            ToolCallDelta(0, arguments="{"),
            ToolCallDelta(0, arguments="}"),
            ToolCallDelta(1, id="call_2", name="add"),
            ToolCallDelta(1, arguments="["),
            ToolCallDelta(1, arguments="]"),
        ]
        last = found[-1]
        assert isinstance(last, StreamEnd)
        assert last.response.finish_reason is FinishReason.TOOL_CALLS
        assert last.response.choices[0].tool_calls[1] == ToolCall("call_2", "add", "[]")

    def test_incomplete_answer(self) -> None:
        """It ends with a terminal event of its own."""
        details = {"reason": "max_output_tokens"}
        rows = events(message("Hi"), end="incomplete", incomplete_details=details)
        assert response(stream(rows)).finish_reason is FinishReason.LENGTH

    @pytest.mark.parametrize("after", [b"data: [DONE]\n\n", b"data: {}\n\n", b"data: junk\n\n"])
    def test_what_follows_is_passed_over(self, after: bytes) -> None:
        """The answer ended with its terminal event."""
        assert response(stream(events(message("Hi"))) + after).text == "Hi"

    def test_unknown_events_are_passed_over(self) -> None:
        """Those of hosted tools, and those that are yet to come."""
        odd: list[dict[str, Any]] = [
            {"type": "response.dream.delta", "delta": "zzz"},
            {"type": 3},
            {},
        ]
        first, *rest = events(message("Hi"))
        assert decode(stream_of([first, *odd, *rest])) == decode(stream_of([first, *rest]))

    def test_items_that_the_end_does_not_repeat(self) -> None:
        """Some servers send them once."""
        rows = events(thought("h"), message("Hi"))
        rows[-1]["response"].update(output=[], status=None)
        assert response(stream(rows)).text == "Hi"

    def test_no_beginning(self) -> None:
        """Some servers start with the first delta."""
        rows = events(message("Hi"))[2:]
        assert decode(stream(rows))[0] == StreamStart("", None)
        assert response(stream(rows)).model == "gpt-x"


def stream_of(rows: list[dict[str, Any]]) -> bytes:
    """Write events without names, as some servers do."""
    return b"".join(f"data: {json.dumps(row)}\n\n".encode() for row in rows)


class TestCutAndBroken:
    @pytest.mark.parametrize("kept", range(5))
    def test_cut_stream_raises(self, kept: int) -> None:
        """Half an answer never passes for a whole one."""
        with pytest.raises(ProtocolError, match="ended before") as caught:
            decode(stream(events(message("Hi"))[:kept]))

        assert caught.value.data.code == "truncated"

    def test_done_without_an_end(self) -> None:
        """The word alone ends nothing."""
        with pytest.raises(ProtocolError, match="0 items and 1 characters"):
            decode(stream(events(message("Hi"))[:3]) + b"data: [DONE]\n\n")

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("rate_limit_exceeded", RateLimited),
            ("server_error", ServerError),
            ("invalid_prompt", InvalidRequest),
        ],
    )
    def test_failed_answer(self, code: str, expected: type[ProviderError]) -> None:
        """Its terminal event holds the error."""
        error = {"code": code, "message": "it broke"}
        with pytest.raises(expected, match=r"^it broke"):
            decode(stream(events(message("H"), end="failed", error=error)))

    @pytest.mark.parametrize(
        "error",
        [
            {"code": "rate_limit_exceeded", "message": "slow down", "param": None},
            {"error": {"code": "rate_limit_exceeded", "message": "slow down"}},
            {"error": {"code": 429, "message": "slow down"}},
        ],
        ids=["official", "nested", "number"],
    )
    def test_error_event(self, error: dict[str, Any]) -> None:
        """It may come at any time, flat or nested."""
        first, *_ = events()
        with pytest.raises(RateLimited, match="slow down"):
            decode(stream([first, {"type": "error", "sequence_number": 1, **error}]))

    def test_failure_without_a_reason(self) -> None:
        """It is a failure all the same."""
        with pytest.raises(ServerError, match="'failed'"):
            decode(stream([{"type": "response.failed"}]))

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
                st.sampled_from(["type", "delta", "item", "output_index", "response", "error"]),
                st.none()
                | st.integers()
                | st.text(max_size=3)
                | st.sampled_from(
                    [
                        *({row["type"]: 0 for row in events(thought("h"), message("a"))}),
                        *(call("{}"), {"output": [3]}, {"status": "odd"}, [], {}),
                    ]
                ),
            ),
            max_size=6,
        )
    )
    def test_any_events_raise_nothing_else(self, rows: list[dict[str, Any]]) -> None:
        """Nor does any order of events with anything in them."""
        with suppress(ProviderError):
            decode(stream_of(rows))


ITEMS = st.lists(
    st.builds(message, st.text(max_size=5), st.text(max_size=3))
    | st.builds(call, st.text(max_size=5), st.sampled_from(["", "a", "b"]))
    | st.builds(thought, st.text(max_size=5)),
    max_size=4,
)


class TestAnyCutting:
    @given(ITEMS, st.sampled_from([b"\n", b"\r", b"\r\n"]), st.data())
    def test_stream_gives_what_a_whole_answer_gives(
        self, items: list[dict[str, Any]], line_end: bytes, draw: st.DataObject
    ) -> None:
        """However it is cut, the end is the answer without streaming, and the deltas add up."""
        rows = events(*items)
        whole = stream(rows).replace(b"\n", line_end)
        cuts = sorted(draw.draw(st.sets(st.integers(0, len(whole)), max_size=12)))
        pieces = [whole[start:end] for start, end in pairwise([0, *cuts, len(whole)])]
        expected = decode_body(json.dumps(rows[-1]["response"]).encode())
        assert response(*pieces) == expected
        assert decode(*pieces) == decode(whole)
        found = [event for event in decode(whole) if isinstance(event, TextDelta)]
        assert "".join(event.text for event in found if not event.reasoning) == expected.text
