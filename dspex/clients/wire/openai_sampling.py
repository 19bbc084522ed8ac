"""How a model shall sample and think, in the words of OpenAI's chat and of its followers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex.clients.wire.writing import Draft, nearest_effort

if TYPE_CHECKING:
    from dspex.messages import Compat, Sampling

__all__ = ("put_sampling",)


def put_sampling(draft: Draft, wish: Sampling, compat: Compat) -> None:
    """Write what is set; record what the endpoint does not take, or takes in another form."""
    draft.put("temperature", wish.temperature, taken=compat.temperature)
    draft.put("max_tokens", wish.max_tokens, field_name=compat.max_tokens_field)
    # To write each of the others costs more than all the rest of a plain request.
    if _asks_for_more(wish):
        _put_rare(draft, wish, compat)


def _asks_for_more(wish: Sampling) -> bool:
    return bool(
        wish.top_p is not None
        or wish.stop
        or wish.seed is not None
        or wish.n > 1
        or wish.presence_penalty is not None
        or wish.frequency_penalty is not None
        or wish.reasoning_effort is not None
        or wish.reasoning_tokens is not None
        or wish.top_k is not None
        or wish.logprobs
        or wish.top_logprobs is not None
    )


def _put_rare(draft: Draft, wish: Sampling, compat: Compat) -> None:
    draft.put("top_p", wish.top_p, taken=compat.temperature)
    draft.put("stop", list(wish.stop) or None, taken=compat.stop)
    draft.put("seed", wish.seed, taken=compat.seed)
    draft.put("presence_penalty", wish.presence_penalty, taken=compat.penalties)
    draft.put("frequency_penalty", wish.frequency_penalty, taken=compat.penalties)
    draft.put("top_k", wish.top_k, taken=compat.top_k)
    if wish.n > 1:
        _put_n(draft, wish.n, compat)

    if wish.logprobs or wish.top_logprobs is not None:
        draft.put("logprobs", True, taken=compat.logprobs)
        draft.put("top_logprobs", wish.top_logprobs, taken=compat.logprobs)

    _put_reasoning(draft, wish, compat)


def _put_n(draft: Draft, asked: int, compat: Compat) -> None:
    if compat.n:
        draft.body["n"] = asked
    else:
        draft.drop("n", asked, 1)


def _put_reasoning(draft: Draft, wish: Sampling, compat: Compat) -> None:
    if wish.reasoning_effort is not None:
        _put_effort(draft, wish.reasoning_effort, compat)

    field = compat.reasoning_tokens_field
    if field is None or "." not in field:
        draft.put(
            "reasoning_tokens", wish.reasoning_tokens, taken=field is not None, field_name=field
        )
    elif wish.reasoning_tokens is not None:
        outer, _, inner = field.partition(".")
        _object_at(draft.body, outer)[inner] = wish.reasoning_tokens


def _put_effort(draft: Draft, asked: str, compat: Compat) -> None:
    if not compat.reasoning_effort:
        draft.drop("reasoning_effort", asked)
        return

    applied = nearest_effort(asked, compat.efforts)
    if applied != asked:
        draft.drop("reasoning_effort", asked, applied, "the endpoint knows other words")

    if compat.reasoning_style == "nested":
        _object_at(draft.body, "reasoning")["effort"] = applied
    elif compat.reasoning_style == "thinking":
        _put_thinking(draft.body, applied)
    else:
        draft.body["reasoning_effort"] = applied


def _put_thinking(body: dict[str, Any], effort: str) -> None:
    """Write the switch, and how much unless it is off: a server that has a switch wants both."""
    body["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
    if effort != "none":
        body["reasoning_effort"] = effort


def _object_at(body: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = body.setdefault(name, {})
    return found
