"""Cohere's chat in version 2, server's side: what is asked.

Source: the Cohere API reference, and what its SDK sends. Tool choice is REQUIRED or NONE and names
no tool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.sandbox.exchange import Ask, Tool
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.sandbox.wires.dialect import Target

__all__ = ("read_cohere",)

_ROLES: Final = ("system", "user", "assistant", "tool")
_DEFAULT_TEMPERATURE: Final = 0.3
_MAX_STOPS: Final = 5


def read_cohere(raw: bytes, target: Target) -> Ask:
    """Read a request body."""
    body = read_json(raw)
    messages, attachments = _messages(body.get("messages"))
    tools = tuple(
        _tool(f"tools[{i}]", t) for i, t in enumerate(read_list("tools", body.get("tools")))
    )
    choice = body.get("tool_choice")
    if choice not in (None, "REQUIRED", "NONE"):
        raise invalid("tool_choice", f"expected REQUIRED or NONE, got {choice!r}")

    stop = read_strings("stop_sequences", body.get("stop_sequences"))
    if len(stop) > _MAX_STOPS:
        raise invalid("stop_sequences", f"at most {_MAX_STOPS} are allowed, got {len(stop)}")

    thinking = read_object("thinking", body.get("thinking"))
    return Ask(
        model=read_text("model", body.get("model")),
        messages=messages,
        temperature=read_number(body, "temperature", 0.0, 1.0, default=_DEFAULT_TEMPERATURE),
        seed=read_integer(body, "seed", 0),
        max_tokens=read_integer(body, "max_tokens", 1),
        stop=stop,
        stream=read_flag(body, "stream"),
        schema=_schema(read_object("response_format", body.get("response_format"))),
        tools=() if choice == "NONE" else tools,
        must_call=tuple(tool.name for tool in tools) if choice == "REQUIRED" else (),
        tool_results=sum(message["role"] == "tool" for message in messages),
        logprobs=1 if read_flag(body, "logprobs") else None,
        thinks=thinking.get("type") == "enabled",
        attachments=attachments,
    )


def _messages(value: object) -> tuple[list[dict[str, str]], int]:
    """Return the messages as texts, and how many parts of them are something else."""
    attachments = 0
    messages: list[dict[str, str]] = []
    for index, entry in enumerate(read_some("messages", value, "at least one message is required")):
        place = f"messages[{index}]"
        message = read_object(place, entry, optional=False)
        role = message.get("role")
        if role not in _ROLES:
            raise invalid(f"{place}.role", f"expected one of {_ROLES}, got {role!r}")

        if role == "tool":
            read_text(f"{place}.tool_call_id", message.get("tool_call_id"))

        content = message.get("content")
        if content is None and role == "assistant":
            content = ""

        text, held = _parts(f"{place}.content", content)
        messages.append({"role": role, "content": text})
        attachments += held

    return messages, attachments


def _parts(place: str, value: object) -> tuple[str, int]:
    """Return the text of a content, and how many images or documents without text it holds."""
    if isinstance(value, str):
        return value, 0

    texts: list[str] = []
    attachments = 0
    for number, entry in enumerate(read_parts(place, value)):
        part = read_object(f"{place}[{number}]", entry, optional=False)
        match part.get("type"):
            case "text" if isinstance(text := part.get("text"), str):
                texts.append(text)
            case "thinking":
                pass
            case "image_url":
                attachments += 1
            case "document":
                document = read_object(f"{place}[{number}].document", part.get("document"))
                texts.append(orjson.dumps(document.get("data", {})).decode())
            case kind:
                raise invalid(f"{place}[{number}]", f"expected a text part, got type {kind!r}")

    return "".join(texts), attachments


def _tool(place: str, value: object) -> Tool:
    tool = read_object(place, value, optional=False)
    function = read_object(f"{place}.function", tool.get("function"), optional=False)
    name = read_text(f"{place}.function.name", function.get("name"))
    return Tool(name, read_object(f"{place}.function.parameters", function.get("parameters")))


def _schema(wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the answer has to look like: None for text, {} for any JSON object."""
    kind = wanted.get("type", "text")
    if kind == "text":
        return None

    if kind != "json_object":
        raise invalid("response_format.type", f"expected text or json_object, got {kind!r}")

    schema = wanted.get("json_schema", wanted.get("schema"))
    return read_object("response_format.json_schema", schema)
