"""The Anthropic messages wire, server's side: what is asked.

Source: the Anthropic API reference for messages, and what its SDK sends. The wire has no `n`, no
seed and no log probabilities. Thinking that comes back has to carry its signature, unchanged.
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
from dspex.sandbox.signing import signed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.sandbox.wires.dialect import Target

__all__ = ("read_anthropic",)

_ROLES: Final = ("user", "assistant", "system")
_ATTACHED: Final = ("image", "document", "container_upload")


def read_anthropic(raw: bytes, target: Target) -> Ask:
    """Read a request body; `max_tokens` is required."""
    body = read_json(raw)
    messages, attachments, results = _messages(body.get("messages"))
    if system := _system(body.get("system")):
        messages.insert(0, {"role": "system", "content": system})

    if (max_tokens := read_integer(body, "max_tokens", 1)) is None:
        raise invalid("max_tokens", "Field required")

    tools = tuple(
        _tool(f"tools[{i}]", t) for i, t in enumerate(read_list("tools", body.get("tools")))
    )
    may_call, must_call = _choice(body.get("tool_choice"), tuple(tool.name for tool in tools))
    output = read_object("output_config", body.get("output_config"))
    thinking = read_object("thinking", body.get("thinking"))
    return Ask(
        model=read_text("model", body.get("model")),
        messages=messages,
        temperature=read_number(body, "temperature", 0.0, 1.0, default=1.0),
        max_tokens=max_tokens,
        stop=read_strings("stop_sequences", body.get("stop_sequences")),
        stream=read_flag(body, "stream"),
        schema=_schema(read_object("output_config.format", output.get("format"))),
        tools=tools if may_call else (),
        must_call=must_call,
        tool_results=results,
        thinks=thinking.get("type", "disabled") != "disabled",
        attachments=attachments,
    )


def _system(value: object) -> str:
    """Return the system prompt: a string, or text blocks."""
    return _blocks("system", value)[0] if value is not None else ""


def _messages(value: object) -> tuple[list[dict[str, str]], int, int]:
    """Return the messages, how many attachments they hold, and how many results of calls."""
    attachments = results = 0
    messages: list[dict[str, str]] = []
    for index, item in enumerate(read_some("messages", value, "at least one message is required")):
        place = f"messages.{index}"
        message = read_object(place, item, optional=False)
        role = message.get("role")
        if role not in _ROLES:
            raise invalid(f"{place}.role", f"expected one of {_ROLES}, got {role!r}")

        text, held, answered = _blocks(f"{place}.content", message.get("content"))
        shown = "tool" if answered else role
        messages.append({"role": shown, "content": text})
        attachments += held
        results += answered

    return messages, attachments, results


def _blocks(place: str, value: object) -> tuple[str, int, int]:
    """Return the text of a content, its attachments, and its results of calls."""
    if isinstance(value, str):
        return value, 0, 0

    texts: list[str] = []
    attachments = results = 0
    for number, entry in enumerate(read_parts(place, value)):
        at = f"{place}.{number}"
        block = read_object(at, entry, optional=False)
        if block.get("type") == "tool_result":
            read_text(f"{at}.tool_use_id", block.get("tool_use_id"))
            text, held, _ = _blocks(f"{at}.content", block.get("content", ""))
            attachments += held
            results += 1
        else:
            text = _block(at, block)
            attachments += block["type"] in _ATTACHED

        texts.append(text)

    return "".join(texts), attachments, results


def _block(at: str, block: Mapping[str, Any]) -> str:
    """Return the text of one block; thinking has none for the reader."""
    match block.get("type"):
        case "text" if isinstance(text := block.get("text"), str):
            return text
        case "tool_use":
            read_text(f"{at}.id", block.get("id"))
            return orjson.dumps(read_object(f"{at}.input", block.get("input"))).decode()
        case "thinking":
            if not signed(block.get("signature"), str(block.get("thinking"))):
                raise invalid(f"{at}.signature", "Invalid `signature` in `thinking` block")
        case "redacted_thinking":
            read_text(f"{at}.data", block.get("data"))
        case kind if kind not in _ATTACHED:
            raise invalid(at, f"the sandbox knows no block of type {kind!r}")
        case _:
            pass

    return ""


def _tool(place: str, value: object) -> Tool:
    tool = read_object(place, value, optional=False)
    schema = read_object(f"{place}.input_schema", tool.get("input_schema"), optional=False)
    return Tool(read_text(f"{place}.name", tool.get("name")), schema)


def _choice(value: object, names: tuple[str, ...]) -> tuple[bool, tuple[str, ...]]:
    """Return whether tools may be called, and of which one must be."""
    choice = read_object("tool_choice", value)
    match choice.get("type", "auto"):
        case "auto":
            return True, ()
        case "none":
            return False, ()
        case "any":
            return True, names
        case "tool" if choice.get("name") in names:
            return True, (choice["name"],)
        case kind:
            raise invalid("tool_choice", f"no such choice among the tools {list(names)}: {kind!r}")


def _schema(wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not wanted:
        return None

    if wanted.get("type") != "json_schema":
        raise invalid("output_config.format.type", f"expected json_schema, got {wanted!r}")

    return read_object("output_config.format.schema", wanted.get("schema"), optional=False)
