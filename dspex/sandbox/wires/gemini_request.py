"""Gemini's generateContent, server's side: what is asked.

Source: the Gemini API reference, and what its SDK sends. Names are camelCase or, as in all JSON
made from protocol buffers, snake_case; a schema comes as `responseJsonSchema` or, in OpenAPI's
spelling, as `responseSchema`.
"""

from __future__ import annotations

import re
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
    read_some,
    read_strings,
    read_text,
)
from dspex.sandbox.signing import signed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.sandbox.wires.dialect import Target

__all__ = ("content_text", "read_gemini")

_MAX_CANDIDATES: Final = 8
_UNDERSCORE: Final = re.compile(r"_(\w)")
_ATTACHED: Final = ("inlineData", "fileData")
_ROLES: Final[Mapping[object, str]] = {
    None: "user",
    "user": "user",
    "model": "assistant",
    "function": "tool",
    "tool": "tool",
}


def read_gemini(raw: bytes, target: Target) -> Ask:
    """Read a request body; model and streaming are in the path."""
    body = _camel(read_json(raw))
    messages, attachments, results = _contents(body.get("contents"))
    if body.get("systemInstruction") is not None:
        text, held, _ = content_text("systemInstruction", body["systemInstruction"])
        messages.insert(0, {"role": "system", "content": text})
        attachments += held

    config = _proto("generationConfig", body.get("generationConfig"))
    tools = _tools(body.get("tools"))
    may_call, must_call = _choice(body.get("toolConfig"), tuple(tool.name for tool in tools))
    return Ask(
        model=target.model,
        messages=messages,
        temperature=read_number(config, "temperature", 0.0, 2.0, default=1.0),
        seed=read_integer(config, "seed"),
        choices=read_integer(config, "candidateCount", 1, _MAX_CANDIDATES) or 1,
        max_tokens=read_integer(config, "maxOutputTokens", 1),
        stop=read_strings("stopSequences", config.get("stopSequences")),
        stream=bool(target.stream),
        schema=_schema(config),
        tools=tools if may_call else (),
        must_call=must_call,
        tool_results=results,
        logprobs=(read_integer(config, "logprobs", 0, 20) or 0)
        if read_flag(config, "responseLogprobs")
        else None,
        thinks=_thinks(_proto("thinkingConfig", config.get("thinkingConfig"))),
        attachments=attachments,
    )


def content_text(place: str, value: object) -> tuple[str, int, int]:
    """Return the text of a content, its attachments, and its results of calls."""
    content = _proto(place, value, optional=False)
    texts: list[str] = []
    attachments = results = 0
    for number, entry in enumerate(read_list(f"{place}.parts", content.get("parts"))):
        at = f"{place}.parts[{number}]"
        part = _proto(at, entry, optional=False)
        _check_signature(at, part)
        if isinstance(text := part.get("text"), str):
            texts.append("" if part.get("thought") else text)
        elif any(kind in part for kind in _ATTACHED):
            attachments += 1
        elif "functionCall" in part:
            call = _proto(f"{at}.functionCall", part["functionCall"], optional=False)
            read_text(f"{at}.functionCall.name", call.get("name"))
            texts.append(orjson.dumps(call.get("args") or {}).decode())
        elif "functionResponse" in part:
            place_of = f"{at}.functionResponse"
            answer = _proto(place_of, part["functionResponse"], optional=False)
            read_text(f"{place_of}.name", answer.get("name"))
            texts.append(orjson.dumps(answer.get("response") or {}).decode())
            results += 1
        else:
            raise invalid(at, f"the sandbox knows no part with {sorted(part)!r}")

    return "".join(texts), attachments, results


def _proto(place: str, value: object, *, optional: bool = True) -> dict[str, Any]:
    """Return an object that is a message of the API's, its keys in camelCase."""
    return _camel(read_object(place, value, optional=optional))


