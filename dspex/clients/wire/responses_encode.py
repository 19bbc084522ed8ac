"""A Request as the body of OpenAI's Responses: instructions, then items instead of messages.

Nothing is stored at the provider: the whole conversation goes out each time, and a model's thinking
goes back in the encrypted form, which is the only one that is worth anything without a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dspex.clients.wire.responses_items import input_items
from dspex.clients.wire.writing import UNSUPPORTED, Draft, nearest_effort

if TYPE_CHECKING:
    from dspex.clients.wire.base import EncodedRequest
    from dspex.messages import Compat, Message, Request, ResponseFormat, Sampling, ToolSpec

__all__ = ("encode_request",)

_NAMED_CHOICES: Final = frozenset({"auto", "none", "required"})
_NO_FIELD: Final = "this wire has no field for it"


def encode_request(request: Request, compat: Compat, *, stream: bool) -> EncodedRequest:
    """Return the body.

    Raises:
        InvalidRequest: it holds a part that the endpoint cannot take, or what JSON cannot say.
    """
    draft = Draft({"model": request.model})
    instructions, turns = _split_instructions(request.messages)
    draft.put("instructions", instructions)
    draft.body["input"] = input_items(turns, compat, draft)
    draft.body["store"] = False
    _put_sampling(draft, request.sampling, compat)
    _put_include(draft, request, compat)
    if request.tools or request.tool_choice is not None:
        _put_tools(draft, request, compat)

    if request.response_format is not None:
        _put_format(draft, request.response_format, compat)

    if stream:
        draft.body["stream"] = True

    return draft.encoded(request.extra)


def _split_instructions(messages: tuple[Message, ...]) -> tuple[str | None, tuple[Message, ...]]:
    """Return the system turns at the head as one text, and the others; without others, no text."""
    head = 0
    while head < len(messages) and messages[head].role == "system":
        head += 1

    if head in (0, len(messages)):
        return None, messages

    return "\n\n".join(message.text for message in messages[:head]), messages[head:]


def _put_sampling(draft: Draft, wish: Sampling, compat: Compat) -> None:
    draft.put("temperature", wish.temperature, taken=compat.temperature)
    draft.put("top_p", wish.top_p, taken=compat.temperature)
    draft.put("max_tokens", wish.max_tokens, field_name="max_output_tokens")
    draft.put("top_logprobs", wish.top_logprobs, taken=compat.logprobs)
    if wish.reasoning_effort is not None:
        _put_effort(draft, wish.reasoning_effort, compat)

    if wish.n > 1:
        draft.drop("n", wish.n, 1, _NO_FIELD)

    for name, value in (
        ("stop", list(wish.stop) or None),
        ("seed", wish.seed),
        ("presence_penalty", wish.presence_penalty),
        ("frequency_penalty", wish.frequency_penalty),
        ("top_k", wish.top_k),
        ("reasoning_tokens", wish.reasoning_tokens),
    ):
        if value is not None:
            draft.drop(name, value, None, _NO_FIELD)


def _put_effort(draft: Draft, asked: str, compat: Compat) -> None:
    if not compat.reasoning_effort:
        draft.drop("reasoning_effort", asked)
        return

    applied = nearest_effort(asked, compat.efforts)
    if applied != asked:
        draft.drop("reasoning_effort", asked, applied, "the endpoint knows other words")

    draft.body["reasoning"] = {"effort": applied}


def _put_include(draft: Draft, request: Request, compat: Compat) -> None:
    """Ask for what is left out of an answer by default.

    Models that do not think refuse to be asked for their thinking, so that it needs a reason.
    """
    wish, include = request.sampling, list[str]()
    if wish.logprobs or wish.top_logprobs is not None:
        if compat.logprobs:
            include.append("message.output_text.logprobs")
        else:
            draft.drop("logprobs", True)

    thinks = draft.body.get("reasoning", {}).get("effort", "none") != "none"
    replays = compat.replay_reasoning or any(message.reasoning for message in request.messages)
    if thinks or replays:
        include.append("reasoning.encrypted_content")

    if include:
        draft.body["include"] = include


def _put_tools(draft: Draft, request: Request, compat: Compat) -> None:
    if request.tools and not compat.tools:
        draft.drop("tools", [tool.name for tool in request.tools])
        return

    if request.tools:
        draft.body["tools"] = [_tool(tool) for tool in request.tools]
        draft.put(
            "parallel_tool_calls", request.parallel_tool_calls, taken=compat.parallel_tool_calls
        )

    choice = request.tool_choice
    if choice is not None:
        said = choice if choice in _NAMED_CHOICES else {"type": "function", "name": choice}
        draft.put("tool_choice", said, taken=compat.tools and compat.tool_choice)


def _tool(tool: ToolSpec) -> dict[str, Any]:
    row: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    if tool.strict is not None:
        row["strict"] = tool.strict

    return row


def _put_format(draft: Draft, asked: ResponseFormat, compat: Compat) -> None:
    best = compat.structured_output
    if asked.type == "json_schema" and best == "json_schema":
        row: dict[str, Any] = {
            "type": "json_schema",
            "name": asked.name,
            "schema": asked.schema if asked.schema is not None else {},
            "strict": asked.strict,
        }
        draft.body["text"] = {"format": row}
        return

    if best != "none":
        draft.body["text"] = {"format": {"type": "json_object"}}

    if asked.type == "json_schema" or best == "none":
        applied = None if best == "none" else "json_object"
        draft.drop("response_format", asked.type, applied, UNSUPPORTED)
