"""Optimizers: from a program and examples to a better program.

- `Optimizer` is the base: settings as a value, and `await optimizer.compile(student,
  trainset=...)`, which returns a changed copy with its `provenance`.
- `LabeledFewShot` shows examples as they are; `BootstrapFewShot` shows the runs of a teacher that
  the metric accepted.
- `Scan` is the ordered window: attempts run at the same time, and the result is that of going one
  by one.

Invariants. An optimizer is deterministic code: time, randomness, concurrency and calls come from
`effects` alone, so its result depends on settings and answers, never on when an answer came, and it
can be replayed. An outage is not a wrong answer: what was unavailable is tried again, then set
aside and counted by itself.

How it fails. A trainset that cannot be used is a `DatasetError` that names example and field before
the first call is paid for; too many failures are an `OptimizerError` with the last one as cause.
"""

from __future__ import annotations

from dspex.optimizers.bootstrap import BootstrapFewShot
from dspex.optimizers.labeled import LabeledFewShot
from dspex.optimizers.optimizer import Optimizer
from dspex.optimizers.window import Scan, scan

__all__ = ("BootstrapFewShot", "LabeledFewShot", "Optimizer", "Scan", "scan")
