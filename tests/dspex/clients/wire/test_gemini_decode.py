"""Gemini's answers as Responses."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.gemini_decode import decode_body
from dspex.clients.wire.gemini_encode import encode_request
from dspex.errors import (
    AuthError,
    ContentFiltered,
    InvalidRequest,
    ProtocolError,
    ProviderError,
    RateLimited,
    ServerError,
)
from dspex.messages import (
    Choice,
    FinishReason,
    ReasoningPart,
    Request,
    Response,
    TokenLogprob,
    ToolCall,
)
from dspex.usage import Usage
from tests.support.official_gemini import types

SIGNATURE = b64encode(b"signature").decode()
PARTS: list[dict[str, Any]] = [
    {"text": "h", "thought": True},
    {"text": "m", "thought": True, "thoughtSignature": SIGNATURE},
    {"text": "so "},
    {"text": "it is", "thoughtSignature": SIGNATURE},
    {"functionCall": {"name": "add", "args": {"x": 1}}, "thoughtSignature": SIGNATURE},
    {"functionCall": {"id": "c2", "name": "now"}},
]
USAGE = {
    "promptTokenCount": 20,
    "cachedContentTokenCount": 8,
    "toolUsePromptTokenCount": 3,
    "candidatesTokenCount": 10,
    "thoughtsTokenCount": 6,
    "totalTokenCount": 39,
}


def answer(*parts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Write an answer of one candidate; `changes` are its other fields."""
    content = {"role": "model", "parts": list(parts or ({"text": "4"},))}
    candidate = {"content": content, "finishReason": "STOP", "index": 0, **changes}
    return {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r1"}


def decode(*parts: Any, **changes: Any) -> Response:
    """Decode an answer of one candidate."""
    return decode_body(orjson.dumps(answer(*parts, **changes)))


class TestAnswers:
    def test_official_answer(self) -> None:
        """All that the library's own types hold comes out."""
        row = {**answer(*PARTS), "usageMetadata": USAGE}
        official = types.GenerateContentResponse.model_validate(row)
        found = decode_body(official.model_dump_json(by_alias=True, exclude_none=True).encode())
        assert (found.model, found.request_id) == ("gemini-x", "r1")
        assert found.choices == (
            Choice(
                "so it is",
                finish_reason=FinishReason.TOOL_CALLS,
                reasoning="hm",
                tool_calls=(
                    ToolCall("call_0", "add", '{"x":1}', signature=SIGNATURE),
                    ToolCall("c2", "now", "{}"),
                ),
                thinking=(
                    ReasoningPart("hm", signature=SIGNATURE),
                    ReasoningPart("", signature=SIGNATURE),
                ),
            ),
        )
        assert found.usage == Usage(
            input_tokens=23,
            output_tokens=16,
            cache_read_tokens=8,
            reasoning_tokens=6,
            cost_usd=None,
            calls=1,
        )

    def test_signatures_go_back_where_they_stood(self) -> None:
        """Beside the thought, the text and the call that they were given for."""
        turn = decode(*PARTS).choices[0].to_message()
        body = orjson.loads(encode_request(Request((turn,)), PRESETS["gemini"]).body)
        assert body["contents"][0]["parts"] == [
            {"text": "hm", "thought": True, "thoughtSignature": SIGNATURE},
            {"text": "so it is", "thoughtSignature": SIGNATURE},
            {
                "functionCall": {"id": "call_0", "name": "add", "args": {"x": 1}},
                "thoughtSignature": SIGNATURE,
            },
            {"functionCall": {"id": "c2", "name": "now", "args": {}}},
        ]

    @pytest.mark.parametrize(
        ("parts", "expected"),
        [
            (({"text": "a", "thought": True}, {"text": "b", "thought": True}), [("ab", None)]),
            (
                ({"text": "a", "thought": True}, {"thought": True, "thoughtSignature": "s"}),
                [("a", "s")],
            ),
            (
                (
                    {"text": "a", "thought": True, "thoughtSignature": "s"},
                    {"text": "b", "thought": True},
                ),
                [("a", "s"), ("b", None)],
            ),
            (
                ({"text": "a", "thought": True}, {"text": "x"}, {"text": "b", "thought": True}),
                [("a", None), ("b", None)],
            ),
            (({"text": "", "thoughtSignature": "s"},), [("", "s")]),
            (({"thought": True},), []),
        ],
    )
    def test_runs_of_thought(
        self, parts: tuple[dict[str, Any], ...], expected: list[tuple[str, str | None]]
    ) -> None:
        """A run is one piece until its signature comes."""
        thinking = decode(*parts).choices[0].thinking
        assert [(part.text, part.signature) for part in thinking] == expected

    def test_several_candidates_in_order(self) -> None:
        """By their index, which is left out for the first."""
        rows = [
            {"index": 1, "content": {"parts": [{"text": "b"}]}, "finishReason": "MAX_TOKENS"},
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
        ]
        found = decode_body(orjson.dumps({"candidates": rows}))
        assert [choice.text for choice in found.choices] == ["a", "b"]

    def test_logprobs(self) -> None:
        """Each token with its rivals."""
        result = {
            "chosenCandidates": [{"token": "4", "tokenId": 1, "logProbability": -0.5}, {}],
            "topCandidates": [
                {"candidates": [{"token": "4", "logProbability": -0.5}, {"token": "5"}]}
            ],
        }
        types.LogprobsResult.model_validate(result)
        assert decode(logprobsResult=result).choices[0].logprobs == (
            TokenLogprob("4", -0.5, (("4", -0.5),)),
        )


class TestFinishReasons:
    @pytest.mark.parametrize("said", [reason.value for reason in types.FinishReason])
    def test_every_official_reason_is_known(self, said: str) -> None:
        """The library's list has none that we do not know, but for those that say nothing."""
        found = decode(finishReason=said).finish_reason
        says_nothing = said in ("FINISH_REASON_UNSPECIFIED", "OTHER")
        assert (found is FinishReason.UNKNOWN) is says_nothing

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("STOP", FinishReason.STOP),
            ("MAX_TOKENS", FinishReason.LENGTH),
            ("SAFETY", FinishReason.CONTENT_FILTER),
            ("MALFORMED_FUNCTION_CALL", FinishReason.ERROR),
            ("NEW", FinishReason.UNKNOWN),
            (None, FinishReason.UNKNOWN),
            (3, FinishReason.UNKNOWN),
        ],
    )
    def test_words(self, said: Any, expected: FinishReason) -> None:
        """The same as everywhere."""
        assert decode(finishReason=said).finish_reason is expected

    @pytest.mark.parametrize("message", [None, "too hot"])
    def test_filtered_answer(self, message: str | None) -> None:
        """It says why, and need not have content."""
        row = {"finishReason": "SAFETY", "finishMessage": message}
        (choice,) = decode_body(orjson.dumps({"candidates": [row]})).choices
        assert (choice.text, choice.finish_reason) == ("", FinishReason.CONTENT_FILTER)
        assert choice.refusal == (message or "SAFETY")

    @pytest.mark.parametrize("reason", [reason.value for reason in types.BlockedReason])
    def test_blocked_prompt(self, reason: str) -> None:
        """A prompt that was blocked has no answer."""
        feedback = {"blockReason": reason, "blockReasonMessage": "no."}
        with pytest.raises(ContentFiltered, match=rf"{reason} \(no\.\)") as caught:
            decode_body(orjson.dumps({"promptFeedback": feedback, "usageMetadata": USAGE}))

        assert caught.value.data.code == reason.lower()


