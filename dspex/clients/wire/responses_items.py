"""The turns of a conversation as the input items of OpenAI's Responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.clients.wire.writing import (
    Draft,
    check_file,
    check_image,
    data_url,
    invalid_request,
    tool_result_text,
)
from dspex.messages import AudioPart, FilePart, ImagePart, TextPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dspex.messages import Compat, Message, Part, ReasoningPart

__all__ = ("input_items",)


def input_items(messages: Iterable[Message], compat: Compat, draft: Draft) -> list[dict[str, Any]]:
    """Return the items of `messages`, each of which may become several.

    Raises:
        InvalidRequest: one holds a part that the endpoint cannot take.
    """
    return [item for message in messages for item in _items(message, compat, draft)]


def _items(message: Message, compat: Compat, draft: Draft) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {
            "type": "function_call_output",
            "call_id": message.tool_call_id,
            "output": _tool_result(message, compat, draft),
        }
        return

    if message.name is not None:
        draft.drop("name", message.name, None, "this wire has no field for it")

    for part in message.reasoning:
        # What was not encrypted is only a reference to a store that is not used.
        if part.encrypted is not None:
            yield _reasoning(part)

    if message.content or not message.tool_calls:
        role = compat.system_role if message.role == "system" else message.role
        yield {"role": role, "content": _content(message, compat, draft)}

    for call in message.tool_calls:
        yield {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }


def _reasoning(part: ReasoningPart) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "reasoning"}
    if part.id is not None:
        row["id"] = part.id

    row["summary"] = [{"type": "summary_text", "text": part.text}] if part.text else []
    row["encrypted_content"] = part.encrypted
    return row


def _content(message: Message, compat: Compat, draft: Draft) -> str | list[dict[str, Any]]:
    if message.role == "assistant":
        # As an answer, a turn has text alone: what a model puts out is of another type.
        for part in () if isinstance(message.content, str) else message.content:
            if not isinstance(part, TextPart):
                raise invalid_request(
                    f"this wire takes the model's own turns as text; got {part.type}"
                )

        return message.text

    if isinstance(message.content, str):
        return message.content

    return [_part(part, compat, draft) for part in message.content]


def _tool_result(message: Message, compat: Compat, draft: Draft) -> str | list[dict[str, Any]]:
    if isinstance(message.content, str) or message.is_error:
        return tool_result_text(message)

    return [_part(part, compat, draft) for part in message.content]


def _part(part: Part, compat: Compat, draft: Draft) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "input_text", "text": part.text}
        case ImagePart():
            check_image(part, compat)
            return {
                "type": "input_image",
                "image_url": part.url,
                "detail": part.detail or "auto",
            }
        case FilePart():
            check_file(part, compat)
            if part.citations:
                draft.drop("citations", True, None, "this wire has no field for it")

            return {"type": "input_file", **_file(part)}
        case AudioPart():
            raise invalid_request("this wire takes no audio; openai-chat does")


def _file(part: FilePart) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if part.url is not None:
        row["file_url" if data_url(part.url) is None else "file_data"] = part.url

    if part.file_id is not None:
        row["file_id"] = part.file_id

    if part.name is not None:
        row["filename"] = part.name

    return row
