"""A conversation as Gemini's contents: turns of a user and a model, each a list of parts.

    systemInstruction   every system message, wherever it stood
    user                user and tool messages that follow each other are one turn
    model               signed thinking, text, calls of functions

A signature stands beside the part that it was given for. Here that is the thinking it came with, a
call of a function, or, for one without a text of its own, the last text of the turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dspex.clients.wire.unpack import arguments_object
from dspex.clients.wire.writing import (
    check_audio,
    check_file,
    check_image,
    data_url,
    invalid_request,
)
from dspex.messages import AudioPart, FilePart, ImagePart, TextPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.clients.wire.writing import Draft
    from dspex.messages import Compat, Message, Part, ReasoningPart, ToolCall

__all__ = ("encode_contents", "system_instruction")

_MEDIA_TYPES: Final = {
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "webp": "image/webp",
}
"""By the end of a URL: the wire wants to know, and a URL need not say."""


def system_instruction(messages: Sequence[Message]) -> dict[str, Any] | None:
    """Return the system prompt, a part for each message; None without any.

    Raises:
        InvalidRequest: one holds more than text.
    """
    parts: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            parts.extend(_system_parts(message))

    return {"parts": parts} if parts else None


def _system_parts(message: Message) -> list[dict[str, Any]]:
    if not isinstance(message.content, str):
        for part in message.content:
            if not isinstance(part, TextPart):
                raise invalid_request(f"a system prompt is text on this wire; got {part.type!r}")

    return [{"text": message.text}] if message.text else []


def encode_contents(
    messages: Sequence[Message], compat: Compat, draft: Draft
) -> list[dict[str, Any]]:
    """Return the turns; what cannot be said of them is recorded in `draft`.

    Raises:
        InvalidRequest: a part that the endpoint cannot take, a tool result that answers no call,
            or arguments of a call that are no JSON object.
    """
    turns: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for message in messages:
        if message.role == "system":
            continue

        names.update((call.id, call.name) for call in message.tool_calls)
        role = "model" if message.role == "assistant" else "user"
        parts = _turn_parts(message, names, compat, draft)
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"].extend(parts)
        else:
            turns.append({"role": role, "parts": parts})

    for turn in turns:
        turn["parts"] = turn["parts"] or [{"text": ""}]

    return turns


def _turn_parts(
    message: Message, names: dict[str, str], compat: Compat, draft: Draft
) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [_function_response(message, names, compat, draft)]

    if message.name is not None:
        draft.drop("name", message.name, reason="the wire has no names of speakers")

    said = _parts(message, compat, draft)
    if message.role == "user":
        return said

    own = [part for part in message.reasoning if part.id is None and part.encrypted is None]
    for part in own:
        if part.signature is not None and not part.text:
            _sign(said, part.signature)

    thoughts = [_thought(part) for part in own if part.text and _is_replayed(part, compat)]
    return [*thoughts, *said, *map(_function_call, message.tool_calls)]


def _is_replayed(part: ReasoningPart, compat: Compat) -> bool:
    """Say whether thinking goes back; unsigned, it is only read where the endpoint asks for it."""
    return part.signature is not None or compat.replay_reasoning


def _sign(parts: list[dict[str, Any]], signature: str) -> None:
    if not parts or "text" not in parts[-1] or "thoughtSignature" in parts[-1]:
        parts.append({"text": ""})

    parts[-1]["thoughtSignature"] = signature


def _thought(part: ReasoningPart) -> dict[str, Any]:
    row: dict[str, Any] = {"text": part.text, "thought": True}
    if part.signature is not None:
        row["thoughtSignature"] = part.signature

    return row


def _function_call(call: ToolCall) -> dict[str, Any]:
    row: dict[str, Any] = {
        "functionCall": {"id": call.id, "name": call.name, "args": arguments_object(call)}
    }
    if call.signature is not None:
        row["thoughtSignature"] = call.signature

    return row


def _function_response(
    message: Message, names: dict[str, str], compat: Compat, draft: Draft
) -> dict[str, Any]:
    """Return a tool's result, under the name of the function that the call with its id was of."""
    identity = message.tool_call_id
    name = names.get(identity or "") or message.name
    if identity is None or name is None:
        raise invalid_request(
            "a tool's result needs the id of a call earlier in the conversation, or a name; got "
            f"tool_call_id={identity!r}, name={message.name!r}"
        )

    key = "error" if message.is_error else "output"
    row: dict[str, Any] = {"id": identity, "name": name, "response": {key: message.text}}
    if not isinstance(message.content, str):
        rest = [part for part in message.content if not isinstance(part, TextPart)]
        if rest:
            row["parts"] = [_part(part, compat, draft) for part in rest]

    return {"functionResponse": row}


def _parts(message: Message, compat: Compat, draft: Draft) -> list[dict[str, Any]]:
    content = message.content
    if isinstance(content, str):
        return [{"text": content}] if content else []

    return [_part(part, compat, draft) for part in content]


def _part(part: Part, compat: Compat, draft: Draft) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"text": part.text}
        case ImagePart():
            check_image(part, compat)
            if part.detail is not None:
                draft.drop("detail", part.detail, reason="the wire sets it for all media at once")

            return _media(part.url)
        case AudioPart():
            check_audio(part, compat)
            return {"inlineData": {"mimeType": f"audio/{part.format}", "data": part.data}}
        case FilePart():
            return _file(part, compat, draft)


def _file(part: FilePart, compat: Compat, draft: Draft) -> dict[str, Any]:
    check_file(part, compat)
    if part.citations:
        draft.drop("citations", True, reason="the wire cites as it sees fit")

    if part.url is None:
        return {"fileData": {"fileUri": part.file_id}}

    return _media(part.url)


def _media(url: str) -> dict[str, Any]:
    found = data_url(url)
    if found is not None:
        return {"inlineData": {"mimeType": found.media_type, "data": found.data}}

    file: dict[str, Any] = {"fileUri": url}
    path = url.partition("?")[0].partition("#")[0]
    media_type = _MEDIA_TYPES.get(path.rpartition(".")[2].lower())
    if media_type is not None:
        file["mimeType"] = media_type

    return {"fileData": file}
