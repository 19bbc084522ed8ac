"""Metrics: what an answer is worth.

A metric is called with the example and the prediction, and with the trace of the run if it requires
a third argument; it is sync or async and returns a bool, a number, or a `Score` with feedback in
words. A third argument with a default, as in `def metric(example, prediction, trace=None)`, is left
to its default by `evaluate` and filled in by optimizers: such metrics tell the two apart by it.

- `exact_match`, `contains`, `f1` and `passage_match` compare a field with the right answers.
- `judge` and `semantic_f1` ask a model, by a program that can be optimized like any other.
- `weighted`, `all_of`, `any_of` and `minimum` make one metric of several.
- `PreparedMetric` is how all of them are called.

Invariants. The metrics here are values: they can be compared, printed, saved in a recipe and run
elsewhere. None changes an answer that it judges.

How it fails. A metric that cannot be called with an example and a prediction is refused before the
run. One that raises, or returns no finite number, fails its example alone; the outcome says that it
was the metric and not the program.
"""

from __future__ import annotations

from dspex.evaluation.metrics.combining import (
    AllOf,
    AnyOf,
    Minimum,
    Weighted,
    all_of,
    any_of,
    minimum,
    weighted,
)
from dspex.evaluation.metrics.fields import (
    F1,
    Contains,
    ExactMatch,
    PassageMatch,
    contains,
    exact_match,
    f1,
    passage_match,
)
from dspex.evaluation.metrics.judging import Judge, JudgeMetric, judge
from dspex.evaluation.metrics.prepared import Judgement, Metric, PreparedMetric, Score, metric_name
from dspex.evaluation.metrics.semantic import SemanticF1, SemanticF1Metric, semantic_f1
from dspex.evaluation.metrics.words import normalize_answer

__all__ = (
    "F1",
    "AllOf",
    "AnyOf",
    "Contains",
    "ExactMatch",
    "Judge",
    "JudgeMetric",
    "Judgement",
    "Metric",
    "Minimum",
    "PassageMatch",
    "PreparedMetric",
    "Score",
    "SemanticF1",
    "SemanticF1Metric",
    "Weighted",
    "all_of",
    "any_of",
    "contains",
    "exact_match",
    "f1",
    "judge",
    "metric_name",
    "minimum",
    "normalize_answer",
    "passage_match",
    "semantic_f1",
    "weighted",
)
