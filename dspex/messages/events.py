"""An answer as it comes: one StreamStart, deltas, one StreamEnd with the whole Response."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dspex.messages.response import Response

__all__ = ("StreamEnd", "StreamEvent", "StreamStart", "TextDelta", "ToolCallDelta")


@dataclass(frozen=True, slots=True)
class StreamStart:
    """The provider has begun to answer."""

    model: str = ""
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of one choice; `reasoning` marks thinking that is not part of the answer."""

    text: str
    _: KW_ONLY
    choice: int = 0
    reasoning: bool = False


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of one tool call; `id` and `name` come once, `arguments` piece by piece."""

    index: int
    _: KW_ONLY
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    choice: int = 0


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The answer is complete: the same Response a call without streaming gives."""

    response: Response


StreamEvent = StreamStart | TextDelta | ToolCallDelta | StreamEnd
