"""Bodies and streams, as the official SDK reads them."""

from __future__ import annotations

from typing import Any

import orjson
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from dspex.sandbox.wire import DONE, Choice, completion_body, error_body, stream_frames

CHOICES = (Choice("héllo, a text longer than one chunk holds", "stop"), Choice("b", "length"))


def chunks(usage: tuple[int, int] | None) -> list[ChatCompletionChunk]:
    """Return the events of a stream as the SDK's types, checked strictly."""
    frames = list(stream_frames("id", "m", CHOICES, usage))
    assert frames[-1] == DONE
    return [
        ChatCompletionChunk.model_validate(orjson.loads(frame.removeprefix(b"data: ")), strict=True)
        for frame in frames[:-1]
    ]


def test_whole_answer() -> None:
    """A body validates against the SDK's own type."""
    body = completion_body("id", "m", CHOICES, (3, 4))
    completion = ChatCompletion.model_validate(orjson.loads(body), strict=True)
    assert [choice.message.content for choice in completion.choices] == [c.text for c in CHOICES]
    assert [choice.finish_reason for choice in completion.choices] == ["stop", "length"]
    assert completion.usage is not None
    assert completion.usage.total_tokens == 7


def test_stream_adds_up_to_the_answer() -> None:
    """The deltas of each choice are its text; the reason comes last."""
    texts: dict[int, str] = {0: "", 1: ""}
    reasons: dict[int, Any] = {}
    for chunk in chunks(None):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason

    assert texts == {0: CHOICES[0].text, 1: CHOICES[1].text}
    assert reasons == {0: "stop", 1: "length"}


def test_usage_comes_once_and_last() -> None:
    """The chunk with the usage has no choices; without being asked for there is none."""
    *before, last = chunks((3, 4))
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.prompt_tokens == 3
    assert all(chunk.usage is None for chunk in [*before, *chunks(None)])


def test_error() -> None:
    """All four members are there, as clients expect."""
    assert orjson.loads(error_body("m", kind="k")) == {
        "error": {"message": "m", "type": "k", "param": None, "code": None}
    }
