"""The OpenAI responses wire, server's side: typed items in, typed items and named events out.

Source: the OpenAI API reference for responses, and what its SDK reads. Nothing is stored, so
`previous_response_id` is refused. The wire has no `n`, no `seed` and no stop sequences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.sandbox.exchange import Ask, Event, Problem, Tool, count_tokens, cut_pieces
from dspex.sandbox.logprobs import token_logprobs
from dspex.sandbox.reading import (
    invalid,
    read_flag,
    read_integer,
    read_json,
    read_list,
    read_number,
    read_object,
    read_parts,
    read_some,
    read_text,
)
from dspex.sandbox.signing import sign
from dspex.sandbox.wires.dialect import ChatWire, Target, named_event
from dspex.sandbox.wires.openai import (
    CREATED,
    OPENAI_DIALECT,
    error_object,
    read_choice,
    read_format,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dspex.sandbox.exchange import Reply

__all__ = ("OPENAI_RESPONSES",)

_ROLES: Final = ("system", "developer", "user", "assistant")
_TEXTS: Final = ("input_text", "output_text", "text", "refusal", "summary_text")
_ATTACHED: Final = ("input_image", "input_file", "input_audio")
_CODES: Final = {"rate_limited": "rate_limit_exceeded", "invalid": "invalid_prompt"}

Item = dict[str, Any]


def _read(raw: bytes, target: Target) -> Ask:
    """Read a request body."""
    body = read_json(raw)
    if body.get("previous_response_id"):
        raise invalid("previous_response_id", "the sandbox stores no responses", "not_found")

    messages, attachments, results = _input(body.get("input"))
    if isinstance(instructions := body.get("instructions"), str):
        messages.insert(0, {"role": "system", "content": instructions})

    tools = tuple(
        _tool(f"tools[{i}]", t) for i, t in enumerate(read_list("tools", body.get("tools")))
    )
    may_call, must_call = read_choice(
        body.get("tool_choice"), tuple(tool.name for tool in tools), flat=True
    )
    text = read_object("text", body.get("text"))
    reasoning = read_object("reasoning", body.get("reasoning"))
    includes = read_list("include", body.get("include"))
    return Ask(
        model=read_text("model", body.get("model")),
        messages=messages,
        temperature=read_number(body, "temperature", 0.0, 2.0, default=1.0),
        max_tokens=read_integer(body, "max_output_tokens", 1),
        stream=read_flag(body, "stream"),
        schema=read_format(
            "text.format", read_object("text.format", text.get("format")), flat=True
        ),
        tools=tools if may_call else (),
        must_call=must_call,
        tool_results=results,
        logprobs=(read_integer(body, "top_logprobs", 0, 20) or 0)
        if "message.output_text.logprobs" in includes
        else None,
        thinks=bool(reasoning) and reasoning.get("effort") != "none",
        attachments=attachments,
    )


def _input(value: object) -> tuple[list[dict[str, str]], int, int]:
    """Return the messages, how many attachments they hold, and how many results of calls."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}], 0, 0

    attachments = results = 0
    messages: list[dict[str, str]] = []
    for index, entry in enumerate(
        read_some("input", value, "expected a string or a list of at least one item")
    ):
        place = f"input[{index}]"
        item = read_object(place, entry, optional=False)
        match item.get("type", "message"):
            case "message":
                role = item.get("role")
                if role not in _ROLES:
                    raise invalid(f"{place}.role", f"expected one of {_ROLES}, got {role!r}")

                text, held = _parts(f"{place}.content", item.get("content"))
                messages.append({"role": role, "content": text})
                attachments += held
            case "function_call":
                read_text(f"{place}.call_id", item.get("call_id"))
                arguments = read_text(f"{place}.arguments", item.get("arguments"))
                messages.append({"role": "assistant", "content": arguments})
            case "function_call_output":
                read_text(f"{place}.call_id", item.get("call_id"))
                text, held = _parts(f"{place}.output", item.get("output"))
                messages.append({"role": "tool", "content": text})
                attachments += held
                results += 1
            case "reasoning":
                read_list(f"{place}.summary", item.get("summary"))
            case kind:
                raise invalid(f"{place}.type", f"the sandbox knows no item of type {kind!r}")

    return messages, attachments, results


