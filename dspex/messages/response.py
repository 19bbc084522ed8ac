"""What comes back: a Response with its choices, usage, and the tries before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from dspex.errors import Attempt
from dspex.messages.coding import to_dict
from dspex.messages.parts import ReasoningPart
from dspex.messages.request import Message, ToolCall
from dspex.usage import Usage

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = (
    "Choice",
    "Citation",
    "DroppedParam",
    "FinishReason",
    "Response",
    "TokenLogprob",
    "fill",
)


class FinishReason(StrEnum):
    """Why the model stopped, the same words for every provider."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of the answer with its log-probability; `top` holds the likeliest in its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage of a source that supports the answer.

    `source` names the document, by title, URL or index; `start` and `end` are where in the source
    the passage stands, in the provider's unit (characters, pages or blocks).
    """

    text: str
    _: KW_ONLY
    source: str | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers to a request; nearly always the only one.

    `reasoning` is the thinking as far as it may be read; `thinking` the same in the pieces that the
    provider wants back when the turn goes on.
    """

    text: str
    _: KW_ONLY
    finish_reason: FinishReason = FinishReason.STOP
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: tuple[ReasoningPart, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    citations: tuple[Citation, ...] = ()

    def to_message(self) -> Message:
        """Return it as the assistant's turn of a conversation that goes on."""
        return Message("assistant", self.text, tool_calls=self.tool_calls, reasoning=self.thinking)


@dataclass(frozen=True, slots=True)
class DroppedParam:
    """A parameter the endpoint does not take: what was asked, what was sent instead, and why."""

    name: str
    asked: Any
    applied: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a Request.

    `latency_s` is the time of the whole call as the caller saw it; `attempts` are the tries that
    failed before this answer; `cached` says that no provider was asked.
    """

    choices: tuple[Choice, ...]
    _: KW_ONLY
    model: str = ""
    endpoint: str = ""
    usage: Usage = Usage()
    request_id: str | None = None
    latency_s: float = 0.0
    cached: bool = False
    attempts: tuple[Attempt, ...] = ()
    dropped: tuple[DroppedParam, ...] = ()

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.choices[0].text

    @property
    def finish_reason(self) -> FinishReason:
        """Why the first choice stopped."""
        return self.choices[0].finish_reason

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Response:
        """Rebuild from `to_dict`; raises ValueError, which names the field, on anything else."""
        return _adapter().validate_python(data)


def fill(response: Response, **values: Any) -> Response:
    """Set fields of a response that its maker has not handed on yet, and return it.

    Each step of a call learns something about the answer; a copy for each would cost ten times as
    much. Whoever did not make the response, or has shown it to others, must use
    `dataclasses.replace`.
    """
    for name, value in values.items():
        object.__setattr__(response, name, value)

    return response


# Built on first use: pydantic is the slowest import here, and a client that neither caches on disk
# nor journals never needs it.
@cache
def _adapter() -> TypeAdapter[Response]:
    from pydantic import TypeAdapter

    return TypeAdapter(Response)
