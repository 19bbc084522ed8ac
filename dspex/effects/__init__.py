"""The gate for everything that is not deterministic, and the scope of a running call.

One `ContextVar` holds one `CallScope`: where in a program we are, which runtime serves it, its
deadline, budget, meter, trace and gate. Each concurrent branch gets a scope of its own, whose path
is fixed by its place (trial 3 / example 17 / predictor draft) and never by when it ran.

Whatever a program or an optimizer cannot compute from its inputs comes through the scope's `Gate`:
model calls, tools, clock, randomness, sleep. The live gate, the default, lets everything through. A
job sets one that journals what came through and, after a crash, answers from the journal.
"""

from __future__ import annotations

from dspex.effects.ambient import new_correlation_id, now_s, random, sleep, uuid4
from dspex.effects.draining import Draining, current_draining, enter_draining
from dspex.effects.fanout import map
from dspex.effects.finding import announce_runtime, find_runtime, retract_runtime
from dspex.effects.gate import LIVE, Effect, Gate, LiveGate
from dspex.effects.scoping import (
    BudgetLease,
    BudgetSource,
    CallScope,
    Ordinals,
    ResultCache,
    RuntimeHandle,
    Trace,
    TraceEntry,
    current,
    enter,
    scope,
)

__all__ = (
    "LIVE",
    "BudgetLease",
    "BudgetSource",
    "CallScope",
    "Draining",
    "Effect",
    "Gate",
    "LiveGate",
    "Ordinals",
    "ResultCache",
    "RuntimeHandle",
    "Trace",
    "TraceEntry",
    "announce_runtime",
    "current",
    "current_draining",
    "enter",
    "enter_draining",
    "find_runtime",
    "map",
    "new_correlation_id",
    "now_s",
    "random",
    "retract_runtime",
    "scope",
    "sleep",
    "uuid4",
)
