"""The OpenAI responses wire, server's side: typed items and named events.

Source: the OpenAI API reference for responses, and what its SDK reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.sandbox.exchange import Event, Problem, count_tokens, cut_pieces
from dspex.sandbox.logprobs import token_logprobs
from dspex.sandbox.signing import sign
from dspex.sandbox.wires.dialect import ChatWire, named_event
from dspex.sandbox.wires.openai import CREATED, OPENAI_DIALECT, error_object
from dspex.sandbox.wires.openai_responses_request import read_responses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dspex.sandbox.exchange import Reply

__all__ = ("OPENAI_RESPONSES",)

_CODES: Final = {"rate_limited": "rate_limit_exceeded", "invalid": "invalid_prompt"}

_Item = dict[str, Any]


def _body(reply: Reply) -> bytes:
    return orjson.dumps(_response(reply, _items(reply)))


def _response(reply: Reply, output: list[_Item], status: str | None = None) -> _Item:
    """Return a response object; without a status, that of the end."""
    choice = reply.choices[0]
    problem, cut = reply.problem, choice.finish == "length"
    end = "failed" if problem else "incomplete" if cut else "completed"
    status = status or end
    return {
        "id": f"resp_sandbox_{reply.number}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": _error(problem) if problem and status == "failed" else None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "max_output_tokens": reply.ask.max_tokens,
        "model": reply.ask.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": reply.ask.temperature,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if status in ("in_progress", "failed") else _usage(reply),
        "metadata": {},
    }


def _error(problem: Problem) -> _Item:
    return {"code": _CODES.get(problem.kind, "server_error"), "message": problem.message}


def _items(reply: Reply) -> list[_Item]:
    """Return the output items: reasoning, text, calls, each if there is any."""
    if reply.problem is not None:
        return []

    choice = reply.choices[0]
    items: list[_Item] = []
    if choice.reasoning:
        summary = [{"type": "summary_text", "text": choice.reasoning}]
        items.append(
            {
                "id": f"rs_{reply.number}",
                "type": "reasoning",
                "summary": summary,
                "encrypted_content": sign(choice.reasoning),
            }
        )

    if choice.text or not choice.calls:
        content = [_text_part(choice.text, reply.ask.logprobs)]
        items.append(
            {
                "id": f"msg_{reply.number}",
                "type": "message",
                "status": "incomplete" if choice.finish == "length" else "completed",
                "role": "assistant",
                "content": content,
            }
        )

    items += [
        {
            "id": f"fc_{call.identity}",
            "type": "function_call",
            "status": "completed",
            "call_id": call.identity,
            "name": call.name,
            "arguments": call.json,
        }
        for call in choice.calls
    ]
    return items


def _text_part(text: str, alternatives: int | None) -> _Item:
    logprobs = _logprobs(text, alternatives)
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def _logprobs(text: str, alternatives: int | None) -> list[_Item]:
    """Return synthetic log probabilities of a text's tokens; none when not asked for."""
    if alternatives is None:
        return []

    return [
        {**_token(shown[0]), "top_logprobs": [_token(other) for other in shown[:alternatives]]}
        for shown in token_logprobs(text, alternatives)
    ]


def _token(shown: tuple[str, float]) -> _Item:
    token, logprob = shown
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _events(reply: Reply) -> Iterator[Event]:
    """Yield the events of an answer, numbered, from `response.created` to the terminal one."""
    for number, (data, tokens) in enumerate(_unnumbered(reply)):
        yield named_event({**data, "sequence_number": number}, tokens)


def _unnumbered(reply: Reply) -> Iterator[tuple[_Item, int]]:
    started = _response(reply, [], "in_progress")
    yield {"type": "response.created", "response": started}, 0
    yield {"type": "response.in_progress", "response": started}, 0
    items = _items(reply)
    for index, item in enumerate(items):
        opened = {**item, "status": "in_progress"}
        match item["type"]:
            case "message":
                opened["content"] = list[_Item]()
            case "function_call":
                opened["arguments"] = ""
            case _:
                opened = {**item, "summary": list[_Item]()}

        yield {"type": "response.output_item.added", "output_index": index, "item": opened}, 0
        yield from _item_events(reply, item, {"item_id": item["id"], "output_index": index})
        yield {"type": "response.output_item.done", "output_index": index, "item": item}, 0

    ended = _response(reply, items)
    yield {"type": f"response.{ended['status']}", "response": ended}, 0


def _item_events(reply: Reply, item: _Item, at: _Item) -> Iterator[tuple[_Item, int]]:
    """Yield what comes between the opening and the closing of an item."""
    match item["type"]:
        case "message":
            yield from _text_events(reply, item["content"][0], {**at, "content_index": 0})
        case "function_call":
            name = "response.function_call_arguments"
            first = count_tokens(item["name"])
            for piece in cut_pieces(item["arguments"], reply.piece_chars):
                yield {"type": f"{name}.delta", **at, "delta": piece}, count_tokens(piece) + first
                first = 0

            done = {"name": item["name"], "arguments": item["arguments"]}
            yield {"type": f"{name}.done", **at, **done}, 0
        case _:
            yield from _summary_events(reply, item["summary"][0], {**at, "summary_index": 0})


def _text_events(reply: Reply, part: _Item, at: _Item) -> Iterator[tuple[_Item, int]]:
    empty = {**part, "text": "", "logprobs": list[_Item]()}
    yield {"type": "response.content_part.added", **at, "part": empty}, 0
    for piece in cut_pieces(part["text"], reply.piece_chars):
        logprobs = _logprobs(piece, reply.ask.logprobs)
        delta = {"delta": piece, "logprobs": logprobs}
        yield {"type": "response.output_text.delta", **at, **delta}, count_tokens(piece)

    done = {"text": part["text"], "logprobs": part["logprobs"]}
    yield {"type": "response.output_text.done", **at, **done}, 0
    yield {"type": "response.content_part.done", **at, "part": part}, 0


def _summary_events(reply: Reply, part: _Item, at: _Item) -> Iterator[tuple[_Item, int]]:
    name = "response.reasoning_summary"
    yield {"type": f"{name}_part.added", **at, "part": {**part, "text": ""}}, 0
    for piece in cut_pieces(part["text"], reply.piece_chars):
        yield {"type": f"{name}_text.delta", **at, "delta": piece}, count_tokens(piece)

    yield {"type": f"{name}_text.done", **at, "text": part["text"]}, 0
    yield {"type": f"{name}_part.done", **at, "part": part}, 0


def _error_event(problem: Problem) -> bytes:
    """Return the event of an error inside a stream."""
    error = error_object(problem)
    shown = {"code": error["code"], "message": error["message"], "param": error["param"]}
    return named_event({"type": "error", **shown, "sequence_number": 0}).data


def _usage(reply: Reply) -> Mapping[str, Any]:
    usage = reply.usage
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


OPENAI_RESPONSES: Final = ChatWire(
    name="openai_responses",
    dialect=OPENAI_DIALECT,
    read=read_responses,
    body=_body,
    events=_events,
    error_event=_error_event,
)
"""Responses."""
