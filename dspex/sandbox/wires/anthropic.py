"""The Anthropic messages wire, server's side: answers, named events, errors.

Source: the Anthropic API reference for messages, and what its SDK reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.sandbox.exchange import Event, Problem, count_tokens, cut_pieces
from dspex.sandbox.signing import sign
from dspex.sandbox.wires.anthropic_request import read_anthropic
from dspex.sandbox.wires.dialect import (
    Allowance,
    ChatWire,
    Dialect,
    named_event,
    read_bearer,
    utc_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dspex.sandbox.exchange import Choice, ProblemKind, Reply

__all__ = ("ANTHROPIC", "ANTHROPIC_DIALECT", "error_object", "message_object")

_STOPS: Final = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
}
_KINDS: Final[Mapping[ProblemKind, str]] = {
    "unauthorized": "authentication_error",
    "forbidden": "permission_error",
    "not_found": "not_found_error",
    "request_timeout": "timeout_error",
    "conflict": "conflict_error",
    "too_large": "request_too_large",
    "rate_limited": "rate_limit_error",
    "quota_exhausted": "billing_error",
    "server_error": "api_error",
    "bad_gateway": "api_error",
    "unavailable": "api_error",
    "gateway_timeout": "timeout_error",
    "overloaded": "overloaded_error",
}
_LONGER: Final = "prompt is too long: 200001 tokens > 200000 maximum"

_Block = dict[str, Any]


def message_object(reply: Reply) -> dict[str, Any]:
    """Return a whole message."""
    choice = reply.choices[0]
    return {
        "id": f"msg_sandbox_{reply.number}",
        "type": "message",
        "role": "assistant",
        "model": reply.ask.model,
        "content": _content(choice),
        "stop_reason": _STOPS[choice.finish],
        "stop_sequence": choice.stop,
        "usage": _usage(reply, reply.usage.output_tokens),
    }


def _content(choice: Choice) -> list[_Block]:
    """Return the blocks: thinking, text, calls, each if there is any."""
    blocks: list[_Block] = []
    if choice.reasoning:
        signature = sign(choice.reasoning)
        blocks.append({"type": "thinking", "thinking": choice.reasoning, "signature": signature})

    if choice.text or not choice.calls:
        blocks.append({"type": "text", "text": choice.text, "citations": None})

    for call in choice.calls:
        used = {"id": f"toolu_{call.identity}", "name": call.name, "input": dict(call.arguments)}
        blocks.append({"type": "tool_use", **used})

    return blocks


def _usage(reply: Reply, output_tokens: int) -> dict[str, Any]:
    """Return the usage; on this wire the input leaves out what came from the cache."""
    usage = reply.usage
    shown: dict[str, Any] = {
        "input_tokens": usage.input_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
    if usage.reasoning_tokens and output_tokens == usage.output_tokens:
        shown["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}

    return shown


def _body(reply: Reply) -> bytes:
    if reply.problem is not None:
        return _error(reply.problem, 0.0)

    return orjson.dumps(message_object(reply))


def _events(reply: Reply) -> Iterator[Event]:
    """Yield the events of an answer, from `message_start` to `message_stop`."""
    if reply.problem is not None:
        yield Event(_error_event(reply.problem))
        return

    whole = message_object(reply)
    start = {**whole, "content": list[_Block](), "stop_reason": None, "stop_sequence": None}
    yield named_event({"type": "message_start", "message": {**start, "usage": _usage(reply, 0)}})
    yield named_event({"type": "ping"})
    for index, block in enumerate(whole["content"]):
        yield from _block_events(reply, index, block)

    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": whole["stop_sequence"]}
    yield named_event({"type": "message_delta", "delta": delta, "usage": whole["usage"]})
    yield named_event({"type": "message_stop"})


def _block_events(reply: Reply, index: int, block: _Block) -> Iterator[Event]:
    """Yield the opening, the deltas and the closing of one block."""
    empty: _Block
    match block["type"]:
        case "thinking":
            empty, kind, key = {"thinking": "", "signature": ""}, "thinking", "thinking"
            text = block["thinking"]
        case "text":
            empty, kind, key, text = {"text": ""}, "text", "text", block["text"]
        case _:
            empty, kind, key = {"input": _Block()}, "input_json", "partial_json"
            text = orjson.dumps(block["input"]).decode()

    opened = {**block, **empty}
    first = count_tokens(block.get("name", ""))
    yield named_event(
        {"type": "content_block_start", "index": index, "content_block": opened}, first
    )
    for piece in cut_pieces(text, reply.piece_chars):
        delta = {"type": f"{kind}_delta", key: piece}
        yield _delta_event(index, delta, count_tokens(piece))

    if signature := block.get("signature"):
        yield _delta_event(index, {"type": "signature_delta", "signature": signature}, 0)

    yield named_event({"type": "content_block_stop", "index": index})


def _delta_event(index: int, delta: _Block, tokens: int) -> Event:
    return named_event({"type": "content_block_delta", "index": index, "delta": delta}, tokens)


def error_object(problem: Problem) -> dict[str, Any]:
    """Return a problem as an object of type `error`."""
    longer = problem.kind == "context_window" and not problem.said
    message = _LONGER if longer else problem.message
    if problem.param and problem.param not in message:
        message = f"{problem.param}: {message}"

    kind = _KINDS.get(problem.kind, "invalid_request_error")
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_sandbox",
    }


def _error(problem: Problem, wait_s: float) -> bytes:
    return orjson.dumps(error_object(problem))


def _error_event(problem: Problem) -> bytes:
    return named_event(error_object(problem)).data


def _key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    return headers.get("x-api-key") or read_bearer(headers, query)


def _limit_headers(left: Allowance) -> dict[str, str]:
    """Return `anthropic-ratelimit-*`, its resets as RFC 3339 times."""
    headers: dict[str, str] = {}
    reset = utc_text(left.now_s + left.reset_s)
    for name, limit, rest in (
        ("requests", left.requests, left.requests_left),
        ("tokens", left.tokens, left.tokens_left),
        ("input-tokens", left.tokens, left.tokens_left),
    ):
        if limit is not None:
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(rest)
            headers[f"anthropic-ratelimit-{name}-reset"] = reset

    return headers


ANTHROPIC_DIALECT: Final = Dialect(
    name="anthropic",
    error=_error,
    error_event=_error_event,
    key=_key,
    retry=("seconds",),
    reset_header="anthropic-ratelimit-requests-reset",
    limit_headers=_limit_headers,
    request_id="request-id",
    needs=("anthropic-version",),
    statuses={"quota_exhausted": 402},
)
"""Anthropic's dialect."""

ANTHROPIC: Final = ChatWire(
    name="anthropic", dialect=ANTHROPIC_DIALECT, read=read_anthropic, body=_body, events=_events
)
"""Messages."""
