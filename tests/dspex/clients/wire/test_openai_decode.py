"""OpenAI's answers and everybody else's, as Responses."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st
from openai.types.chat import ChatCompletion

from dspex.clients.wire.openai_decode import decode_body
from dspex.errors import (
    AuthError,
    ContextWindowExceeded,
    ErrorKind,
    ProtocolError,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ServerError,
)
from dspex.messages import (
    Citation,
    FinishReason,
    ReasoningPart,
    Response,
    TokenLogprob,
    ToolCall,
)
from dspex.usage import Usage

WORDS = [
    "choices",
    "message",
    "content",
    "tool_calls",
    "function",
    "arguments",
    "usage",
    "error",
    "index",
    "finish_reason",
    "id",
    "model",
    "text",
    "code",
    "object",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=25,
)


def answer(message: Any = None, **changes: Any) -> bytes:
    """Write an answer of one choice."""
    row = {"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}
    row.update({"message": message} if message is not None else {})
    return json.dumps({"choices": [row], **changes}).encode()


class TestAnswers:
    def test_official_answer(self) -> None:
        """What OpenAI's own types hold comes out whole."""
        official = ChatCompletion.model_validate(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "gpt-x",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "logprobs": None,
                        "message": {"role": "assistant", "content": "4", "refusal": None},
                    }
                ],
                "usage": {
                    "prompt_tokens": 20,
                    "completion_tokens": 10,
                    "total_tokens": 30,
                    "prompt_tokens_details": {"cached_tokens": 8},
                    "completion_tokens_details": {"reasoning_tokens": 6},
                },
            }
        )
        found = decode_body(official.model_dump_json().encode())
        assert (found.text, found.finish_reason) == ("4", FinishReason.STOP)
        assert (found.model, found.request_id) == ("gpt-x", "chatcmpl-1")
        assert found.usage == Usage(
            input_tokens=20,
            output_tokens=10,
            cache_read_tokens=8,
            reasoning_tokens=6,
            cost_usd=None,
            calls=1,
        )

    def test_bare_answer(self) -> None:
        """Usage, id, model, created and finish reason may all be missing."""
        found = decode_body(b'{"choices": [{"message": {"content": "4"}}]}')
        assert (found.text, found.finish_reason) == ("4", FinishReason.UNKNOWN)
        assert (found.model, found.request_id) == ("", None)
        assert found.usage == Usage(cost_usd=None, calls=1)

    def test_several_choices_in_the_order_of_their_index(self) -> None:
        """A server may list them as they finished."""
        rows = [{"index": index, "message": {"content": str(index)}} for index in (2, 0, 1)]
        found = decode_body(orjson.dumps({"choices": rows}))
        assert [choice.text for choice in found.choices] == ["0", "1", "2"]

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("stop", FinishReason.STOP),
            ("length", FinishReason.LENGTH),
            ("content_filter", FinishReason.CONTENT_FILTER),
            ("function_call", FinishReason.TOOL_CALLS),
            ("max_tokens", FinishReason.LENGTH),
            ("eos", FinishReason.STOP),
            ("error", FinishReason.ERROR),
            ("because", FinishReason.UNKNOWN),
            (None, FinishReason.UNKNOWN),
            (7, FinishReason.UNKNOWN),
            ({"a": 1}, FinishReason.UNKNOWN),
        ],
    )
    def test_finish_reasons(self, said: Any, expected: FinishReason) -> None:
        """Known words become ours, others are unknown."""
        row = {"message": {"content": "x"}, "finish_reason": said}
        assert decode_body(orjson.dumps({"choices": [row]})).finish_reason is expected

    @pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
    def test_thinking(self, field: str) -> None:
        """Under either name, beside the answer and not in it."""
        choice = decode_body(answer({"content": "4", field: "two and two"})).choices[0]
        assert (choice.text, choice.reasoning) == ("4", "two and two")

    def test_thinking_can_go_back(self) -> None:
        """A turn made of the answer holds it."""
        choice = decode_body(answer({"content": "4", "reasoning": "two and two"})).choices[0]
        assert choice.to_message().reasoning == (ReasoningPart("two and two"),)

    def test_log_probabilities(self) -> None:
        """Each token with its own, and the likely others in their order."""
        rows = [
            {
                "token": "4",
                "logprob": -0.5,
                "bytes": [52],
                "top_logprobs": [
                    {"token": "4", "logprob": -0.5, "bytes": [52]},
                    {"token": "5", "logprob": -2, "bytes": None},
                ],
            },
            {"token": "!", "logprob": -9999.0, "bytes": None, "top_logprobs": []},
        ]
        row = {
            "index": 0,
            "message": {"role": "assistant", "content": "4!", "refusal": None},
            "finish_reason": "stop",
            "logprobs": {"content": rows, "refusal": None},
        }
        whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        body = orjson.dumps({**whole, "choices": [row], "usage": None})
        ChatCompletion.model_validate_json(body)
        assert decode_body(body).choices[0].logprobs == (
            TokenLogprob("4", -0.5, (("4", -0.5), ("5", -2.0))),
            TokenLogprob("!", -9999.0),
        )

    @pytest.mark.parametrize(
        "logprobs",
        [
            [],
            "x",
            {"content": None},
            {"content": "x"},
            {"content": [None, 3, {}, {"token": "a"}, {"token": "a", "logprob": "x"}]},
            {"content": [{"token": "a", "logprob": True}, {"token": "a", "logprob": 10**400}]},
        ],
    )
    def test_nonsense_log_probabilities_are_none(self, logprobs: Any) -> None:
        """A token without a number is passed over."""
        row = {"message": {"content": "4"}, "finish_reason": "stop", "logprobs": logprobs}
        body = json.dumps({"choices": [row], "model": "m", "id": "c", "usage": None})
        assert decode_body(body.encode()).choices[0].logprobs == ()

    def test_annotations(self) -> None:
        """What the answer leans on, with what is known of the source."""
        page = {"start_index": 0, "end_index": 1, "title": "Sums", "url": "https://x/sums"}
        passage = {"url": "https://x/more", "content": "2+2=4", "title": "More"}
        message: dict[str, Any] = {
            "content": "4",
            "annotations": [
                {"type": "url_citation", "url_citation": page},
                {"type": "url_citation", "url_citation": passage},
                {"type": "file_citation", "file_id": "f1", "filename": "a.pdf"},
                {"type": "file_path", "file_id": "f2"},
                {"type": "smell"},
                3,
            ],
        }
        assert decode_body(answer(message)).choices[0].citations == (
            Citation("Sums", source="https://x/sums"),
            Citation("2+2=4", source="https://x/more"),
            Citation("", source="a.pdf"),
            Citation("", source="f2"),
        )

    def test_empty_annotations_and_nulls_are_plain(self) -> None:
        """OpenAI sends all of its fields."""
        nulls: dict[str, Any] = {"refusal": None, "annotations": [], "tool_calls": None}
        choice = decode_body(answer({"content": "4", **nulls})).choices[0]
        assert (choice.text, choice.citations, choice.tool_calls) == ("4", (), ())

    def test_refusal(self) -> None:
        """A refusal is not the text."""
        choice = decode_body(answer({"content": None, "refusal": "no"})).choices[0]
        assert (choice.text, choice.refusal) == ("", "no")

    def test_content_as_parts(self) -> None:
        """A list of parts is their text."""
        parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        assert decode_body(answer({"content": parts})).text == "ab"

    @pytest.mark.parametrize(
        ("call", "expected"),
        [
            (
                {"id": "c1", "function": {"name": "add", "arguments": '{"a":1}'}},
                ToolCall("c1", "add", '{"a":1}'),
            ),
            (
                {"function": {"name": "add", "arguments": {"a": 1}}},
                ToolCall("call_0", "add", '{"a":1}'),
            ),
            ({"id": None, "function": {"name": "add"}}, ToolCall("call_0", "add", "")),
            ({}, ToolCall("call_0", "", "")),
        ],
        ids=["text", "object", "none", "empty"],
    )
    def test_tool_calls(self, call: dict[str, Any], expected: ToolCall) -> None:
        """Arguments as text or as an object, with an id or without."""
        choice = decode_body(answer({"content": "", "tool_calls": [call]})).choices[0]
        assert choice.tool_calls == (expected,)
        assert choice.finish_reason is FinishReason.TOOL_CALLS

    def test_cut_tool_call_stays_cut(self) -> None:
        """A call that ran into the length limit is not passed off as a finished one."""
        row = {"message": {"tool_calls": [{"id": "c"}]}, "finish_reason": "length"}
        assert decode_body(orjson.dumps({"choices": [row]})).finish_reason is FinishReason.LENGTH

    @pytest.mark.parametrize(
        "usage",
        [
            None,
            [],
            "many",
            {"prompt_tokens": "x"},
            {"prompt_tokens": -5},
            {"prompt_tokens": True},
            {"prompt_tokens": None},
            {"prompt_tokens_details": 3},
            {"completion_tokens": 1e300},
        ],
    )
    def test_nonsense_usage_counts_as_zero(self, usage: Any) -> None:
        """A broken meter does not break the answer."""
        assert decode_body(answer(usage=usage)).usage == Usage(cost_usd=None, calls=1)

    def test_lone_surrogate_is_kept(self) -> None:
        """Half a character that a model wrote comes through."""
        assert decode_body(answer({"content": "a\ud83d"})).text == "a\ud83d"

    def test_broken_utf8_is_replaced(self) -> None:
        """Half a character that a server passed on does not lose the answer."""
        body = b'{"choices": [{"message": {"content": "a\xc3"}}]}'
        assert decode_body(body).text == "a\ufffd"


