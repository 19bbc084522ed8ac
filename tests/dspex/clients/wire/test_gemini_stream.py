"""Gemini's streams: whole ones, cut ones, and those that are something else."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.clients.wire.gemini_decode import decode_body
from dspex.clients.wire.gemini_stream import GeminiStreamDecoder
from dspex.errors import (
    ContentFiltered,
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
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
)
from tests.support.capture import capture
from tests.support.official_gemini import official_client

# Google's library inherits from aiohttp's session, of which aiohttp warns.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)


def answer(*parts: Any, finish: str | None = None, **changes: Any) -> dict[str, Any]:
    """Write an answer with some of the parts; `changes` are fields of its one candidate."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, **changes}
    if finish is not None:
        candidate["finishReason"] = finish

    return {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r1"}


def event(row: object) -> bytes:
    """Write one event, with line ends as Google's server writes them."""
    return b"data: " + orjson.dumps(row) + b"\r\n\r\n"


def decode(*pieces: bytes) -> list[StreamEvent]:
    """Decode a whole stream."""
    decoder = GeminiStreamDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def response(*pieces: bytes) -> Response:
    """Decode a whole stream to its Response, and check its frame: one start, one end."""
    first, *middle, last = decode(*pieces)
    assert isinstance(first, StreamStart)
    assert isinstance(last, StreamEnd)
    assert not any(isinstance(event, StreamStart | StreamEnd) for event in middle)
    return last.response


WHOLE = (
    event({**answer({"text": "h", "thought": True}), "usageMetadata": {"promptTokenCount": 5}}),
    event(answer({"text": "m", "thought": True})),
    event(answer({"thought": True, "thoughtSignature": "c2ln"})),
    event(answer({"text": "Hel"})),
    event(answer({"text": "lo"}, {"functionCall": {"name": "add", "args": {"x": 1}}})),
    event(
        {
            **answer(
                {"functionCall": {"id": "c2", "name": "now"}, "thoughtSignature": "c2ln"},
                finish="STOP",
            ),
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7},
        }
    ),
)
HELLO = (event(answer({"text": "Hel"})), event(answer({"text": "lo"}, finish="STOP")))


class TestWholeAnswers:
    def test_everything(self) -> None:
        """Start, deltas of every kind, end."""
        first, *deltas, last = decode(*WHOLE)
        assert first == StreamStart("gemini-x", "r1")
        assert deltas == [
            TextDelta("h", reasoning=True),
            TextDelta("m", reasoning=True),
            TextDelta("Hel"),
            TextDelta("lo"),
            ToolCallDelta(0, id="call_0", name="add", arguments='{"x":1}'),
            ToolCallDelta(1, id="c2", name="now", arguments="{}"),
        ]
        assert isinstance(last, StreamEnd)
        (choice,) = last.response.choices
        assert (choice.text, choice.reasoning) == ("Hello", "hm")
        assert choice.finish_reason is FinishReason.TOOL_CALLS
        assert choice.thinking == (ReasoningPart("hm", signature="c2ln"),)
        assert choice.tool_calls == (
            ToolCall("call_0", "add", '{"x":1}'),
            ToolCall("c2", "now", "{}", signature="c2ln"),
        )
        usage = last.response.usage
        assert (usage.input_tokens, usage.output_tokens) == (5, 7)

    async def test_the_official_library_reads_the_same(self) -> None:
        """What these tests write is what Google's own parser takes, and it finds the same."""
        async with capture() as server, official_client(server.url) as client:
            server.answer_events(*WHOLE)
            stream = await client.models.generate_content_stream(model="m", contents="?")
            chunks = [chunk async for chunk in stream]

        parts = [part for chunk in chunks for part in chunk.parts or []]
        ours = response(*WHOLE).choices[0]
        assert "".join(part.text or "" for part in parts if not part.thought) == ours.text
        calls = [part.function_call for part in parts if part.function_call]
        assert [(call.name, call.args or {}) for call in calls] == [
            (call.name, orjson.loads(call.arguments)) for call in ours.tool_calls
        ]
        assert chunks[-1].usage_metadata is not None
        assert chunks[-1].usage_metadata.candidates_token_count == 7

    def test_several_candidates(self) -> None:
        """They come mixed and end in order."""
        pieces = (
            event(answer({"text": "b"}, index=1, finish="MAX_TOKENS")),
            event(answer({"text": "a"}, finish="STOP")),
        )
        assert decode(*pieces)[1:-1] == [
            TextDelta("b", choice=1),
            TextDelta("a"),
        ]
        assert [choice.text for choice in response(*pieces).choices] == ["a", "b"]

    def test_lists_grow(self) -> None:
        """Log-probabilities and citations come with the parts that they are of."""
        logprob = {"chosenCandidates": [{"token": "a", "logProbability": -0.5}]}
        pieces = (
            event(answer({"text": "a"}, logprobsResult=logprob)),
            event(
                answer(
                    {"text": "b"},
                    finish="STOP",
                    logprobsResult={"chosenCandidates": [{"token": "b", "logProbability": -1}]},
                    citationMetadata={"citationSources": [{"endIndex": 2, "uri": "https://x"}]},
                )
            ),
        )
        (choice,) = response(*pieces).choices
        assert choice.logprobs == (TokenLogprob("a", -0.5), TokenLogprob("b", -1.0))
        assert choice.citations == (Citation("ab", source="https://x"),)

    def test_nothing_said(self) -> None:
        """A model may have nothing to say, or be kept from it."""
        row = {"candidates": [{"finishReason": "SAFETY"}]}
        assert response(event(row)).finish_reason is FinishReason.CONTENT_FILTER

    def test_reason_comes_alone(self) -> None:
        """The last event may have no content, and the one after it only usage."""
        row = {"candidates": [{"finishReason": "STOP", "content": None}]}
        usage = {"usageMetadata": {"candidatesTokenCount": 3}}
        found = response(event(answer({"text": "x"})), event(row), event(usage))
        assert (found.text, found.usage.output_tokens) == ("x", 3)

    def test_all_in_one_list(self) -> None:
        """A server that knows no events sends the whole as a list of answers."""
        rows = [answer({"text": "Hel"}), answer({"text": "lo"}, finish="STOP")]
        body = b"[" + b",\r\n".join(map(orjson.dumps, rows)) + b"\n]"
        assert decode(body) == decode(*HELLO)


