"""What scores say about the program, and how sure one may be. Pure functions over arrays.

Which interval fits depends on the scores. Right-or-wrong scores get Wilson's, which stays inside
[0, 1] and does not collapse when all are right. Scores that are all equal have no spread to
estimate from: there the interval comes from how large a share of other scores the sample could
have missed. Skewed scores get a bootstrap, all others Student's t on the mean.

Examples may come in clusters: questions about one document, tickets of one customer. Those of one
cluster tell less than as many independent ones, and every figure here takes that into account when
it is told which example is in which cluster.

Invariants. Nothing here draws randomness of its own: what is random has a seed. Arrays are one
value per example, shape (n,), and are never written to. The order of examples does not matter.

Importing this loads numpy and scipy.
"""

from __future__ import annotations

from dspex.evaluation.statistics.bootstrap import bca_interval
from dspex.evaluation.statistics.clustered import Grouping
from dspex.evaluation.statistics.intervals import (
    Interval,
    equal_scores_interval,
    is_binary,
    t_interval,
    wilson_interval,
)
from dspex.evaluation.statistics.summary import (
    Percentiles,
    Summary,
    is_skewed,
    percentiles,
    present,
    spread_interval,
    summarize,
)

__all__ = (
    "Grouping",
    "Interval",
    "Percentiles",
    "Summary",
    "bca_interval",
    "equal_scores_interval",
    "is_binary",
    "is_skewed",
    "percentiles",
    "present",
    "spread_interval",
    "summarize",
    "t_interval",
    "wilson_interval",
)
