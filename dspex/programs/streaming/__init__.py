"""Programs as streams: what happens in them as it happens.

`program.stream(...)` yields the chunks of every predictor's fields, the status of programs and
tools below, and last the prediction. `StreamMonitor` watches a stream's quality and ends or
switches it; `merge_streams` runs several programs and gives the prediction of one.

Invariants: the prediction comes once and last; nothing is buffered, so a slow consumer slows the
socket; a stream belongs to one call, and a program may be streamed any number of times at once. It
fails as the call fails, after the items that came before.
"""

from __future__ import annotations

from dspex.programs.streaming.events import (
    FieldChunk,
    ProgramStatus,
    Retracted,
    Status,
    StreamItem,
    Switched,
    ToolStatus,
)

__all__ = (
    "FieldChunk",
    "ProgramStatus",
    "Retracted",
    "Status",
    "StreamItem",
    "Switched",
    "ToolStatus",
)
