"""One request of a batch, and what becomes of it and of the whole."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Final

from dspex.errors import ErrorData, ErrorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("BatchLine", "BatchStatus", "LineResult", "Outgoing", "ended_without", "line_id")

_ID_DIGITS: Final = 40
_FRAME_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One request: its `id` within the batch, the path it would be posted to, and its body."""

    id: str
    model: str
    path: str
    body: bytes

    @property
    def size(self) -> int:
        """About how many bytes it takes in a batch."""
        return len(self.body) + _FRAME_BYTES


@dataclass(frozen=True, slots=True)
class LineResult:
    """What came of one line: a good answer's body, or how it failed."""

    id: str
    outcome: bytes | ErrorData


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """One moment of a batch. When it has `ended`, the lines of `results` tell how each one did.

    `code` is "completed", "expired", "cancelled" or "failed"; `results` are paths to read.
    """

    ended: bool
    _: KW_ONLY
    code: str = "completed"
    message: str = ""
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to the batch interface itself."""

    path: str
    body: bytes
    content_type: str = "application/json"


def line_id(digest: str, ordinal: int) -> str:
    """Return the id of the so-manieth request of a digest: the same after a restart."""
    return f"{digest[:_ID_DIGITS]}-{ordinal}"


def ended_without(status: BatchStatus, *, provider: str, models: Sequence[str] = ()) -> ErrorData:
    """Return the error of a line that a batch has ended without."""
    why = f": {status.message}" if status.message else ""
    code = "no_result" if status.code == "completed" else status.code
    return ErrorData(
        ErrorKind.BATCH,
        f"its batch has {status.code} without an answer to it{why}",
        provider=provider,
        model=", ".join(models),
        code=code,
        stage="batch",
    )