class TestOddAnswers:
    @pytest.mark.parametrize(
        ("call", "expected"),
        [
            ({}, ToolCall("call_0", "", "{}")),
            ({"args": '{"x": 1}', "name": 3}, ToolCall("call_0", "", '{"x": 1}')),
            ({"args": [1]}, ToolCall("call_0", "", "[1]")),
            ({"args": None}, ToolCall("call_0", "", "")),
        ],
    )
    def test_calls_with_missing_fields(self, call: dict[str, Any], expected: ToolCall) -> None:
        """What is missing is read as missing."""
        assert decode({"functionCall": call}).choices[0].tool_calls == (expected,)

    @pytest.mark.parametrize(
        "part",
        [None, 3, {}, {"inlineData": {}}, {"executableCode": {"code": "x"}}, {"functionCall": 3}],
    )
    def test_parts_that_say_nothing(self, part: Any) -> None:
        """They are passed over."""
        assert decode(part, {"text": "4"}).text == "4"

    @pytest.mark.parametrize(
        "usage", [None, [], {"promptTokenCount": -1}, {"promptTokenCount": "x"}]
    )
    def test_nonsense_usage_counts_as_zero(self, usage: Any) -> None:
        """A broken meter does not break the answer."""
        found = decode_body(orjson.dumps({**answer(), "usageMetadata": usage}))
        assert found.usage == Usage(cost_usd=None, calls=1)

    def test_answer_in_a_list(self) -> None:
        """A proxy that wraps all it passes on wraps answers too."""
        assert decode_body(orjson.dumps([answer()])).text == "4"


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "status", "expected"),
        [
            (429, "RESOURCE_EXHAUSTED", RateLimited),
            (503, "UNAVAILABLE", ServerError),
            (500, "INTERNAL", ServerError),
            (400, "INVALID_ARGUMENT", InvalidRequest),
            (403, "PERMISSION_DENIED", AuthError),
        ],
    )
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_error_in_a_good_reply(
        self, code: int, status: str, expected: type[ProviderError], wrapped: bool
    ) -> None:
        """It is raised for what it is, in a list or not."""
        body = {"error": {"code": code, "message": "m", "status": status}}
        with pytest.raises(expected, match="m"):
            decode_body(orjson.dumps([body] if wrapped else body))

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"", "not JSON"),
            (b"<html>hello</html>", "not JSON.*<html>hello"),
            (b"[]", "not a JSON object"),
            (b"[{}, {}]", "not a JSON object"),
            (b"{}", "no candidates"),
            (b'{"candidates": []}', "no candidates"),
            (b'{"candidates": {}}', "no candidates"),
            (b'{"promptFeedback": {"blockReason": 3}}', "no candidates"),
            (b"[" * 100_000, "not JSON"),
        ],
    )
    def test_what_is_no_answer_is_shown(self, body: bytes, problem: str) -> None:
        """The error says what is wrong and what was seen."""
        with pytest.raises(ProtocolError, match=problem):
            decode_body(body)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "candidates",
                            "content",
                            "parts",
                            "text",
                            "thought",
                            "thoughtSignature",
                            "functionCall",
                            "args",
                            "name",
                            "finishReason",
                            "usageMetadata",
                            "error",
                            "logprobsResult",
                            "chosenCandidates",
                            "logProbability",
                            "promptFeedback",
                            "citationMetadata",
                            "citationSources",
                            "groundingMetadata",
                            "index",
                        ]
                    ),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=25,
        )
    )
    def test_any_json_is_an_answer_or_an_error(self, value: Any) -> None:
        """No JSON raises anything but a ProviderError, and an answer is a Response."""
        try:
            found = decode_body(orjson.dumps(value))
        except ProviderError:
            return

        assert Response.from_dict(found.to_dict()) == found