# What servers send that OpenAI does not, each in the form of the one it was seen at.
SERVERS: dict[str, dict[str, Any]] = {
    "vllm": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "4",
                    "reasoning": "2 and 2",
                    "refusal": None,
                    "annotations": None,
                    "audio": None,
                    "function_call": None,
                    "tool_calls": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
                "stop_reason": None,
                "token_ids": None,
            }
        ],
        "service_tier": None,
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 2,
            "total_tokens": 9,
            "prompt_tokens_details": None,
        },
        "prompt_logprobs": None,
        "kv_transfer_params": None,
    },
    "ollama": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "system_fingerprint": "fp_ollama",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "4", "reasoning": "2 and 2"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    },
    "llamacpp": {
        "choices": [
            {
                "finish_reason": "stop",
                "index": 0,
                "message": {
                    "role": "assistant",
                    "reasoning_content": "2 and 2",
                    "content": "4",
                },
            }
        ],
        "created": 1,
        "model": "m",
        "object": "chat.completion",
        "usage": {"completion_tokens": 2, "prompt_tokens": 7, "total_tokens": 9},
        "id": "chatcmpl-1",
        "timings": {"prompt_n": 7, "predicted_per_second": 50.1},
    },
    "lmstudio": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "logprobs": None,
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": "4",
                    "reasoning_content": "2 and 2",
                    "tool_calls": [],
                },
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
        "stats": {},
        "system_fingerprint": "m",
    },
}


