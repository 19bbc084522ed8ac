"""A Request as the body of Cohere's `POST /chat`, version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dspex.clients.wire.cohere_turns import encode_documents, encode_messages
from dspex.clients.wire.writing import UNSUPPORTED, Draft, invalid_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, Request, Sampling, ToolSpec

__all__ = ("encode_request",)

_MOST_STOPS: Final = 5
_LEAST_TOP_P: Final = 0.01
_MOST_TOP_P: Final = 0.99
_NO_FIELD: Final = "the wire has no such parameter"


def encode_request(request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
    """Return the body.

    Raises:
        InvalidRequest: it holds a part that the endpoint cannot take, or what JSON cannot say.
    """
    draft = Draft({"model": request.model})
    draft.body["messages"] = encode_messages(request.messages, compat, draft)
    draft.put("documents", encode_documents(request.messages, compat) or None)
    _put_sampling(draft, request.sampling, compat)
    _put_thinking(draft, request.sampling, compat)
    _put_tools(draft, request, compat)
    _put_format(draft, request, compat)
    draft.body["stream"] = stream
    return draft.encoded(request.extra)


def _put_sampling(draft: Draft, wish: Sampling, compat: Compat) -> None:
    draft.put("temperature", wish.temperature, taken=compat.temperature)
    _put_within(draft, "top_p", "p", wish.top_p, (_LEAST_TOP_P, _MOST_TOP_P), compat.temperature)
    draft.put("top_k", wish.top_k, taken=compat.top_k, field_name="k")
    draft.put("max_tokens", wish.max_tokens)
    draft.put("seed", wish.seed, taken=compat.seed)
    for name, value in (
        ("presence_penalty", wish.presence_penalty),
        ("frequency_penalty", wish.frequency_penalty),
    ):
        _put_within(draft, name, name, value, (0.0, 1.0), compat.penalties)

    stops = list(wish.stop)
    draft.put("stop", stops[:_MOST_STOPS] or None, taken=compat.stop, field_name="stop_sequences")
    if compat.stop and len(stops) > _MOST_STOPS:
        draft.drop("stop", stops, stops[:_MOST_STOPS], f"the wire takes at most {_MOST_STOPS}")

    if wish.logprobs or wish.top_logprobs is not None:
        draft.put("logprobs", True, taken=compat.logprobs)

    if wish.top_logprobs is not None:
        draft.drop("top_logprobs", wish.top_logprobs, reason=_NO_FIELD)

    if wish.n > 1:
        draft.drop("n", wish.n, 1, _NO_FIELD)


def _put_within(
    draft: Draft,
    name: str,
    field: str,
    asked: float | None,
    bounds: tuple[float, float],
    taken: bool,
) -> None:
    """Write a number moved into the bounds of the wire."""
    least, most = bounds
    applied = None if asked is None else min(max(asked, least), most)
    draft.put(name, applied, taken=taken, field_name=field)
    if taken and applied != asked:
        draft.drop(name, asked, applied, f"the wire takes {least} to {most}")


def _put_thinking(draft: Draft, wish: Sampling, compat: Compat) -> None:
    """Write whether to think and how long; the wire has no word for how hard."""
    effort, tokens = wish.reasoning_effort, wish.reasoning_tokens
    if not compat.reasoning_effort:
        draft.put("reasoning_effort", effort, taken=False)
        draft.put("reasoning_tokens", tokens, taken=False)
    elif tokens is not None or effort is not None:
        thinking = draft.body["thinking"] = _thinking(effort, tokens)
        if effort is not None and (effort, thinking["type"]) != ("none", "disabled"):
            reason = "the wire only turns thinking on and off"
            draft.drop("reasoning_effort", effort, thinking["type"], reason)


def _thinking(effort: str | None, tokens: int | None) -> dict[str, Any]:
    """Return the switch; a number of tokens wins over a word."""
    if tokens == 0 or (tokens is None and effort == "none"):
        return {"type": "disabled"}

    return {"type": "enabled"} if tokens is None else {"type": "enabled", "token_budget": tokens}


def _put_tools(draft: Draft, request: Request, compat: Compat) -> None:
    if request.parallel_tool_calls is False:
        draft.drop("parallel_tool_calls", False, reason=_NO_FIELD)

    if request.tools and not compat.tools:
        draft.drop("tools", [tool.name for tool in request.tools])
        return

    choice = request.tool_choice
    if choice is not None and not compat.tool_choice:
        draft.drop("tool_choice", choice)
        choice = None

    tools = _offered(request.tools, choice)
    if tools:
        draft.body["tools"] = [_tool(tool) for tool in tools]
        _put_strict(draft, tools)

    if choice == "none":
        draft.body["tool_choice"] = "NONE"
    elif choice not in (None, "auto"):
        draft.body["tool_choice"] = "REQUIRED"

    if choice not in (None, "auto", "none", "required"):
        reason = "the wire names no tool: only this one is offered"
        draft.drop("tool_choice", choice, "REQUIRED", reason)


def _offered(tools: Sequence[ToolSpec], choice: str | None) -> Sequence[ToolSpec]:
    if choice in (None, "auto", "none", "required"):
        return tools

    named = [tool for tool in tools if tool.name == choice]
    if not named:
        raise invalid_request(f"tool_choice names {choice!r}, which is none of the tools")

    return named


def _put_strict(draft: Draft, tools: Sequence[ToolSpec]) -> None:
    """Write whether arguments are held to the schemas, which goes for all tools or for none."""
    asked = {tool.strict for tool in tools if tool.strict is not None}
    if len(asked) > 1:
        draft.drop("strict", [tool.name for tool in tools if tool.strict], None, UNSUPPORTED)
    elif asked:
        draft.body["strict_tools"] = asked.pop()


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


def _put_format(draft: Draft, request: Request, compat: Compat) -> None:
    asked = request.response_format
    if asked is None:
        return

    best = compat.structured_output
    if best == "none":
        draft.drop("response_format", asked.type)
        return

    form: dict[str, Any] = {"type": "json_object"}
    draft.body["response_format"] = form
    if asked.type == "json_schema" and best == "json_schema":
        if asked.schema is not None:
            form["json_schema"] = asked.schema
    elif asked.type == "json_schema":
        draft.drop("response_format", asked.type, "json_object", UNSUPPORTED)