TEXTS = st.text(min_size=1, max_size=8)
ARGUMENTS = st.dictionaries(TEXTS, st.integers(-9, 9) | TEXTS | st.none(), max_size=3).map(
    lambda value: orjson.dumps(value).decode()
)


@given(
    TEXTS,
    st.lists(
        st.builds(ToolCall, TEXTS, TEXTS, ARGUMENTS, signature=st.none() | TEXTS), max_size=3
    ).map(tuple),
    st.lists(st.builds(ReasoningPart, TEXTS, signature=TEXTS), max_size=3),
    st.none() | st.builds(ReasoningPart, signature=TEXTS),
)
def test_an_answer_that_goes_back_and_comes_again_is_the_same(
    text: str,
    calls: tuple[ToolCall, ...],
    thoughts: list[ReasoningPart],
    signed_text: ReasoningPart | None,
) -> None:
    """Encoding a turn and reading it as an answer loses nothing of it."""
    thinking = (*thoughts, signed_text) if signed_text is not None else tuple(thoughts)
    turn = Choice(text, tool_calls=calls, thinking=thinking).to_message()
    body = orjson.loads(encode_request(Request((turn,)), PRESETS["gemini"]).body)
    assert decode(*body["contents"][0]["parts"]).choices[0].to_message() == turn