class TestServers:
    @pytest.mark.parametrize("server", SERVERS)
    def test_answers_of_servers(self, server: str) -> None:
        """Whatever else they send, text, thinking and usage are found."""
        ChatCompletion.model_validate(SERVERS[server])
        found = decode_body(orjson.dumps(SERVERS[server]))
        choice = found.choices[0]
        assert (choice.text, choice.reasoning) == ("4", "2 and 2")
        assert (found.finish_reason, found.model) == (FinishReason.STOP, "m")
        assert found.usage == Usage(input_tokens=7, output_tokens=2, cost_usd=None, calls=1)

    @pytest.mark.parametrize(
        ("server", "lost"),
        [(server, lost) for server in SERVERS for lost in ("id", "model", "usage", "created")],
    )
    def test_a_missing_field_loses_only_itself(self, server: str, lost: str) -> None:
        """The text is there whatever is not."""
        body = {name: value for name, value in SERVERS[server].items() if name != lost}
        assert decode_body(orjson.dumps(body)).text == "4"

    @pytest.mark.parametrize("content", [None, "", []])
    @pytest.mark.parametrize("server", SERVERS)
    def test_calls_beside_no_text(self, server: str, content: Any) -> None:
        """Null, empty or no parts: the call is the answer, whoever gives it."""
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        message = {"role": "assistant", "content": content, "tool_calls": [call]}
        row = {"index": 0, "message": message, "finish_reason": "stop"}
        found = decode_body(orjson.dumps({**SERVERS[server], "choices": [row]}))
        assert (found.text, found.finish_reason) == ("", FinishReason.TOOL_CALLS)
        assert found.choices[0].tool_calls == (ToolCall("c", "f", "{}"),)

    def test_text_that_is_null(self) -> None:
        """An answer without anything is an empty one."""
        row = {"index": 0, "message": {"content": None}, "finish_reason": "length"}
        found = decode_body(orjson.dumps({**SERVERS["vllm"], "choices": [row]}))
        assert (found.text, found.finish_reason) == ("", FinishReason.LENGTH)


