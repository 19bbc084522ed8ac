"""The OpenAI chat completions wire, server's side: answers, streams and errors as bytes.

Source: the OpenAI API reference for chat completions, and what its SDK reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = (
    "DONE",
    "Choice",
    "completion_body",
    "error_body",
    "stream_frames",
)

DONE: Final = b"data: [DONE]\n\n"
"""The frame that ends a stream."""

_CHUNK_CHARS: Final = 24
_CREATED: Final = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer, and why it ended: "stop" or "length"."""

    text: str
    finish_reason: str


def completion_body(
    identity: str, model: str, choices: Sequence[Choice], usage: tuple[int, int]
) -> bytes:
    """Return the body of a whole answer; `usage` is (prompt tokens, completion tokens)."""
    return orjson.dumps(
        {
            "id": identity,
            "object": "chat.completion",
            "created": _CREATED,
            "model": model,
            "choices": [
                {
                    "index": index,
                    "message": {"role": "assistant", "content": choice.text, "refusal": None},
                    "finish_reason": choice.finish_reason,
                    "logprobs": None,
                }
                for index, choice in enumerate(choices)
            ],
            "usage": _usage(usage),
        }
    )


def stream_frames(
    identity: str,
    model: str,
    choices: Sequence[Choice],
    usage: tuple[int, int] | None,
) -> Iterator[bytes]:
    """Yield the server-sent events of an answer; a last chunk carries `usage` unless it is None."""
    for index, choice in enumerate(choices):
        yield _frame(identity, model, index, {"role": "assistant", "content": ""}, None)
        for start in range(0, len(choice.text), _CHUNK_CHARS):
            delta = {"content": choice.text[start : start + _CHUNK_CHARS]}
            yield _frame(identity, model, index, delta, None)

        yield _frame(identity, model, index, {}, choice.finish_reason)

    if usage is not None:
        yield _event({**_chunk(identity, model), "choices": [], "usage": _usage(usage)})

    yield DONE


def error_body(
    message: str, *, kind: str, param: str | None = None, code: str | None = None
) -> bytes:
    """Return an error body in OpenAI's shape."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


def _frame(
    identity: str, model: str, index: int, delta: dict[str, str], finish_reason: str | None
) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
    return _event({**_chunk(identity, model), "choices": [choice]})


def _chunk(identity: str, model: str) -> dict[str, Any]:
    return {
        "id": identity,
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": model,
    }


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _usage(usage: tuple[int, int]) -> dict[str, int]:
    prompt, completion = usage
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
