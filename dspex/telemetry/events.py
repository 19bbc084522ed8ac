"""The names of every event, in the order in which a run meets them.

Measurements and metadata that each carries stand beside it; the metadata of what happens in a call
or a program hold its `correlation_id`, too.
"""

from __future__ import annotations

from typing import Final, TypeAlias

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
)

_Name: TypeAlias = tuple[str, ...]

PROGRAM_START: Final[_Name] = ("dspex", "program", "start")
"""A program is called. Metadata: program, path."""

PROGRAM_STOP: Final[_Name] = ("dspex", "program", "stop")
"""It gave its prediction. Measurements: duration_s."""

PROGRAM_EXCEPTION: Final[_Name] = ("dspex", "program", "exception")
"""It raised. Measurements: duration_s. Metadata: error."""

PARSE: Final[_Name] = ("dspex", "program", "parse")
"""The fields of an answer were read. Measurements: repairs. Metadata: program, path."""

REPAIR: Final[_Name] = ("dspex", "program", "repair")
"""An answer could not be read and the model is shown why. Metadata: program, error."""

TOOL_START: Final[_Name] = ("dspex", "tool", "start")
"""A tool is called. Metadata: tool, path."""

TOOL_STOP: Final[_Name] = ("dspex", "tool", "stop")
"""It gave its result. Measurements: duration_s."""

TOOL_EXCEPTION: Final[_Name] = ("dspex", "tool", "exception")
"""It gave none. Measurements: duration_s. Metadata: reason ("arguments", "timeout", "crash",
"refused"), error (as text)."""

INPUT_QUARANTINED: Final[_Name] = ("dspex", "input", "quarantined")
"""An input kept failing and is refused for a while. Measurements: failures. Metadata: program,
input, errors."""

LM_START: Final[_Name] = ("dspex", "lm", "request", "start")
"""A model call begins. Metadata: endpoint, model."""

LM_RETRY: Final[_Name] = ("dspex", "lm", "request", "retry")
"""One try failed and another follows. Measurements: delay_s, failures. Metadata: error."""

LM_STOP: Final[_Name] = ("dspex", "lm", "request", "stop")
"""The model answered. Measurements: duration_s, input_tokens, output_tokens, failed_attempts."""

LM_EXCEPTION: Final[_Name] = ("dspex", "lm", "request", "exception")
"""The call failed for good. Measurements: duration_s, failed_attempts. Metadata: error."""

CACHE_HIT: Final[_Name] = ("dspex", "cache", "hit")
"""The cache had the answer. Metadata: endpoint, model, level ("memory", "disk", or "flight": an
equal call under way had it)."""

CACHE_MISS: Final[_Name] = ("dspex", "cache", "miss")
"""It did not, and the provider is asked. Metadata: endpoint, model."""

CACHE_FAULT: Final[_Name] = ("dspex", "cache", "fault")
"""The cache's disk fails; calls go on. At most once a minute. Measurements: count (since it was
announced last). Metadata: path, error."""

LIMITER_WAIT: Final[_Name] = ("dspex", "limiter", "wait")
"""A try had to wait before it was sent. Measurements: wait_s. Metadata: endpoint, model, stage (the
last thing it waited for: "budget", "limiter", "pool")."""

LIMITER_PAUSE: Final[_Name] = ("dspex", "limiter", "pause")
"""The provider refuses many requests for their rate: all calls to it wait. Measurements: pause_s.
Metadata: endpoint, model."""

BUDGET_REFUSED: Final[_Name] = ("dspex", "budget", "refused")
"""A call was not made because its budget is spent. Metadata: endpoint, model, error."""

BREAKER_STATE: Final[_Name] = ("dspex", "breaker", "state")
"""A breaker changed. Measurements: retry_after_s. Metadata: breaker ("provider/model"), old, new,
error."""

EVALUATE_START: Final[_Name] = ("dspex", "evaluate", "start")
"""An evaluation begins. Metadata: program, metric."""

EVALUATE_EXAMPLE: Final[_Name] = ("dspex", "evaluate", "example", "stop")
"""One example has its outcome. Measurements: latency_s, score. Metadata: index, status."""

EVALUATE_STOP: Final[_Name] = ("dspex", "evaluate", "stop")
"""An evaluation has ended. Measurements: duration_s, score, total."""

OPTIMIZE_START: Final[_Name] = ("dspex", "optimize", "start")
"""An optimizer begins. Metadata: optimizer, program."""

BOOTSTRAP_EXAMPLE: Final[_Name] = ("dspex", "optimize", "bootstrap", "example")
"""A teacher's run on one example was judged. Metadata: index, accepted."""

OPTIMIZE_STOP: Final[_Name] = ("dspex", "optimize", "stop")
"""An optimizer has ended. Measurements: duration_s, calls."""

SETTINGS_CHANGED: Final[_Name] = ("dspex", "settings", "changed")
"""Settings were changed while the runtime runs. Metadata: table, changes (by name; no secret can be
changed so)."""

EVENTS: Final[tuple[_Name, ...]] = (
    PROGRAM_START,
    PROGRAM_STOP,
    PROGRAM_EXCEPTION,
    PARSE,
    REPAIR,
    TOOL_START,
    TOOL_STOP,
    TOOL_EXCEPTION,
    INPUT_QUARANTINED,
    LM_START,
    LM_RETRY,
    LM_STOP,
    LM_EXCEPTION,
    CACHE_HIT,
    CACHE_MISS,
    CACHE_FAULT,
    LIMITER_WAIT,
    LIMITER_PAUSE,
    BUDGET_REFUSED,
    BREAKER_STATE,
    EVALUATE_START,
    EVALUATE_EXAMPLE,
    EVALUATE_STOP,
    OPTIMIZE_START,
    BOOTSTRAP_EXAMPLE,
    OPTIMIZE_STOP,
    SETTINGS_CHANGED,
)
"""All of them."""
