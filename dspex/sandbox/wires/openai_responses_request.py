"""The OpenAI responses wire, server's side: what is asked.

Source: the OpenAI API reference for responses, and what its SDK sends. Nothing is stored, so
`previous_response_id` is refused. The wire has no `n`, no `seed` and no stop sequences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
    read_text,
)
from dspex.sandbox.wires.openai import read_choice, read_format

if TYPE_CHECKING:
    from dspex.sandbox.wires.dialect import Target

__all__ = ("read_responses",)

_ROLES: Final = ("system", "developer", "user", "assistant")
_TEXTS: Final = ("input_text", "output_text", "text", "refusal", "summary_text")
_ATTACHED: Final = ("input_image", "input_file", "input_audio")


def read_responses(raw: bytes, target: Target) -> Ask:
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
