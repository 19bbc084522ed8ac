"""A Request as the body of an OpenAI chat completion, in the dialect that the server's Compat says.

Only what was set goes out, so that the provider's defaults hold. A parameter the endpoint does not
take is left out and recorded; a part of the question that it cannot take is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.clients.wire.openai_sampling import put_sampling
from dspex.clients.wire.writing import (
    Draft,
    check_audio,
    check_file,
    check_image,
    data_url,
    invalid_request,
    tool_result_text,
)
from dspex.messages import AudioPart, FilePart, ImagePart, TextPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.clients.wire.base import EncodedRequest
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

_NAMED_CHOICES = frozenset({"auto", "none", "required"})


def encode_request(request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
    """Return the body; about 3 us for a prompt of 1 KB.

    Raises:
        InvalidRequest: it holds a part that the endpoint cannot take, or what JSON cannot say.
    """
    draft = Draft({"model": request.model})
    draft.body["messages"] = [_message(message, compat, draft) for message in request.messages]
    put_sampling(draft, request.sampling, compat)

    if request.tools or request.tool_choice is not None:
        _put_tools(draft, request, compat)

    if request.response_format is not None:
        _put_format(draft, request.response_format, compat)

    if stream:
        draft.body["stream"] = True
        if compat.stream_usage:
            draft.body["stream_options"] = {"include_usage": True}

    return draft.encoded(request.extra)


def _message(message: Message, compat: Compat, draft: Draft) -> dict[str, Any]:
    role = compat.system_role if message.role == "system" else message.role
    row: dict[str, Any] = {"role": role, "content": message.content}
    if type(message.content) is not str or message.is_error:
        row["content"] = _content(message, compat, draft)

    if message.tool_calls:
        row["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
        row["content"] = row["content"] or None

    if message.tool_call_id is not None:
        row["tool_call_id"] = message.tool_call_id

    if message.name is not None:
        row["name"] = message.name

    if message.reasoning and compat.replay_reasoning:
        thinking = "".join(part.text for part in message.reasoning)
        row[compat.reasoning_field or "reasoning_content"] = thinking

    return row


def _content(message: Message, compat: Compat, draft: Draft) -> str | list[dict[str, Any]]:
    """Return what is not plain text. A tool's result is one text nevertheless.

    Some servers refuse a list there, and none looks at an image in it.
    """
    content = () if isinstance(message.content, str) else message.content
    if message.role != "tool":
        return [_part(part, compat, draft) for part in content] or message.text

    for part in content:
        if not isinstance(part, TextPart):
            raise invalid_request(
                f"this wire takes the result of a tool as text; got {part.type}: say it in a user "
                "turn"
            )

    return tool_result_text(message)


def _part(part: Part, compat: Compat, draft: Draft) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            check_image(part, compat)
            return {
                "type": "image_url",
                "image_url": _without_none(url=part.url, detail=part.detail),
            }
        case AudioPart():
            check_audio(part, compat)
            return {
                "type": "input_audio",
                "input_audio": {"data": part.data, "format": part.format},
            }
        case FilePart():
            check_file(part, compat)
            if part.citations:
                draft.drop("citations", True)

            return {"type": "file", "file": _file(part)}


def _file(part: FilePart) -> dict[str, Any]:
    if part.url is not None:
        data_url(part.url)  # raises on one that nobody could read

    return _without_none(file_data=part.url, file_id=part.file_id, filename=part.name)


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _put_tools(draft: Draft, request: Request, compat: Compat) -> None:
    if request.tools and not compat.tools:
        draft.drop("tools", [tool.name for tool in request.tools])
        return

    if request.tools:
        draft.body["tools"] = [_tool(tool) for tool in request.tools]
        draft.put(
            "parallel_tool_calls", request.parallel_tool_calls, taken=compat.parallel_tool_calls
        )

    choice = request.tool_choice
    if choice is not None:
        named = {"type": "function", "function": {"name": choice}}
        said = choice if choice in _NAMED_CHOICES else named
        draft.put("tool_choice", said, taken=compat.tools and compat.tool_choice)


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    if tool.strict is not None:
        function["strict"] = tool.strict

    return {"type": "function", "function": function}


def _put_format(draft: Draft, asked: ResponseFormat, compat: Compat) -> None:
    best = compat.structured_output
    if asked.type == "json_schema" and best == "json_schema":
        draft.body["response_format"] = _schema_format(asked, compat)
        return

    if best != "none":
        draft.body["response_format"] = {"type": "json_object"}

    if asked.type == "json_schema" or best == "none":
        draft.drop("response_format", asked.type, None if best == "none" else "json_object")


def _schema_format(asked: ResponseFormat, compat: Compat) -> dict[str, Any]:
    schema: Mapping[str, Any] = asked.schema if asked.schema is not None else {}
    found: dict[str, Any] = {
        "type": "json_schema",
        "json_schema": {"name": asked.name, "schema": schema, "strict": asked.strict},
    }
    if compat.schema_place == "top_level":
        # Versions of such a server differ in which of the two they read.
        found["schema"] = schema

    return found