class TestErrorsInside:
    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            ({"message": "x", "code": 429}, RateLimited),
            ({"message": "x", "code": "insufficient_quota"}, QuotaExhausted),
            ({"message": "x", "code": 503}, ServerError),
            ({"message": "x", "type": "authentication_error"}, AuthError),
            ("it broke", ServerError),
            ({"message": "Loading model", "code": 503, "type": "unavailable_error"}, ServerError),
            (
                {"message": "x", "code": 400, "type": "exceed_context_size_error", "n_ctx": 8},
                ContextWindowExceeded,
            ),
            ({"message": "x", "type": "exceeded_current_quota_error"}, QuotaExhausted),
            ({"message": "x", "code": 1113}, QuotaExhausted),
            ({"message": "x", "code": "1113"}, QuotaExhausted),
        ],
    )
    def test_error_in_a_good_reply_is_raised(
        self, error: Any, expected: type[ProviderError]
    ) -> None:
        """It is classified by its own words."""
        with pytest.raises(expected):
            decode_body(orjson.dumps({"error": error}))

    def test_error_of_a_choice_is_raised(self) -> None:
        """A router passes on what went wrong behind it, beside half an answer."""
        row = {
            "index": 0,
            "message": {"role": "assistant", "content": "4"},
            "finish_reason": "stop",
            "error": {"code": 429, "message": "slow down"},
        }
        whole = {"id": "c", "model": "m", "usage": None}
        with pytest.raises(RateLimited, match=r"^slow down"):
            decode_body(orjson.dumps({**whole, "choices": [row]}))

    def test_older_shape(self) -> None:
        """An object that calls itself an error is one."""
        with pytest.raises(ServerError, match="it broke"):
            decode_body(b'{"object": "error", "message": "it broke"}')

    def test_empty_error_is_none(self) -> None:
        """Some servers always send the field."""
        assert decode_body(answer(error=None)).text == "4"


class TestGarbage:
    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"", "not JSON"),
            (b"<html>hello</html>", "not JSON.*<html>hello"),
            (b"[1, 2]", "not a JSON object"),
            (b"null", "not a JSON object"),
            (b"{}", "no choices"),
            (b'{"choices": []}', "no choices"),
            (b'{"choices": "x"}', "no choices"),
            (b'{"choices": [3]}', "no message"),
            (b'{"choices": [{"text": "x"}]}', "no message"),
            (b'{"choices": [{"message": null}]}', "no message"),
            (b'{"choices": [{"message": {"content": "cut', "not JSON"),
        ],
    )
    def test_it_is_named_and_shown(self, body: bytes, problem: str) -> None:
        """The error says what is wrong and what was seen."""
        with pytest.raises(ProtocolError, match=problem) as caught:
            decode_body(body)

        assert caught.value.data.kind is ErrorKind.PROTOCOL

    def test_only_its_beginning_is_shown(self) -> None:
        """A megabyte of it is not."""
        with pytest.raises(ProtocolError, match="1000000 bytes") as caught:
            decode_body(b"x" * 1_000_000)

        assert len(str(caught.value)) < 500

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 100_000,
            b'{"choices": ' + b"[" * 1_500 + b"]" * 1_500 + b"}",
            b'{"usage": ' + b"9" * 10_000 + b'\x01, "choices": []}',
        ],
        ids=["unclosed", "choices", "digits"],
    )
    def test_malice_is_a_protocol_error(self, body: bytes) -> None:
        """What is made to exhaust the stack is refused like any garbage."""
        with pytest.raises(ProtocolError):
            decode_body(body)

    def test_arguments_nested_to_the_limit_are_read_or_refused(self) -> None:
        """How deep an interpreter can write differs; beyond that it is garbage, not a crash."""
        nested = b"[" * 1_000 + b"]" * 1_000
        head = b'{"choices": [{"message": {"tool_calls": [{"function": {"arguments": '
        with suppress(ProtocolError):
            found = decode_body(head + nested + b"}}]}}]}")
            assert found.choices[0].tool_calls[0].arguments == nested.decode()

    @given(JSON)
    def test_any_json_is_an_answer_or_an_error(self, value: Any) -> None:
        """No JSON raises anything but a ProviderError, and an answer is a Response."""
        try:
            found = decode_body(json.dumps(value).encode())
        except ProviderError:
            return

        assert Response.from_dict(found.to_dict()) == found

    @given(st.binary(max_size=60))
    def test_any_bytes_are_an_answer_or_an_error(self, body: bytes) -> None:
        """Nor do any bytes."""
        with pytest.raises(ProviderError):
            decode_body(body)
