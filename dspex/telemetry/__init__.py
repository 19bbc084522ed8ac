"""What dspex tells about itself while it runs.

Events go over the supervision tree's own bus: a name from `events`, where its measurements
(numbers, seconds in `*_s`) and metadata (who, where, the correlation id) are listed. A Runtime's
bus is `runtime.bus`:

    runtime.bus.attach_many("mine", telemetry.matching("dspex.lm.*"), handler)
    runtime.bus.detach("mine")

Nothing is built for an event that nobody listens to, and a handler that raises is detached and
reported, never felt by the call it watched. Handlers run in the task that is watched: they must be
quick. The correlation id is the scope's: `with dspex.scope(correlation_id=...)`.

Three exporters run as supervised children where the settings ask for them: `log` writes warnings
and state changes through structlog, in a thread; `otel` makes OpenTelemetry spans and metrics;
`prometheus` counts, and answers scrapes. Metadata may hold objects for exporters (`span`,
`request`, `response`) which are never logged; prompts and answers are recorded only where
`otel_content` asks for them. Whoever only needs the names of events loads none of this.
"""

from __future__ import annotations

from dspex.telemetry.events import (
    BOOTSTRAP_EXAMPLE,
    BREAKER_STATE,
    BUDGET_REFUSED,
    CACHE_FAULT,
    CACHE_HIT,
    CACHE_MISS,
    EVALUATE_EXAMPLE,
    EVALUATE_START,
    EVALUATE_STOP,
    EVENTS,
    INPUT_QUARANTINED,
    LIMITER_PAUSE,
    LIMITER_WAIT,
    LM_EXCEPTION,
    LM_RETRY,
    LM_START,
    LM_STOP,
    OPTIMIZE_START,
    OPTIMIZE_STOP,
    PARSE,
    PROGRAM_EXCEPTION,
    PROGRAM_START,
    PROGRAM_STOP,
    REPAIR,
    SETTINGS_CHANGED,
    TOOL_EXCEPTION,
    TOOL_START,
    TOOL_STOP,
)
from dspex.telemetry.patterns import matching

__all__ = (
    "BOOTSTRAP_EXAMPLE",
    "BREAKER_STATE",
    "BUDGET_REFUSED",
    "CACHE_FAULT",
    "CACHE_HIT",
    "CACHE_MISS",
    "EVALUATE_EXAMPLE",
    "EVALUATE_START",
    "EVALUATE_STOP",
    "EVENTS",
    "INPUT_QUARANTINED",
    "LIMITER_PAUSE",
    "LIMITER_WAIT",
    "LM_EXCEPTION",
    "LM_RETRY",
    "LM_START",
    "LM_STOP",
    "OPTIMIZE_START",
    "OPTIMIZE_STOP",
    "PARSE",
    "PROGRAM_EXCEPTION",
    "PROGRAM_START",
    "PROGRAM_STOP",
    "REPAIR",
    "SETTINGS_CHANGED",
    "TOOL_EXCEPTION",
    "TOOL_START",
    "TOOL_STOP",
    "matching",
)
