"""Cohere's chat in version 2, server's side: answers, events, errors.

Source: the Cohere API reference, and what its SDK reads. Numbers in the usage are floats; errors
have an id and a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.sandbox.exchange import Event, Problem, count_tokens, cut_pieces
from dspex.sandbox.logprobs import token_logprobs
from dspex.sandbox.wires.cohere_request import read_cohere
from dspex.sandbox.wires.dialect import ChatWire, Dialect, named_event, read_bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex.sandbox.exchange import Call, Reply
    from dspex.sandbox.wires.dialect import Allowance

__all__ = ("COHERE", "COHERE_DIALECT")

_FINISH: Final = {
    "stop": "COMPLETE",
    "stop_sequence": "STOP_SEQUENCE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
}
_LONGER: Final = "too many tokens: total number of tokens in the prompt cannot exceed 128000"
_QUOTA: Final = "You are past the per month request limit for this model."


def _body(reply: Reply) -> bytes:
    """Return a whole answer."""
    if reply.problem is not None:
        return _error(reply.problem, 0.0)

    choice = reply.choices[0]
    message: dict[str, Any] = {"role": "assistant"}
    content: list[dict[str, str]] = []
    if choice.reasoning:
        content.append({"type": "thinking", "thinking": choice.reasoning})

    if choice.calls:
        message["tool_calls"] = [_call(call) for call in choice.calls]
        if choice.text:
            message["tool_plan"] = choice.text
    else:
        content.append({"type": "text", "text": choice.text})

    if content:
        message["content"] = content

    body: dict[str, Any] = {
        "id": _identity(reply),
        "message": message,
        "finish_reason": _FINISH[choice.finish],
        "usage": _usage(reply),
    }
    if reply.ask.logprobs is not None:
        body["logprobs"] = [_logprob(text, value) for text, value in _tokens(choice.text)]

    return orjson.dumps(body)


def _call(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.json}
    return {"id": call.identity, "type": "function", "function": function}


def _tokens(text: str) -> Iterator[tuple[str, float]]:
    return (shown[0] for shown in token_logprobs(text, 1))


def _logprob(text: str, value: float) -> dict[str, Any]:
    return {"text": text, "token_ids": [sum(text.encode())], "logprobs": [value]}


def _events(reply: Reply) -> Iterator[Event]:
    """Yield the events of an answer, from `message-start` to `message-end`."""
    if reply.problem is not None:
        yield Event(_error_event(reply.problem))
        return

    choice = reply.choices[0]
    message: dict[str, Any] = {"role": "assistant", "content": [], "tool_calls": []}
    start = {"type": "message-start", "id": _identity(reply), "delta": {"message": message}}
    yield named_event(start)
    index = 0
    if choice.reasoning:
        yield from _content_events(reply, index, "thinking", choice.reasoning)
        index += 1

    if choice.calls:
        for piece in cut_pieces(choice.text, reply.piece_chars):
            delta = {"message": {"tool_plan": piece}}
            yield named_event({"type": "tool-plan-delta", "delta": delta}, count_tokens(piece))

        for number, call in enumerate(choice.calls):
            yield from _call_events(reply, number, call)
    else:
        yield from _content_events(reply, index, "text", choice.text)

    end = {"finish_reason": _FINISH[choice.finish], "usage": _usage(reply)}
    yield named_event({"type": "message-end", "id": _identity(reply), "delta": end})


def _content_events(reply: Reply, index: int, kind: str, text: str) -> Iterator[Event]:
    empty = {"message": {"content": {"type": kind, kind: ""}}}
    yield named_event({"type": "content-start", "index": index, "delta": empty})
    shows = kind == "text" and reply.ask.logprobs is not None
    for piece in cut_pieces(text, reply.piece_chars):
        delta = {"message": {"content": {kind: piece}}}
        event: dict[str, Any] = {"type": "content-delta", "index": index, "delta": delta}
        if shows:
            values = [value for _, value in _tokens(piece)]
            ids = [sum(token.encode()) for token, _ in _tokens(piece)]
            event["logprobs"] = {"text": piece, "token_ids": ids, "logprobs": values}

        yield named_event(event, count_tokens(piece))

    yield named_event({"type": "content-end", "index": index})


def _call_events(reply: Reply, index: int, call: Call) -> Iterator[Event]:
    opened = {**_call(call), "function": {"name": call.name, "arguments": ""}}
    yield named_event(
        {"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": opened}}},
        count_tokens(call.name),
    )
    for piece in cut_pieces(call.json, reply.piece_chars):
        delta = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
        event = {"type": "tool-call-delta", "index": index, "delta": delta}
        yield named_event(event, count_tokens(piece))

    yield named_event({"type": "tool-call-end", "index": index})


def _identity(reply: Reply) -> str:
    return f"sandbox-{reply.number}"


def _usage(reply: Reply) -> dict[str, Any]:
    """Return the usage: floats, as the provider has them."""
    usage = reply.usage
    tokens = {
        "input_tokens": float(usage.input_tokens),
        "output_tokens": float(usage.output_tokens),
    }
    shown: dict[str, Any] = {"billed_units": tokens, "tokens": tokens}
    if usage.cached_tokens:
        shown["cached_tokens"] = float(usage.cached_tokens)

    return shown


def _error(problem: Problem, wait_s: float) -> bytes:
    said = {"context_window": _LONGER, "quota_exhausted": _QUOTA}
    message = problem.said or said.get(problem.kind, problem.message)
    return orjson.dumps({"id": "sandbox", "message": message})


def _error_event(problem: Problem) -> bytes:
    """Return the end of a stream that failed."""
    delta = {"finish_reason": "ERROR", "error": problem.message}
    return named_event({"type": "message-end", "id": "sandbox", "delta": delta}).data


def _limit_headers(left: Allowance) -> dict[str, str]:
    """Return `x-ratelimit-*`, the reset as unix time."""
    if left.requests is None:
        return {}

    return {
        "x-ratelimit-limit": str(left.requests),
        "x-ratelimit-remaining": str(left.requests_left),
        "x-ratelimit-reset": str(int(left.now_s + left.reset_s) + 1),
    }


COHERE_DIALECT: Final = Dialect(
    name="cohere",
    error=_error,
    error_event=_error_event,
    key=read_bearer,
    retry=("reset",),
    reset_header="x-ratelimit-reset",
    limit_headers=_limit_headers,
    request_id="x-debug-trace-id",
)
"""Cohere's dialect."""

COHERE: Final = ChatWire(
    name="cohere", dialect=COHERE_DIALECT, read=read_cohere, body=_body, events=_events
)
"""Chat, version 2."""