def _parts(place: str, value: object) -> tuple[str, int]:
    """Return the text of a content, and how many attachments it holds."""
    if isinstance(value, str):
        return value, 0

    texts: list[str] = []
    attachments = 0
    for number, entry in enumerate(read_parts(place, value)):
        part = read_object(f"{place}[{number}]", entry, optional=False)
        kind = part.get("type")
        if kind in _ATTACHED:
            attachments += 1
        elif kind in _TEXTS and isinstance(text := part.get("text", part.get("refusal")), str):
            texts.append(text)
        else:
            raise invalid(f"{place}[{number}]", f"expected a part with text, got type {kind!r}")

    return "".join(texts), attachments


def _tool(place: str, value: object) -> Tool:
    tool = read_object(place, value, optional=False)
    if tool.get("type") != "function":
        raise invalid(f"{place}.type", f"expected 'function', got {tool.get('type')!r}")

    parameters = read_object(f"{place}.parameters", tool.get("parameters"))
    return Tool(read_text(f"{place}.name", tool.get("name")), parameters)


def _body(reply: Reply) -> bytes:
    return orjson.dumps(_response(reply, _items(reply)))


def _response(reply: Reply, output: list[Item], status: str | None = None) -> Item:
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


def _error(problem: Problem) -> Item:
    return {"code": _CODES.get(problem.kind, "server_error"), "message": problem.message}


def _items(reply: Reply) -> list[Item]:
    """Return the output items: reasoning, text, calls, each if there is any."""
    if reply.problem is not None:
        return []

    choice = reply.choices[0]
    items: list[Item] = []
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


def _text_part(text: str, alternatives: int | None) -> Item:
    logprobs = _logprobs(text, alternatives)
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def _logprobs(text: str, alternatives: int | None) -> list[Item]:
    """Return synthetic log probabilities of a text's tokens; none when not asked for."""
    if alternatives is None:
        return []

    return [
        {**_token(shown[0]), "top_logprobs": [_token(other) for other in shown[:alternatives]]}
        for shown in token_logprobs(text, alternatives)
    ]


def _token(shown: tuple[str, float]) -> Item:
    token, logprob = shown
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _events(reply: Reply) -> Iterator[Event]:
    """Yield the events of an answer, numbered, from `response.created` to the terminal one."""
    for number, (data, tokens) in enumerate(_unnumbered(reply)):
        yield named_event({**data, "sequence_number": number}, tokens)


def _unnumbered(reply: Reply) -> Iterator[tuple[Item, int]]:
    started = _response(reply, [], "in_progress")
    yield {"type": "response.created", "response": started}, 0
    yield {"type": "response.in_progress", "response": started}, 0
    items = _items(reply)
    for index, item in enumerate(items):
        opened = {**item, "status": "in_progress"}
        match item["type"]:
            case "message":
                opened["content"] = list[Item]()
            case "function_call":
                opened["arguments"] = ""
            case _:
                opened = {**item, "summary": list[Item]()}

        yield {"type": "response.output_item.added", "output_index": index, "item": opened}, 0
        yield from _item_events(reply, item, {"item_id": item["id"], "output_index": index})
        yield {"type": "response.output_item.done", "output_index": index, "item": item}, 0

    ended = _response(reply, items)
    yield {"type": f"response.{ended['status']}", "response": ended}, 0


def _item_events(reply: Reply, item: Item, at: Item) -> Iterator[tuple[Item, int]]:
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


def _text_events(reply: Reply, part: Item, at: Item) -> Iterator[tuple[Item, int]]:
    empty = {**part, "text": "", "logprobs": list[Item]()}
    yield {"type": "response.content_part.added", **at, "part": empty}, 0
    for piece in cut_pieces(part["text"], reply.piece_chars):
        logprobs = _logprobs(piece, reply.ask.logprobs)
        delta = {"delta": piece, "logprobs": logprobs}
        yield {"type": "response.output_text.delta", **at, **delta}, count_tokens(piece)

    done = {"text": part["text"], "logprobs": part["logprobs"]}
    yield {"type": "response.output_text.done", **at, **done}, 0
    yield {"type": "response.content_part.done", **at, "part": part}, 0


def _summary_events(reply: Reply, part: Item, at: Item) -> Iterator[tuple[Item, int]]:
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
    read=_read,
    body=_body,
    events=_events,
    error_event=_error_event,
)
"""Responses."""
