"""The names of every event, in the order in which a run meets them.

Measurements and metadata that each carries stand beside it; the metadata of what happens in a call
or a program hold its `correlation_id`, too.
"""

from __future__ import annotations

from typing import Final, TypeAlias

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

_Name: TypeAlias = tuple[str, ...]

PROGRAM_START: Final[_Name] = ("dspex", "program", "start")
"""A program is called. Metadata: program, path."""

PROGRAM_STOP: Final[_Name] = ("dspex", "program", "stop")
"""It gave its prediction. Measurements: duration_s."""

PROGRAM_EXCEPTION: Final[_Name] = ("dspex", "program", "exception")
"""It raised. Measurements: duration_s. Metadata: error."""

REPAIR: Final[_Name] = ("dspex", "program", "repair")
"""An answer could not be read and the model is shown why. Metadata: program, error."""

LM_START: Final[_Name] = ("dspex", "lm", "request", "start")
"""A model call begins. Metadata: endpoint, model."""

LM_RETRY: Final[_Name] = ("dspex", "lm", "request", "retry")
"""One try failed and another follows. Measurements: delay_s, failures. Metadata: error."""

LM_STOP: Final[_Name] = ("dspex", "lm", "request", "stop")
"""The model answered. Measurements: duration_s, input_tokens, output_tokens, failed_attempts."""

LM_EXCEPTION: Final[_Name] = ("dspex", "lm", "request", "exception")
"""The call failed for good. Measurements: duration_s, failed_attempts. Metadata: error."""

CACHE_HIT: Final[_Name] = ("dspex", "cache", "hit")
"""The cache had the answer. Metadata: endpoint, model."""

CACHE_MISS: Final[_Name] = ("dspex", "cache", "miss")
"""It did not; an equal call under way may still answer. Metadata: endpoint, model."""

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