class TestOddStreams:
    @pytest.mark.parametrize(
        "odd",
        [
            b": comment\n\n",
            b"data: {}\n\n",
            b'data: {"candidates": 3}\n\n',
            b'data: {"candidates": [null, 3]}\n\n',
            b'data: {"candidates": [{"content": {"parts": [null, {}, {"text": 3}]}}]}\n\n',
            b'data: {"usageMetadata": []}\n\n',
            b"data: [DONE]\n\n",
        ],
    )
    def test_what_is_not_known_is_passed_over(self, odd: bytes) -> None:
        """New fields and odd ones change nothing."""
        assert response(HELLO[0], odd, HELLO[1]).text == "Hello"


class TestCutAndBroken:
    @pytest.mark.parametrize(
        "pieces",
        [(), HELLO[:1], (event({}),), (b": only a comment\n\n",), (b"data: [DONE]\n\n",)],
        ids=["nothing", "text", "empty", "comment", "done"],
    )
    def test_cut_stream_raises(self, pieces: tuple[bytes, ...]) -> None:
        """Half an answer never passes for a whole one."""
        with pytest.raises(ProtocolError, match="ended before") as caught:
            decode(*pieces)

        assert caught.value.data.code == "truncated"

    def test_one_of_two_candidates_is_cut(self) -> None:
        """Each must have said why it stopped."""
        with pytest.raises(ProtocolError, match="2 candidates"):
            decode(event(answer({"text": "a"}, finish="STOP")), event(answer(index=1)))

    def test_blocked_prompt(self) -> None:
        """A prompt that was blocked has no answer."""
        with pytest.raises(ContentFiltered, match="SAFETY"):
            decode(event({"promptFeedback": {"blockReason": "SAFETY"}}))

    @pytest.mark.parametrize("wrapped", [False, True])
    @pytest.mark.parametrize("prefix", [b"", b"data: "])
    @pytest.mark.parametrize("before", [(), HELLO[:1]])
    def test_error_within_the_stream(
        self, before: tuple[bytes, ...], prefix: bytes, wrapped: bool
    ) -> None:
        """With `data:` or bare, in a list or not, first or later: raised for what it is."""
        error = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}
        body = orjson.dumps([error] if wrapped else error)
        with pytest.raises(RateLimited, match="slow down"):
            decode(*before, prefix + body + b"\n")

    def test_error_over_several_lines(self) -> None:
        """As Google's server writes it."""
        body = b'[{\n  "error": {\n    "code": 503,\n    "message": "overloaded"\n  }\n}\n]\n'
        with pytest.raises(ServerError, match="overloaded"):
            decode(HELLO[0], body)

    @pytest.mark.parametrize("data", [b"hello", b"[1]", b"3", b"{", b"\xff", b"[[]]"])
    def test_garbage_is_shown(self, data: bytes) -> None:
        """Something that is no answer is a protocol error."""
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
                st.sampled_from(["index", "content", "finishReason", "logprobsResult"]),
                st.sampled_from(
                    [
                        *(
                            0,
                            1,
                            None,
                            True,
                            [],
                            {},
                            "STOP",
                            {"parts": 3},
                            {"parts": [{"text": "x"}]},
                        ),
                        *({"parts": [{"functionCall": {"args": 3}}]}, {"chosenCandidates": [3]}),
                        *({"parts": [{"thought": 1}, {"thoughtSignature": "s"}]},),
                    ]
                ),
            ),
            max_size=6,
        )
    )
    def test_any_candidates_are_an_answer_or_an_error(self, rows: list[dict[str, Any]]) -> None:
        """No sequence of candidates raises anything but a ProviderError."""
        try:
            found = response(*(event({"candidates": [row]}) for row in rows))
        except ProviderError:
            return

        assert Response.from_dict(found.to_dict()) == found


class TestAnyCutting:
    @given(st.sampled_from([b"\n", b"\r", b"\r\n"]), st.data())
    def test_pieces_change_nothing(self, line_end: bytes, draw: st.DataObject) -> None:
        """However the bytes are cut and the lines end, the events are the same."""
        whole = b"".join(WHOLE).replace(b"\r\n", line_end)
        cuts = sorted(draw.draw(st.sets(st.integers(0, len(whole)), max_size=12)))
        pieces = [whole[start:end] for start, end in pairwise([0, *cuts, len(whole)])]
        assert decode(*pieces) == decode(*WHOLE)

    @given(
        st.lists(
            st.tuples(st.text(max_size=5), st.sampled_from(["", "thought", "sign"])), max_size=8
        )
    )
    def test_stream_gives_what_a_whole_answer_gives(self, pieces: list[tuple[str, str]]) -> None:
        """Folding the stream is the same as asking without one."""
        parts: list[dict[str, Any]] = [
            {"text": text}
            | ({"thought": True} if kind == "thought" else {})
            | ({"thoughtSignature": "s"} if kind == "sign" else {})
            for text, kind in pieces
        ]
        whole = decode_body(orjson.dumps(answer(*parts, finish="STOP")))
        assert response(*map(event, map(answer, parts)), event(answer(finish="STOP"))) == whole
