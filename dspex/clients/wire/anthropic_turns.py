"""A conversation as Anthropic's: system text apart, turns that alternate, blocks in their order.

    system      every system message, wherever it stood
    user        user and tool messages that follow each other are one turn, tool results first
    assistant   thinking as it was signed, then text, then calls of tools

The wire refuses a tool result that stands behind other content, thinking without its signature, and
text without a character.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.clients.wire.unpack import arguments_object, data_text
from dspex.clients.wire.writing import (
    DataUrl,
    check_file,
    check_image,
    data_url,
    invalid_request,
)
from dspex.messages import FilePart, ImagePart, TextPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.clients.wire.writing import Draft
    from dspex.messages import Compat, Message, Part, ReasoningPart, ToolCall

__all__ = ("encode_turns", "system_text")


def system_text(messages: Sequence[Message]) -> str | list[dict[str, Any]] | None:
    """Return the system prompt: text, or a block for each of several messages; None without any.

    Raises:
        InvalidRequest: one holds more than text.
    """
    texts = [_only_text(message) for message in messages if message.role == "system"]
    texts = [text for text in texts if text]
    if len(texts) > 1:
        return [{"type": "text", "text": text} for text in texts]

    return texts[0] if texts else None


def _only_text(message: Message) -> str:
    if not isinstance(message.content, str):
        for part in message.content:
            if not isinstance(part, TextPart):
                raise invalid_request(f"a system prompt is text on this wire; got {part.type!r}")

    return message.text


def encode_turns(messages: Sequence[Message], compat: Compat, draft: Draft) -> list[dict[str, Any]]:
    """Return the turns; what cannot be said of them is recorded in `draft`.

    Raises:
        InvalidRequest: a part that the endpoint cannot take, a tool result that answers no call,
            or arguments of a call that are no JSON object.
    """
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for message in messages:
        if message.role == "system":
            continue

        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, compat, draft)
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, blocks))

    return [{"role": role, "content": _content(blocks)} for role, blocks in turns]


def _content(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Return the blocks with tool results first; a lone text as the text, nothing as no text."""
    if not blocks:
        return ""

    if len(blocks) == 1 and blocks[0]["type"] == "text":
        text: str = blocks[0]["text"]
        return text

    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _blocks(message: Message, compat: Compat, draft: Draft) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [_tool_result(message, compat, draft)]

    if message.name is not None:
        draft.drop("name", message.name, reason="the wire has no names of speakers")

    said = _parts(message, compat, draft)
    if message.role == "user":
        return said

    thinking = [_thinking(part) for part in message.reasoning if _is_replayed(part, compat)]
    return [*thinking, *said, *map(_tool_use, message.tool_calls)]


def _parts(message: Message, compat: Compat, draft: Draft) -> list[dict[str, Any]]:
    content = message.content
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []

    return [
        _part(part, compat, draft)
        for part in content
        if not isinstance(part, TextPart) or part.text
    ]


def _part(part: Part, compat: Compat, draft: Draft) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return _image(part, compat, draft)
        case FilePart():
            return _document(part, compat)
        case _:
            raise invalid_request(f"the wire carries no {part.type}")


def _image(part: ImagePart, compat: Compat, draft: Draft) -> dict[str, Any]:
    check_image(part, compat)
    if part.detail is not None:
        draft.drop("detail", part.detail, reason="the wire sends every image in full")

    found = data_url(part.url)
    source = {"type": "url", "url": part.url} if found is None else _base64(found)
    return {"type": "image", "source": source}


def _document(part: FilePart, compat: Compat) -> dict[str, Any]:
    check_file(part, compat)
    block: dict[str, Any] = {"type": "document", "source": _document_source(part)}
    if part.name is not None:
        block["title"] = part.name

    if part.citations:
        block["citations"] = {"enabled": True}

    return block


def _document_source(part: FilePart) -> dict[str, Any]:
    if part.url is None:
        return {"type": "file", "file_id": part.file_id}

    found = data_url(part.url)
    if found is None:
        return {"type": "url", "url": part.url}

    if found.media_type.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": data_text(found)}

    if found.media_type != "application/pdf":
        raise invalid_request(f"the wire carries PDF and text, not {found.media_type!r}")

    return _base64(found)


def _base64(found: DataUrl) -> dict[str, Any]:
    return {"type": "base64", "media_type": found.media_type, "data": found.data}


def _tool_result(message: Message, compat: Compat, draft: Draft) -> dict[str, Any]:
    if message.tool_call_id is None:
        raise invalid_request(f"a tool's result needs a tool_call_id; got {message!r:.200}")

    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": message.tool_call_id}
    block["content"] = (
        message.content if isinstance(message.content, str) else _parts(message, compat, draft)
    )
    if message.is_error:
        block["is_error"] = True

    return block


def _is_replayed(part: ReasoningPart, compat: Compat) -> bool:
    """Say whether thinking goes back: a piece with an id, or without a proof, is not of this wire.

    Such pieces come with a conversation that another provider began.
    """
    signed = part.signature is not None or part.encrypted is not None
    return part.id is None and (signed or compat.replay_reasoning)


def _thinking(part: ReasoningPart) -> dict[str, Any]:
    if part.encrypted is not None:
        return {"type": "redacted_thinking", "data": part.encrypted}

    return {"type": "thinking", "thinking": part.text, "signature": part.signature or ""}


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": call.id,
        "name": call.name,
        "input": arguments_object(call),
    }
