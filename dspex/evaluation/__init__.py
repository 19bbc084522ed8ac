"""Scoring a program on a dataset, and comparing two such scores.

- `evaluate` runs a program over examples, so many at a time, and returns a `Report`; `Evaluation`
  does the same and gives the outcomes one by one, as they come.
- An `Outcome` is what became of one example; it goes to a `Sink` the moment it exists. A `RunFile`
  is a sink that the run can be resumed from, after whatever ended it.
- A `Reducer` makes one score of those of several epochs.
- A metric is any function of example and prediction; those here are values that can be saved.
- `compare` tells whether one report is better than another, example by example; `EarlyStop` when a
  candidate is not worth running on.
- `load_dataset` reads examples from files and tables.
- An `Executor` runs the examples: tasks of this event loop, or whatever speaks its protocol.

Invariants. An outage is no score: `unavailable` is kept apart from `failed`, run again, and left
out. A score of fewer than all examples says so wherever it is printed. Examples share nothing: each
has a supervised task, a deadline, a scope and a meter of its own. Memory is that of
`max_concurrency` examples and about thirty bytes for each outcome, however long the dataset. What a
run file holds is not called again.

How it fails. Wrong options and an unusable dataset raise before anything is called. Whatever a
program or a metric raises is that example's outcome. A run that must stop early, because of
`max_errors`, a spent budget, a sink or a dataset that fails half-way, returns what it has, and its
report says why. Cancelling `evaluate` ends its tasks and brings what the sinks hold to safety.
A signal under `dspex.run` first lets what is in flight come home.
"""

from __future__ import annotations

from dspex.evaluation.clusters import ClusterKey
from dspex.evaluation.comparison import Comparison, Flip, compare
from dspex.evaluation.datasets import RowDataset, TableDataset, load_dataset
from dspex.evaluation.evaluator import Evaluation, evaluate
from dspex.evaluation.executor import Executor, LocalExecutor
from dspex.evaluation.metrics import (
    Judge,
    Metric,
    Score,
    SemanticF1,
    all_of,
    any_of,
    contains,
    exact_match,
    f1,
    judge,
    minimum,
    passage_match,
    semantic_f1,
    weighted,
)
from dspex.evaluation.outcome import Failure, Outcome, Status
from dspex.evaluation.progress import Progress
from dspex.evaluation.reducers import AtLeast, PassAt, Reducer, at_least, pass_at
from dspex.evaluation.report import Counts, Report
from dspex.evaluation.run_file import Resumable, RunFile, read_run
from dspex.evaluation.sink import JsonlSink, MemorySink, Sink, read_outcomes
from dspex.evaluation.stopping import EarlyStop, Standing

__all__ = (
    "AtLeast",
    "ClusterKey",
    "Comparison",
    "Counts",
    "EarlyStop",
    "Evaluation",
    "Executor",
    "Failure",
    "Flip",
    "JsonlSink",
    "Judge",
    "LocalExecutor",
    "MemorySink",
    "Metric",
    "Outcome",
    "PassAt",
    "Progress",
    "Reducer",
    "Report",
    "Resumable",
    "RowDataset",
    "RunFile",
    "Score",
    "SemanticF1",
    "Sink",
    "Standing",
    "Status",
    "TableDataset",
    "all_of",
    "any_of",
    "at_least",
    "compare",
    "contains",
    "evaluate",
    "exact_match",
    "f1",
    "judge",
    "load_dataset",
    "minimum",
    "pass_at",
    "passage_match",
    "read_outcomes",
    "read_run",
    "semantic_f1",
    "weighted",
)
