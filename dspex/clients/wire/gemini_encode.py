"""A Request as the body of Gemini's `generateContent`; its model stands in the path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dspex.clients.loose import object_of
from dspex.clients.wire.gemini_turns import encode_contents, system_instruction
from dspex.clients.wire.writing import EFFORTS, UNSUPPORTED, Draft, invalid_request, nearest_effort

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, Request, Sampling, ToolSpec

__all__ = ("encode_request",)

_MOST_STOPS: Final = 5
_LEVELS: Final = {word: word.upper() for word in EFFORTS if word not in ("none", "max")}
_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def encode_request(request: Request, compat: Compat) -> EncodedRequest:
    """Return the body, which is the same with streaming and without.

    The fields of `extra` win; those within its `generationConfig` one by one.

    Raises:
        InvalidRequest: it holds a part that the endpoint cannot take, or what JSON cannot say.
    """
    draft = Draft({})
    draft.body["contents"] = encode_contents(request.messages, compat, draft)
    draft.put("systemInstruction", system_instruction(request.messages))
    _put_tools(draft, request, compat)
    config = Draft({}, draft.dropped)
    _put_sampling(config, request.sampling, compat)
    _put_thinking(config, request.sampling, compat)
    _put_format(config, request, compat)
    extra = dict(request.extra or {})
    generation = {**config.body, **object_of(extra.pop("generationConfig", None))}
    draft.put("generationConfig", generation or None)
    return draft.encoded(extra)


def _put_sampling(config: Draft, wish: Sampling, compat: Compat) -> None:
    for name, field, value, taken in (
        ("temperature", "temperature", wish.temperature, compat.temperature),
        ("top_p", "topP", wish.top_p, compat.temperature),
        ("top_k", "topK", wish.top_k, compat.top_k),
        ("max_tokens", "maxOutputTokens", wish.max_tokens, True),
        ("seed", "seed", wish.seed, compat.seed),
        ("presence_penalty", "presencePenalty", wish.presence_penalty, compat.penalties),
        ("frequency_penalty", "frequencyPenalty", wish.frequency_penalty, compat.penalties),
    ):
        config.put(name, value, taken=taken, field_name=field)

    if wish.n > 1 and not compat.n:
        config.drop("n", wish.n, 1)
    elif wish.n > 1:
        config.body["candidateCount"] = wish.n

    if wish.logprobs or wish.top_logprobs is not None:
        config.put("logprobs", True, taken=compat.logprobs, field_name="responseLogprobs")
        config.put("top_logprobs", wish.top_logprobs, taken=compat.logprobs, field_name="logprobs")

    stops = list(wish.stop)
    config.put("stop", stops[:_MOST_STOPS] or None, taken=compat.stop, field_name="stopSequences")
    if compat.stop and len(stops) > _MOST_STOPS:
        config.drop("stop", stops, stops[:_MOST_STOPS], f"the wire takes at most {_MOST_STOPS}")


def _put_thinking(config: Draft, wish: Sampling, compat: Compat) -> None:
    effort, tokens = wish.reasoning_effort, wish.reasoning_tokens
    if not compat.reasoning_effort:
        config.put("reasoning_effort", effort, taken=False)
        config.put("reasoning_tokens", tokens, taken=False)
    elif tokens is not None:
        config.body["thinkingConfig"] = _budget(tokens)
        if effort is not None:
            config.drop("reasoning_effort", effort, reason="not taken with reasoning_tokens")
    elif effort == "none":
        config.body["thinkingConfig"] = _budget(0)
    elif effort is not None:
        _put_level(config, effort, compat)


def _budget(tokens: int) -> dict[str, Any]:
    return {"thinkingBudget": tokens, **({"includeThoughts": True} if tokens else {})}


def _put_level(config: Draft, asked: str, compat: Compat) -> None:
    taken = [word for word in _LEVELS if word in (compat.efforts or _LEVELS)]
    applied = nearest_effort(asked, taken)
    level = _LEVELS.get(applied, applied.upper())
    config.body["thinkingConfig"] = {"thinkingLevel": level, "includeThoughts": True}
    if applied != asked:
        config.drop("reasoning_effort", asked, applied, "the endpoint knows other words")


def _put_format(config: Draft, request: Request, compat: Compat) -> None:
    asked = request.response_format
    if asked is None:
        return

    best = compat.structured_output
    if best == "none":
        config.drop("response_format", asked.type)
        return

    config.body["responseMimeType"] = "application/json"
    if asked.type == "json_schema" and best == "json_schema":
        if asked.schema is not None:
            config.body["responseJsonSchema"] = asked.schema
    elif asked.type == "json_schema":
        config.drop("response_format", asked.type, "json_object", UNSUPPORTED)


def _put_tools(draft: Draft, request: Request, compat: Compat) -> None:
    if request.parallel_tool_calls is False:
        reason = "the wire has no such parameter"
        draft.drop("parallel_tool_calls", False, reason=reason)

    if request.tools and not compat.tools:
        draft.drop("tools", [tool.name for tool in request.tools])
        return

    if request.tools:
        rows = [_function(tool) for tool in request.tools]
        draft.body["tools"] = [{"functionDeclarations": rows}]

    calling = _calling_config(draft, request, compat)
    if calling:
        draft.body["toolConfig"] = {"functionCallingConfig": calling}


def _function(tool: ToolSpec) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parametersJsonSchema": tool.parameters,
    }


def _calling_config(draft: Draft, request: Request, compat: Compat) -> dict[str, Any]:
    """Return how functions may be called; the mode that checks arguments is for strict tools."""
    choice = request.tool_choice
    if choice is not None and not compat.tool_choice:
        draft.drop("tool_choice", choice)
        choice = None

    if choice in (None, "auto") and any(tool.strict for tool in request.tools):
        return {"mode": "VALIDATED"}

    if choice is None:
        return {}

    if choice in _MODES:
        return {"mode": _MODES[choice]}

    if all(tool.name != choice for tool in request.tools):
        raise invalid_request(f"tool_choice names {choice!r}, which is none of the tools")

    return {"mode": "ANY", "allowedFunctionNames": [choice]}
