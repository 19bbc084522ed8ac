"""What a request may use, before it is sent: a guess for rate limits, an upper bound for budgets.

A budget that counts tokens or dollars needs a bound on both sides. Of the prompt it is the number
of bytes: no tokenizer makes more tokens than bytes, save the few with which a server frames each
turn. Of the answer it is the request's own `max_tokens`; where there is none, the endpoint's
`max_output_tokens`, or 4,096, is set aside and also sent, so that it holds.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dspex.messages import AudioPart, DroppedParam, FilePart, ImagePart, Request, TextPart
from dspex.usage import Usage

if TYPE_CHECKING:
    from dspex.clients.prices import Price
    from dspex.messages import Message, Part, Sampling

__all__ = (
    "DEFAULT_OUTPUT_TOKENS",
    "bound_output",
    "bound_usage",
    "estimate_usage",
    "guess_unfinished",
)

DEFAULT_OUTPUT_TOKENS: Final = 4_096
"""Set aside and sent for an answer under a budget when neither request nor endpoint has a bound."""

_CHARS_PER_TOKEN: Final = 4
_FRAME_TOKENS: Final = 8
"""What a server puts around each turn, and once around all of them."""

_PICTURE_TOKENS: Final = 2_000
"""More than the providers charge for a picture of any size."""

_BYTES_PER_SOUND_TOKEN: Final = 32
"""Speech takes some thirty tokens a second, and even well packed a thousand bytes."""

_LINKED_FILE_TOKENS: Final = 100_000
"""For a document behind a link or an id, whose length nobody here can know."""

_BOUNDS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def estimate_usage(request: Request) -> Usage:
    """Guess a request's usage before it is sent: four characters a token, and its output bound."""
    characters = 0
    for message in request.messages:
        content = message.content
        characters += len(content) if type(content) is str else len(message.text)

    bound = request.sampling.max_tokens or 0
    return Usage(
        input_tokens=characters // _CHARS_PER_TOKEN + 1,
        output_tokens=bound * request.sampling.n,
        cost_usd=None,
        calls=1,
    )


def guess_unfinished(asked: Usage, price: Price | None, heard: int = 0) -> Usage:
    """Guess what a request has used that was given up before it told: most providers bill it.

    Args:
        asked: what was estimated before it was sent.
        price: of its model; None: the cost is not known.
        heard: how many characters of the answer had come.
    """
    used = Usage(
        input_tokens=asked.input_tokens,
        output_tokens=-(-heard // _CHARS_PER_TOKEN),
        cost_usd=None,
    )
    return used if price is None else replace(used, cost_usd=price.of(used))


def bound_output(request: Request, default: int | None) -> tuple[Request, DroppedParam | None]:
    """Return the request with an output bound, and what was added for it, if anything was.

    Args:
        request: what is asked.
        default: the endpoint's own bound, if it has one.
    """
    wish = request.sampling
    if wish.max_tokens is not None or _own_bound(request) is not None:
        return request, None

    bound = (default or DEFAULT_OUTPUT_TOKENS) + (wish.reasoning_tokens or 0)
    sampling, added = _bounded(wish, bound)
    return _sampled(request, sampling), added


def bound_usage(request: Request) -> Usage:
    """Return the most that a request with an output bound can use; its cost is left open."""
    asked = _FRAME_TOKENS
    for message in request.messages:
        asked += _bound_of(message)

    if request.tools or request.response_format is not None:
        asked += len(repr((request.tools, request.response_format)).encode())

    wish, extra = request.sampling, request.extra or {}
    bound = _own_bound(request) or wish.max_tokens or 0
    choices = max(wish.n, _whole(extra.get("n")) or 1)
    return Usage(input_tokens=asked, output_tokens=bound * choices, cost_usd=None, calls=1)


@lru_cache(maxsize=64)
def _bounded(wish: Sampling, bound: int) -> tuple[Sampling, DroppedParam]:
    # Nearly all calls of a run sample alike, and a copy costs more than all the rest here.
    added = DroppedParam("max_tokens", None, bound, "a budget needs a bound on the answer")
    return replace(wish, max_tokens=bound), added


def _sampled(request: Request, sampling: Sampling) -> Request:
    # A third of the price of dataclasses.replace, on every call under such a budget.
    return Request(
        request.messages,
        model=request.model,
        sampling=sampling,
        tools=request.tools,
        tool_choice=request.tool_choice,
        parallel_tool_calls=request.parallel_tool_calls,
        response_format=request.response_format,
        extra=request.extra,
        sample=request.sample,
    )


def _own_bound(request: Request) -> int | None:
    """Return the bound among the provider's own fields, which win over what a wire writes."""
    if not request.extra:
        return None

    found = [bound for name in _BOUNDS if (bound := _whole(request.extra.get(name))) is not None]
    return max(found, default=None)


def _bound_of(message: Message) -> int:
    content = message.content
    size = _FRAME_TOKENS
    if isinstance(content, str):
        size += _bytes_of(content)
    else:
        size += sum(_bound_of_part(part) for part in content)

    for call in message.tool_calls:
        size += _FRAME_TOKENS + _bytes_of(call.name) + _bytes_of(call.arguments)

    for part in message.reasoning:
        size += _bytes_of(part.text)

    return size


def _bound_of_part(part: Part) -> int:
    match part:
        case TextPart(text=text):
            return _bytes_of(text)
        case ImagePart():
            return _PICTURE_TOKENS
        case AudioPart(data=data):
            return len(data) // _BYTES_PER_SOUND_TOKEN + 1
        case FilePart(url=url):
            inline = url is not None and url.startswith("data:")
            return len(url) if url is not None and inline else _LINKED_FILE_TOKENS


def _bytes_of(text: str | None) -> int:
    if not text:
        return 0

    # Lone surrogates are sent as escapes of six bytes; four a character of the rest is the most.
    return len(text) if text.isascii() else len(text.encode("utf-8", "backslashreplace"))


def _whole(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
