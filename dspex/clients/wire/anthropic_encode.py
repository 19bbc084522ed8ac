"""A Request as the body of Anthropic's `POST /messages`.

The wire cannot do without a bound on the output, so that one goes out when none was asked for, and
is recorded. It has no choices, seeds, penalties or log-probabilities. While the model thinks, it
takes no temperature of the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dspex.clients.wire.anthropic_turns import encode_turns, system_text
from dspex.clients.wire.writing import UNSUPPORTED, Draft, nearest_effort

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, Request, Sampling, ToolSpec

__all__ = ("DEFAULT_MAX_TOKENS", "encode_request")

DEFAULT_MAX_TOKENS: Final = 8_192
"""The bound on the output when neither the request nor the endpoint names one."""

_LEAST_THINKING_TOKENS: Final = 1_024
_LEAST_TOP_P_THINKING: Final = 0.95
_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any"}

_NO_FIELD: Final = "the wire has no such parameter"
_THINKING: Final = "not taken together with thinking"


def encode_request(request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
    """Return the body.

    Raises:
        InvalidRequest: it holds a part that the endpoint cannot take, or what JSON cannot say.
    """
    draft = Draft({"model": request.model})
    _put_max_tokens(draft, request.sampling, compat)
    draft.put("system", system_text(request.messages))
    draft.body["messages"] = encode_turns(request.messages, compat, draft)
    thinks = _put_thinking(draft, request.sampling, compat)
    _put_sampling(draft, request.sampling, compat, thinks=thinks)
    _put_tools(draft, request, compat)
    _put_format(draft, request, compat)
    if stream:
        draft.body["stream"] = True

    return draft.encoded(request.extra)


def _put_max_tokens(draft: Draft, wish: Sampling, compat: Compat) -> None:
    if wish.max_tokens is not None:
        draft.body["max_tokens"] = wish.max_tokens
        return

    # Thinking counts towards the bound, and must not eat up all of it.
    applied = compat.max_output_tokens or DEFAULT_MAX_TOKENS + (wish.reasoning_tokens or 0)
    draft.body["max_tokens"] = applied
    draft.drop("max_tokens", None, applied, "the wire needs a bound, and none was asked for")


def _put_thinking(draft: Draft, wish: Sampling, compat: Compat) -> bool:
    """Write effort and budget; return whether the model was told to think."""
    if not compat.reasoning_effort:
        draft.put("reasoning_effort", wish.reasoning_effort, taken=False)
        draft.put("reasoning_tokens", wish.reasoning_tokens, taken=False)
        return False

    _put_effort(draft, wish, compat)
    if wish.reasoning_tokens is not None:
        _put_budget(draft, wish.reasoning_tokens)

    kind = draft.body.get("thinking", {}).get("type")
    return kind in ("enabled", "adaptive")


def _put_effort(draft: Draft, wish: Sampling, compat: Compat) -> None:
    asked = wish.reasoning_effort
    if asked == "none" and wish.reasoning_tokens:
        draft.drop("reasoning_effort", asked, reason="not taken with reasoning_tokens")
    elif asked == "none":
        draft.body["thinking"] = {"type": "disabled"}
    elif asked is not None:
        taken = [word for word in _EFFORTS if word in (compat.efforts or _EFFORTS)]
        applied = nearest_effort(asked, taken)
        _output_config(draft)["effort"] = applied
        if applied != asked:
            draft.drop("reasoning_effort", asked, applied, "the endpoint knows other words")

        if compat.reasoning_style == "thinking":
            draft.body["thinking"] = {"type": "adaptive"}


def _put_budget(draft: Draft, asked: int) -> None:
    if asked == 0:
        draft.body["thinking"] = {"type": "disabled"}
        return

    applied = min(max(asked, _LEAST_THINKING_TOKENS), draft.body["max_tokens"] - 1)
    if applied < _LEAST_THINKING_TOKENS:
        reason = f"max_tokens leaves less than {_LEAST_THINKING_TOKENS}, the least there is"
        draft.drop("reasoning_tokens", asked, None, reason)
        return

    draft.body["thinking"] = {"type": "enabled", "budget_tokens": applied}
    if applied != asked:
        reason = f"it must be at least {_LEAST_THINKING_TOKENS} and less than max_tokens"
        draft.drop("reasoning_tokens", asked, applied, reason)


def _put_sampling(draft: Draft, wish: Sampling, compat: Compat, *, thinks: bool) -> None:
    _put_temperature(draft, wish.temperature, compat, thinks=thinks)
    if thinks and wish.top_p is not None and wish.top_p < _LEAST_TOP_P_THINKING:
        draft.drop("top_p", wish.top_p, reason=_THINKING)
    else:
        draft.put("top_p", wish.top_p, taken=compat.temperature)

    if thinks and wish.top_k is not None:
        draft.drop("top_k", wish.top_k, reason=_THINKING)
    else:
        draft.put("top_k", wish.top_k, taken=compat.top_k)

    _put_stop(draft, wish.stop, compat)
    for name, asked, applied in (
        ("n", wish.n if wish.n > 1 else None, 1),
        ("seed", wish.seed, None),
        ("presence_penalty", wish.presence_penalty, None),
        ("frequency_penalty", wish.frequency_penalty, None),
        ("logprobs", wish.logprobs or None, None),
        ("top_logprobs", wish.top_logprobs, None),
    ):
        if asked is not None:
            draft.drop(name, asked, applied, _NO_FIELD)


def _put_temperature(draft: Draft, asked: float | None, compat: Compat, *, thinks: bool) -> None:
    if asked is not None and compat.temperature and thinks:
        draft.drop("temperature", asked, reason=_THINKING)
    elif asked is not None and compat.temperature and asked > 1:
        draft.body["temperature"] = 1.0
        draft.drop("temperature", asked, 1.0, "the wire takes at most 1")
    else:
        draft.put("temperature", asked, taken=compat.temperature)


def _put_stop(draft: Draft, asked: tuple[str, ...], compat: Compat) -> None:
    if not compat.stop:
        draft.put("stop", list(asked) or None, taken=False)
        return

    applied = [text for text in asked if text.strip()]
    draft.put("stop", applied or None, field_name="stop_sequences")
    if len(applied) < len(asked):
        draft.drop("stop", list(asked), applied, "the wire takes no stop of white space alone")


def _put_tools(draft: Draft, request: Request, compat: Compat) -> None:
    names = [tool.name for tool in request.tools]
    if names and not compat.tools:
        draft.drop("tools", names)
        return

    if not names:
        if request.tool_choice is not None:
            draft.drop("tool_choice", request.tool_choice, reason="there are no tools")

        return

    draft.body["tools"] = [_tool(tool) for tool in request.tools]
    draft.put("tool_choice", _tool_choice(draft, request, compat))


def _tool(tool: ToolSpec) -> dict[str, Any]:
    row: dict[str, Any] = {"name": tool.name, "input_schema": tool.parameters}
    if tool.description:
        row["description"] = tool.description

    if tool.strict is not None:
        row["strict"] = tool.strict

    return row


def _tool_choice(draft: Draft, request: Request, compat: Compat) -> dict[str, Any] | None:
    choice: dict[str, Any] | None = None
    asked = request.tool_choice
    if asked is not None and not compat.tool_choice:
        draft.drop("tool_choice", asked)
    elif asked is not None:
        kind = _CHOICES.get(asked)
        choice = {"type": "tool", "name": asked} if kind is None else {"type": kind}

    if request.parallel_tool_calls is not False or asked == "none":
        return choice

    if not compat.parallel_tool_calls:
        draft.drop("parallel_tool_calls", False)
        return choice

    return {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}


def _put_format(draft: Draft, request: Request, compat: Compat) -> None:
    asked = request.response_format
    if asked is None:
        return

    if asked.type == "json_object":
        draft.drop("response_format", asked.type, reason=_NO_FIELD)
    elif compat.structured_output != "json_schema":
        draft.drop("response_format", asked.type, reason=UNSUPPORTED)
    else:
        schema = asked.schema if asked.schema is not None else {"type": "object"}
        _output_config(draft)["format"] = {"type": "json_schema", "schema": schema}


def _output_config(draft: Draft) -> dict[str, Any]:
    found: dict[str, Any] = draft.body.setdefault("output_config", {})
    return found
