"""The OpenAI chat completions wire, server's side: what is asked, answers and streams.

Only what a text-only model can honour is read, and unknown parameters are passed over, as servers
do. Source: the OpenAI API reference for chat completions, and what its SDK reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.sandbox.exchange import Ask, Event, Tool, count_tokens, cut_pieces
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
    read_strings,
    read_text,
)
from dspex.sandbox.wires.dialect import ChatWire, Target, data_event
from dspex.sandbox.wires.openai import (
    CREATED,
    OPENAI_DIALECT,
    error_object,
    read_choice,
    read_format,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dspex.sandbox.exchange import Call, Choice, Reply

__all__ = ("DONE", "OPENAI_CHAT")

DONE: Final = b"data: [DONE]\n\n"
"""The frame that ends a stream."""

_ROLES: Final = ("system", "developer", "user", "assistant", "tool")
_MAX_CHOICES: Final = 128
_FINISH: Final = {"stop_sequence": "stop"}


def _read(raw: bytes, target: Target) -> Ask:
    """Read a request body."""
    body = read_json(raw)
    messages, attachments = _messages(body.get("messages"))
    tools = tuple(
        _tool(f"tools[{i}]", t) for i, t in enumerate(read_list("tools", body.get("tools")))
    )
    may_call, must_call = read_choice(
        body.get("tool_choice"), tuple(tool.name for tool in tools), flat=False
    )
    options = read_object("stream_options", body.get("stream_options"))
    wanted = read_object("response_format", body.get("response_format"))
    effort = body.get("reasoning_effort")
    return Ask(
        model=_model(body.get("model")),
        messages=messages,
        temperature=read_number(body, "temperature", 0.0, 2.0, default=1.0),
        seed=read_integer(body, "seed"),
        choices=read_integer(body, "n", 1, _MAX_CHOICES) or 1,
        max_tokens=read_integer(body, "max_completion_tokens", 1)
        or read_integer(body, "max_tokens", 1),
        stop=read_strings("stop", body.get("stop")),
        stream=read_flag(body, "stream"),
        include_usage=read_flag(options, "include_usage"),
        schema=read_format("response_format", wanted, flat=False),
        tools=tools if may_call else (),
        must_call=must_call,
        tool_results=sum(message["role"] == "tool" for message in messages),
        logprobs=(read_integer(body, "top_logprobs", 0, 20) or 0)
        if read_flag(body, "logprobs")
        else None,
        thinks=effort is not None and effort != "none",
        attachments=attachments,
    )


def _model(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise invalid("model", "you must provide a model parameter", "missing_model")

    return value


def _messages(value: object) -> tuple[list[dict[str, str]], int]:
    """Return the messages as texts, and how many parts of them are something else."""
    attachments = 0
    texts: list[dict[str, str]] = []
    for index, item in enumerate(
        read_some("messages", value, "expected a list of at least one message")
    ):
        message, held = _message(f"messages[{index}]", item)
        texts.append(message)
        attachments += held

    return texts, attachments


def _message(place: str, item: object) -> tuple[dict[str, str], int]:
    message = read_object(place, item, optional=False)
    role = message.get("role")
    if role not in _ROLES:
        raise invalid(f"{place}.role", f"expected one of {', '.join(_ROLES)}, got {role!r}")

    content = message.get("content")
    if isinstance(content, str):
        return {"role": role, "content": content}, 0

    if content is None and role == "assistant":
        return {"role": role, "content": ""}, 0

    if role == "tool":
        read_text(f"{place}.tool_call_id", message.get("tool_call_id"))

    text, attachments = _parts(f"{place}.content", content)
    return {"role": role, "content": text}, attachments


def _parts(place: str, value: object) -> tuple[str, int]:
    """Return the text parts joined, and how many parts are images, sounds or files."""
    texts: list[str] = []
    attachments = 0
    for number, item in enumerate(read_parts(place, value)):
        part = read_object(f"{place}[{number}]", item, optional=False)
        kind = part.get("type")
        if kind in ("image_url", "input_audio", "file"):
            read_object(f"{place}[{number}].{kind}", part.get(kind), optional=False)
            attachments += 1
        elif isinstance(text := part.get("text", part.get("refusal")), str):
            texts.append(text)
        else:
            raise invalid(f"{place}[{number}]", f"expected a part with text, got type {kind!r}")

    return "".join(texts), attachments


def _tool(place: str, value: object) -> Tool:
    """Read a function that may be called."""
    tool = read_object(place, value, optional=False)
    if tool.get("type") != "function":
        raise invalid(f"{place}.type", f"expected 'function', got {tool.get('type')!r}")

    function = read_object(f"{place}.function", tool.get("function"), optional=False)
    name = read_text(f"{place}.function.name", function.get("name"))
    parameters = read_object(f"{place}.function.parameters", function.get("parameters"))
    return Tool(name, parameters)


def _body(reply: Reply) -> bytes:
    """Return a whole answer."""
    if reply.problem is not None:
        return orjson.dumps({"error": error_object(reply.problem)})

    return orjson.dumps(
        {
            "id": _identity(reply),
            "object": "chat.completion",
            "created": CREATED,
            "model": reply.ask.model,
            "choices": [
                {
                    "index": index,
                    "message": _message_of(reply, choice),
                    "finish_reason": _FINISH.get(choice.finish, choice.finish),
                    "logprobs": _logprobs(choice.text, reply.ask.logprobs),
                }
                for index, choice in enumerate(reply.choices)
            ],
            "usage": _usage(reply),
        }
    )


def _message_of(reply: Reply, choice: Choice) -> dict[str, Any]:
    """Return what the assistant says: text, or calls with or without text."""
    content = None if choice.calls and not choice.text else choice.text
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if choice.calls:
        message["tool_calls"] = [_call(call) for call in choice.calls]

    if choice.reasoning:
        message[reply.reasoning_field] = choice.reasoning

    return message


def _call(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.json}
    return {"id": call.identity, "type": "function", "function": function}


def _events(reply: Reply) -> Iterator[Event]:
    """Yield the server-sent events of an answer; the usage comes last, if it is asked for."""
    if reply.problem is not None:
        yield data_event({"error": error_object(reply.problem)})
        return

    chunk = {
        "id": _identity(reply),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": reply.ask.model,
    }
    for index, choice in enumerate(reply.choices):
        for delta, finish, logprobs, tokens in _deltas(reply, choice):
            item = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
            yield data_event({**chunk, "choices": [item]}, tokens)

    if reply.ask.include_usage:
        yield data_event({**chunk, "choices": [], "usage": _usage(reply)})

    yield Event(DONE)


def _deltas(
    reply: Reply, choice: Choice
) -> Iterator[tuple[dict[str, Any], str | None, object, int]]:
    """Yield each chunk's delta, finish reason, log probabilities and output tokens."""
    yield {"role": "assistant", "content": ""}, None, None, 0
    for piece in cut_pieces(choice.reasoning, reply.piece_chars):
        yield {reply.reasoning_field: piece}, None, None, count_tokens(piece)

    for piece in cut_pieces(choice.text, reply.piece_chars):
        shown = _logprobs(piece, reply.ask.logprobs)
        yield {"content": piece}, None, shown, count_tokens(piece)

    for number, call in enumerate(choice.calls):
        opened = {**_call(call), "index": number, "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [opened]}, None, None, count_tokens(call.name)
        for piece in cut_pieces(call.json, reply.piece_chars):
            more = {"index": number, "function": {"arguments": piece}}
            yield {"tool_calls": [more]}, None, None, count_tokens(piece)

    yield {}, _FINISH.get(choice.finish, choice.finish), None, 0


def _logprobs(text: str, alternatives: int | None) -> dict[str, Any] | None:
    """Return synthetic log probabilities of a text's tokens, or None when not asked for."""
    if alternatives is None:
        return None

    content = [
        {
            **_token(shown[0]),
            "top_logprobs": [_token(other) for other in shown[:alternatives]],
        }
        for shown in token_logprobs(text, alternatives)
    ]
    return {"content": content, "refusal": None}


def _token(shown: tuple[str, float]) -> dict[str, Any]:
    token, logprob = shown
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _identity(reply: Reply) -> str:
    return f"chatcmpl-sandbox-{reply.number}"


def _usage(reply: Reply) -> Mapping[str, Any]:
    """Return the usage; details only where there is something to tell."""
    usage = reply.usage
    shown: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.cached_tokens:
        shown["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}

    if usage.reasoning_tokens:
        shown["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}

    return shown


OPENAI_CHAT: Final = ChatWire(
    name="openai_chat", dialect=OPENAI_DIALECT, read=_read, body=_body, events=_events
)
"""Chat completions."""
