"""A Request as the body of an OpenAI chat completion.

Only what was set goes out, so that the provider's defaults hold. A parameter the endpoint does not
take is left out and recorded; a part of the question that it cannot take is an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import orjson

from dspex.clients.wire.base import EncodedRequest
from dspex.errors import ErrorData, ErrorKind, InvalidRequest
from dspex.messages import DroppedParam, ImagePart, TextPart

if TYPE_CHECKING:
    from dspex.messages import (
        Compat,
        Message,
        Part,
        Request,
        ResponseFormat,
        ToolCall,
        ToolSpec,
    )

__all__ = ("encode_request",)

_UNSUPPORTED = "the endpoint does not take it"
_NAMED_CHOICES = frozenset({"auto", "none", "required"})


def encode_request(request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
    """Return the body; about 3 us for a prompt of 1 KB.

    Raises:
        InvalidRequest: it holds an image that the endpoint cannot see, or what JSON cannot say.
    """
    dropped: list[DroppedParam] = []
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_message(message, compat) for message in request.messages],
    }
    _add_sampling(body, request, compat, dropped)
    if request.tools or request.tool_choice is not None:
        _add_tools(body, request, compat, dropped)

    if request.response_format is not None:
        _add_format(body, request.response_format, compat, dropped)

    if stream:
        body["stream"] = True
        if compat.stream_usage:
            body["stream_options"] = {"include_usage": True}

    return EncodedRequest(_to_json(body), tuple(dropped))


def _message(message: Message, compat: Compat) -> dict[str, Any]:
    role = compat.system_role if message.role == "system" else message.role
    content = message.content
    row: dict[str, Any] = {
        "role": role,
        "content": content
        if isinstance(content, str)
        else [_part(part, compat) for part in content],
    }
    if message.tool_calls:
        row["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
        row["content"] = row["content"] or None

    if message.tool_call_id is not None:
        row["tool_call_id"] = message.tool_call_id

    if message.name is not None:
        row["name"] = message.name

    return row


def _part(part: Part, compat: Compat) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}

    if not isinstance(part, ImagePart):
        raise _invalid(f"the endpoint takes no {part.type}")

    is_data = part.url.startswith("data:")
    if compat.images == "none" or (compat.images == "data" and not is_data):
        takes = "no images" if compat.images == "none" else "images only as data: URLs"
        raise _invalid(f"the endpoint takes {takes}; got {part.url[:80]!r}")

    image = {"url": part.url}
    if part.detail is not None:
        image["detail"] = part.detail

    return {"type": "image_url", "image_url": image}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _add_sampling(
    body: dict[str, Any], request: Request, compat: Compat, dropped: list[DroppedParam]
) -> None:
    sampling = request.sampling
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature

    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p

    if sampling.max_tokens is not None:
        body[compat.max_tokens_field] = sampling.max_tokens

    for name, value, taken in (
        ("stop", list(sampling.stop) or None, compat.stop),
        ("seed", sampling.seed, compat.seed),
        ("presence_penalty", sampling.presence_penalty, compat.penalties),
        ("frequency_penalty", sampling.frequency_penalty, compat.penalties),
        ("reasoning_effort", sampling.reasoning_effort, compat.reasoning_effort),
    ):
        if value is not None:
            _add(body, name, value, taken, dropped)

    if sampling.n > 1:
        if compat.n:
            body["n"] = sampling.n
        else:
            dropped.append(DroppedParam("n", sampling.n, 1, _UNSUPPORTED))


def _add(
    body: dict[str, Any], name: str, value: object, taken: bool, dropped: list[DroppedParam]
) -> None:
    if taken:
        body[name] = value
    else:
        dropped.append(DroppedParam(name, value, None, _UNSUPPORTED))


def _add_tools(
    body: dict[str, Any], request: Request, compat: Compat, dropped: list[DroppedParam]
) -> None:
    if request.tools:
        if not compat.tools:
            names = [tool.name for tool in request.tools]
            dropped.append(DroppedParam("tools", names, None, _UNSUPPORTED))
            return

        body["tools"] = [_tool(tool) for tool in request.tools]

    choice = request.tool_choice
    if choice is not None:
        named = {"type": "function", "function": {"name": choice}}
        said = choice if choice in _NAMED_CHOICES else named
        _add(body, "tool_choice", said, compat.tools and compat.tool_choice, dropped)


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


def _add_format(
    body: dict[str, Any], asked: ResponseFormat, compat: Compat, dropped: list[DroppedParam]
) -> None:
    best = compat.structured_output
    if asked.type == "json_schema" and best == "json_schema":
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": asked.name,
                "schema": asked.schema if asked.schema is not None else {},
                "strict": asked.strict,
            },
        }
        return

    if best != "none":
        body["response_format"] = {"type": "json_object"}

    if asked.type == "json_schema" or best == "none":
        applied = None if best == "none" else "json_object"
        dropped.append(DroppedParam("response_format", asked.type, applied, _UNSUPPORTED))


def _to_json(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body, _plain)
    except orjson.JSONEncodeError:
        # Lone surrogates, which models do write, and integers beyond 64 bits: the standard library
        # writes them as escapes and as they are.
        try:
            return json.dumps(body, default=_plain, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as exc:
            raise _invalid(f"the request cannot be written as JSON: {exc}") from exc


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))

    raise TypeError(f"{type(value).__name__} is not JSON: {value!r}")


def _invalid(problem: str) -> InvalidRequest:
    return InvalidRequest(ErrorData(ErrorKind.INVALID_REQUEST, problem, stage="encode"))