def _camel(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with its own keys in camelCase; what is in it stays as it is."""
    if not any("_" in key for key in message):
        return message

    return {_UNDERSCORE.sub(lambda found: found[1].upper(), key): message[key] for key in message}


def _check_signature(at: str, part: Mapping[str, Any]) -> None:
    """Refuse a signature that this server did not make."""
    signature = part.get("thoughtSignature")
    if signature is not None and not signed(signature):
        raise invalid(f"{at}.thoughtSignature", "Thought signature is not valid")


def _contents(value: object) -> tuple[list[dict[str, str]], int, int]:
    """Return the messages, how many attachments they hold, and how many results of calls."""
    attachments = results = 0
    messages: list[dict[str, str]] = []
    for index, entry in enumerate(read_some("contents", value, "contents is not specified")):
        place = f"contents[{index}]"
        role = _proto(place, entry, optional=False).get("role")
        if not (role is None or isinstance(role, str)) or role not in _ROLES:
            raise invalid(f"{place}.role", f"Please use a valid role: user, model; got {role!r}")

        text, held, answered = content_text(place, entry)
        messages.append({"role": "tool" if answered else _ROLES[role], "content": text})
        attachments += held
        results += answered

    return messages, attachments, results


def _tools(value: object) -> tuple[Tool, ...]:
    """Return the declared functions; the provider's own tools are refused."""
    found: list[Tool] = []
    for index, entry in enumerate(read_list("tools", value)):
        place = f"tools[{index}]"
        tool = _proto(place, entry, optional=False)
        if "functionDeclarations" not in tool:
            raise invalid(place, f"expected functionDeclarations, got {sorted(tool)!r}")

        place = f"{place}.functionDeclarations"
        for number, item in enumerate(read_list(place, tool["functionDeclarations"])):
            declared = _proto(f"{place}[{number}]", item, optional=False)
            schema = _either_schema(declared, "parametersJsonSchema", "parameters")
            found.append(Tool(read_text(f"{place}[{number}].name", declared.get("name")), schema))

    return tuple(found)


def _choice(value: object, names: tuple[str, ...]) -> tuple[bool, tuple[str, ...]]:
    """Return whether tools may be called, and of which one must be."""
    place = "toolConfig.functionCallingConfig"
    config = _proto("toolConfig", value).get("functionCallingConfig")
    wanted = _proto(place, config)
    mode = wanted.get("mode", "AUTO")
    match mode:
        case "NONE":
            return False, ()
        case "ANY":
            allowed = read_strings(
                f"{place}.allowedFunctionNames", wanted.get("allowedFunctionNames")
            )
            if unknown := [name for name in allowed if name not in names]:
                raise invalid(f"{place}.allowedFunctionNames", f"no such function: {unknown!r}")

            return True, allowed or names
        case "AUTO" | "VALIDATED" | "MODE_UNSPECIFIED":
            return True, ()
        case _:
            raise invalid(f"{place}.mode", f"expected AUTO, ANY, NONE or VALIDATED, got {mode!r}")


def _schema(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the answer has to look like: None for text, {} for any JSON object."""
    kind = config.get("responseMimeType", "text/plain")
    schema = _either_schema(config, "responseJsonSchema", "responseSchema")
    if kind == "application/json":
        return schema

    if schema:
        raise invalid("responseMimeType", "a response schema needs application/json")

    return None


def _either_schema(message: Mapping[str, Any], plain: str, openapi: str) -> Mapping[str, Any]:
    """Return the JSON schema under one key, else the OpenAPI schema under the other, else {}."""
    if message.get(plain) is not None:
        return read_object(plain, message[plain])

    return _from_openapi(openapi, message.get(openapi))


def _from_openapi(place: str, value: object) -> dict[str, Any]:
    """Return an OpenAPI schema in the spelling of JSON schemas."""
    schema = _proto(place, value)
    if isinstance(kind := schema.get("type"), str):
        schema = {**schema, "type": kind.lower()}

    if "items" in schema:
        schema = {**schema, "items": _from_openapi(f"{place}.items", schema["items"])}

    if "anyOf" in schema:
        options = read_list(f"{place}.anyOf", schema["anyOf"])
        schema = {**schema, "anyOf": [_from_openapi(f"{place}.anyOf", item) for item in options]}

    if "properties" in schema:
        at = f"{place}.properties"
        members = read_object(at, schema["properties"]).items()
        schema = {**schema, "properties": {k: _from_openapi(f"{at}.{k}", v) for k, v in members}}

    return schema


def _thinks(config: Mapping[str, Any]) -> bool:
    """Say whether thoughts are asked for: by their inclusion, a budget, or a level."""
    return bool(
        config.get("includeThoughts") or config.get("thinkingBudget") or config.get("thinkingLevel")
    )
