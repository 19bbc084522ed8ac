"""Scoring a program on a dataset, and comparing two such scores.

- `evaluate` runs a program over examples, so many at a time, and returns a `Report`.
- An `Outcome` is what became of one example; it goes to a `Sink` the moment it exists.
- A metric is any function of example and prediction; those here are values that can be saved.
- `compare` tells whether one report is better than another, example by example.
- An `Executor` runs the examples: tasks of this event loop, or whatever speaks its protocol.

Invariants. An outage is no score: `unavailable` is kept apart from `failed`, run once more, and
left out. A score of fewer than all examples says so wherever it is printed. Examples share nothing:
each has a supervised task, a deadline, a scope and a meter of its own. Memory is that of
`max_concurrency` examples and about thirty bytes for each outcome, however long the dataset.

How it fails. Wrong options and an unusable dataset raise before anything is called. Whatever a
program or a metric raises is that example's outcome. A run that must stop early, because of
`max_errors`, a spent budget, a sink or a dataset that fails half-way, returns what it has, and its
report says why. Cancelling `evaluate` ends its tasks and brings what the sinks hold to safety.
"""

from __future__ import annotations

from dspex.evaluation.comparison import Comparison, Flip, compare
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.executor import Executor, LocalExecutor
from dspex.evaluation.metrics import (
    Metric,
    Score,
    contains,
    exact_match,
    f1,
    passage_match,
)
from dspex.evaluation.outcome import Failure, Outcome, Status
from dspex.evaluation.progress import Progress
from dspex.evaluation.report import Counts, Report
from dspex.evaluation.sink import JsonlSink, MemorySink, Sink, read_outcomes

__all__ = (
    "Comparison",
    "Counts",
    "Executor",
    "Failure",
    "Flip",
    "JsonlSink",
    "LocalExecutor",
    "MemorySink",
    "Metric",
    "Outcome",
    "Progress",
    "Report",
    "Score",
    "Sink",
    "Status",
    "compare",
    "contains",
    "evaluate",
    "exact_match",
    "f1",
    "passage_match",
    "read_outcomes",
)
