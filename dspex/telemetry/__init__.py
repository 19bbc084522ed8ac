"""What dspex tells about itself while it runs.

Events go over the supervision tree's own bus: a name from `events`, measurements (numbers, seconds
in `*_s`), and metadata (who, where, the correlation id). A Runtime's bus is `runtime.bus`; attach a
handler there. Nothing is built for an event that nobody listens to, and a handler that raises is
detached and reported, never felt by the call it watched.

In `dspex.telemetry.log`, `log_exporter` is the supervised child that writes warnings and state
changes through structlog; whoever only needs the names of events does not load it.
"""

from __future__ import annotations

from dspex.telemetry.events import (
    BOOTSTRAP_EXAMPLE,
    BREAKER_STATE,
    CACHE_HIT,
    CACHE_MISS,
    EVALUATE_EXAMPLE,
    EVALUATE_START,
    EVALUATE_STOP,
    LM_EXCEPTION,
    LM_RETRY,
    LM_START,
    LM_STOP,
    OPTIMIZE_START,
    OPTIMIZE_STOP,
    PROGRAM_EXCEPTION,
    PROGRAM_START,
    PROGRAM_STOP,
    REPAIR,
)

__all__ = (
    "BOOTSTRAP_EXAMPLE",
    "BREAKER_STATE",
    "CACHE_HIT",
    "CACHE_MISS",
    "EVALUATE_EXAMPLE",
    "EVALUATE_START",
    "EVALUATE_STOP",
    "LM_EXCEPTION",
    "LM_RETRY",
    "LM_START",
    "LM_STOP",
    "OPTIMIZE_START",
    "OPTIMIZE_STOP",
    "PROGRAM_EXCEPTION",
    "PROGRAM_START",
    "PROGRAM_STOP",
    "REPAIR",
)
