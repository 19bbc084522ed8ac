"""A conversation as Cohere's messages, and the documents that it brings along.

Files are no parts of a turn here: texts among them become documents of the request, which the model
cites. Thinking goes back as content before the text, except for the plan behind calls of tools,
which has a field of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dspex.clients.wire.unpack import data_text
from dspex.clients.wire.writing import (
    check_file,
    check_image,
    data_url,
    invalid_request,
    tool_result_text,
)
from dspex.messages import FilePart, ImagePart, TextPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dspex.clients.wire.writing import Draft
    from dspex.messages import Compat, Message, Part, ReasoningPart, ToolCall

__all__ = ("TOOL_PLAN", "encode_documents", "encode_messages")

TOOL_PLAN: Final = "tool_plan"
"""The id of a piece of thinking that is the plan behind calls of tools."""

_SHOWN_CHARS: Final = 80


def encode_messages(
    messages: Sequence[Message], compat: Compat, draft: Draft
) -> list[dict[str, Any]]:
    """Return the messages; what cannot be said of them is recorded in `draft`.

    Raises:
        InvalidRequest: a part that the endpoint cannot take, or a tool result that answers no call.
    """
    return [_message(message, compat, draft) for message in messages]


def encode_documents(messages: Sequence[Message], compat: Compat) -> list[dict[str, Any]]:
    """Return the texts among the files of user turns as documents.

    Raises:
        InvalidRequest: a file that is no text.
    """
    return [
        _document(part, compat)
        for message in messages
        if message.role == "user" and not isinstance(message.content, str)
        for part in message.content
        if isinstance(part, FilePart)
    ]


def _message(message: Message, compat: Compat, draft: Draft) -> dict[str, Any]:
    if message.role == "tool":
        return _tool_result(message, compat)

    if message.name is not None:
        draft.drop("name", message.name, reason="the wire has no names of speakers")

    if message.role == "assistant":
        return _assistant(message, compat)

    content = message.content
    if isinstance(content, str):
        return {"role": message.role, "content": content}

    parts = [part for part in content if not isinstance(part, FilePart)]
    return {"role": message.role, "content": [_part(part, compat) for part in parts]}


def _part(part: Part, compat: Compat) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            check_image(part, compat)
            image = {"url": part.url}
            if part.detail is not None:
                image["detail"] = part.detail

            return {"type": "image_url", "image_url": image}
        case _:
            raise invalid_request(f"the wire carries no {part.type} in such a turn")


def _document(part: FilePart, compat: Compat) -> dict[str, Any]:
    check_file(part, compat)
    found = None if part.url is None else data_url(part.url)
    if found is None or not found.media_type.startswith("text/"):
        shown = part.file_id if part.url is None else part.url[:_SHOWN_CHARS]
        raise invalid_request(f"the wire takes files only as data: URLs of text; got {shown!r}")

    data = {"text": data_text(found)}
    return {"data": data if part.name is None else {"title": part.name, **data}}


def _tool_result(message: Message, compat: Compat) -> dict[str, Any]:
    if message.tool_call_id is None:
        raise invalid_request(f"a tool's result needs a tool_call_id; got {message!r:.200}")

    row: dict[str, Any] = {"role": "tool", "tool_call_id": message.tool_call_id}
    files = [] if isinstance(message.content, str) else _files(message.content)
    text = tool_result_text(message)
    if not files:
        row["content"] = text
        return row

    rows = [{"type": "document", "document": _document(part, compat)} for part in files]
    row["content"] = [{"type": "text", "text": text}, *rows] if text else rows
    return row


def _files(parts: Iterable[Part]) -> list[FilePart]:
    """Return the files among the parts of a tool's result, which holds text beside them alone."""
    for part in parts:
        if not isinstance(part, TextPart | FilePart):
            raise invalid_request(f"a tool's result is text on this wire; got {part.type!r}")

    return [part for part in parts if isinstance(part, FilePart)]


def _assistant(message: Message, compat: Compat) -> dict[str, Any]:
    row: dict[str, Any] = {"role": "assistant"}
    plan = "".join(part.text for part in message.reasoning if part.id == TOOL_PLAN)
    if plan:
        row["tool_plan"] = plan

    content = _assistant_content(message, compat)
    if content or not message.tool_calls:
        row["content"] = content

    if message.tool_calls:
        row["tool_calls"] = [_tool_call(call) for call in message.tool_calls]

    return row


def _assistant_content(message: Message, compat: Compat) -> str | list[dict[str, Any]]:
    thoughts = [
        {"type": "thinking", "thinking": part.text}
        for part in message.reasoning
        if compat.replay_reasoning and _is_own_thought(part)
    ]
    if isinstance(message.content, str):
        said = [{"type": "text", "text": message.content}] if message.content else []
        return [*thoughts, *said] if thoughts else message.content

    return [*thoughts, *(_part(part, compat) for part in message.content)]


def _is_own_thought(part: ReasoningPart) -> bool:
    """Say whether a piece is one of this wire's: proofs and ids are other providers'."""
    return bool(part.text) and part.id is None and part.signature is None


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
