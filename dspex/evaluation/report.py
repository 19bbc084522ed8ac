"""The result of an evaluation: the score, how sure it is, and what it took."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from dspex.evaluation.columns import NOT_STORED
from dspex.evaluation.outcome import Outcome, Status
from dspex.evaluation.reports import (
    plot,
    report_page,
    summary,
    write_csv,
    write_parquet,
    write_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal
    from os import PathLike

    from dspex.evaluation.columns import Columns
    from dspex.evaluation.sink import Store
    from dspex.evaluation.statistics import Interval, Percentiles
    from dspex.evaluation.tally import ErrorGroup
    from dspex.signatures.example import Example
    from dspex.usage import Usage

__all__ = ("Counts", "Outcomes", "Report")


@dataclass(frozen=True, slots=True)
class Counts:
    """How the examples ended. `total` are all that were to be run, also those a stop left out."""

    scored: int
    failed: int
    unavailable: int
    total: int

    @property
    def not_run(self) -> int:
        """Examples that an early stop left out."""
        return self.total - self.scored - self.failed - self.unavailable


class Outcomes:
    """The outcomes of a run in dataset order, read from where they are stored while iterating."""

    __slots__ = ("_columns", "_store")

    def __init__(self, columns: Columns, store: Store) -> None:
        self._columns = columns
        self._store = store

    def __iter__(self) -> Iterator[Outcome]:
        return self.ended(*Status)

    def __len__(self) -> int:
        return sum(1 for _ in self._stored(*Status))

    def __repr__(self) -> str:
        return f"<Outcomes {len(self):,} in {self._store!r}>"

    def at(self, *indices: int) -> Iterator[Outcome]:
        """Return the outcomes of these examples; one that has none raises LookupError."""
        for index in indices:
            if self._columns.status(index) is None:
                raise LookupError(f"example {index} has no outcome")

            if self._columns.place(index) == NOT_STORED:
                raise LookupError(f"the outcome of example {index} could not be kept")

        return self._read(indices)

    def ended(self, *statuses: Status) -> Iterator[Outcome]:
        """Return the outcomes that ended in one of `statuses`."""
        return self._read(self._stored(*statuses))

    def _stored(self, *statuses: Status) -> Iterator[int]:
        columns = self._columns
        return (i for i in columns.indices(*statuses) if columns.place(i) != NOT_STORED)

    def _read(self, indices: Iterable[int]) -> Iterator[Outcome]:
        return self._store.read(self._columns.place(index) for index in indices)


@dataclass(frozen=True, slots=True)
class Report:
    """What `evaluate` returns.

    `score` is the mean of the metric over the examples that count: those scored, and those failed
    unless failures were skipped. NaN if none counts. `coverage` is their share of all examples; a
    score of less than all of them is never printed without it. `stderr` and `interval` are None
    where the sample does not allow them. `latency` covers every example that ended. `usage` covers
    retries too. `stopped_early` says why the run ended before its dataset; None: it did not.

    Where examples were run in several `epochs`, everything is said of whole examples, but for
    `errors`, `latency` and `usage`, which cover every single run; `partial` examples count although
    an epoch of them is missing. `resumed` runs came from an earlier session of `run_id`, whose time
    is not in `duration_s`. `seed` is that of the evaluation.

    Where examples come in `clusters`, so many that count, `stderr` and `interval` take each cluster
    for one observation.
    """

    program: str
    metric: str
    _: KW_ONLY
    score: float
    stderr: float | None
    interval: Interval | None
    counts: Counts
    coverage: float
    errors: Mapping[str, ErrorGroup]
    usage: Usage
    latency: Percentiles | None
    duration_s: float
    retried: int
    failure_score: float | None
    stopped_early: str | None
    program_digest: str | None = None
    epochs: int = 1
    reduce: str = "mean"
    partial: int = 0
    run_id: str | None = None
    resumed: int = 0
    seed: int = 0
    clusters: int | None = None
    columns: Columns = field(repr=False, compare=False)
    store: Store = field(repr=False, compare=False)

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The bounds of the score's 95 % interval; `interval` also names the method."""
        return None if self.interval is None else (self.interval.low, self.interval.high)

    @property
    def cost_usd(self) -> Decimal | None:
        """What the model calls cost; None if a price is unknown."""
        return self.usage.cost_usd

    @property
    def cache_hits(self) -> int:
        """Model calls answered from the cache."""
        return self.usage.cache_hits

    @property
    def failed_attempts(self) -> int:
        """Tries of model calls that had to be repeated."""
        return self.usage.failed_attempts

    @property
    def outcomes(self) -> Outcomes:
        """Each outcome, in dataset order."""
        return Outcomes(self.columns, self.store)

    def failures(self) -> Iterator[Outcome]:
        """Return the outcomes without a score, in dataset order."""
        return self.outcomes.ended(Status.FAILED, Status.UNAVAILABLE)

    def slowest(self, count: int = 10) -> list[Outcome]:
        """Return the outcomes that took longest, slowest first."""
        latencies = self.columns.latencies
        by_latency = sorted(self.columns.indices(), key=lambda index: -latencies[index])
        return list(self.outcomes.at(*by_latency[:count]))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the outcomes as plain JSON data."""
        known = self.counts.total > self.counts.not_run and self.score == self.score
        return {
            "program": self.program,
            "program_digest": self.program_digest,
            "metric": self.metric,
            "score": self.score if known else None,
            "stderr": self.stderr,
            "ci95": None if self.ci95 is None else list(self.ci95),
            "ci95_method": None if self.interval is None else self.interval.method,
            "counts": _fields(self.counts) | {"not_run": self.counts.not_run},
            "coverage": self.coverage,
            "errors": {name: _error_dict(group) for name, group in self.errors.items()},
            "usage": self.usage.to_dict(),
            "latency_s": None if self.latency is None else _fields(self.latency),
            "duration_s": self.duration_s,
            "retried": self.retried,
            "failure_score": self.failure_score,
            "stopped_early": self.stopped_early,
            "epochs": self.epochs,
            "reduce": self.reduce,
            "partial": self.partial,
            "run_id": self.run_id,
            "resumed": self.resumed,
            "seed": self.seed,
            "clusters": self.clusters,
        }

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Return `to_dict` as text, and write it to `path` if there is one."""
        text = json.dumps(self.to_dict(), indent=2)
        if path is not None:
            write_text(path, text)

        return text

    def to_html(
        self, path: str | PathLike[str], *, examples: Iterable[Example] | None = None
    ) -> None:
        """Write a page that needs nothing but itself, and opens in any browser.

        It shows the score and how sure it is, how scores and latencies are distributed, errors by
        class, and single outcomes: without a score, with the lowest scores, the slowest. Of a
        million outcomes it shows a few dozen and counts the rest.

        Args:
            path: of the file; one that is there is replaced.
            examples: the dataset of the run, which the report does not hold: the page then shows
                what was asked and expected, and which fields differ. Read once, from the start.

        Raises:
            DatasetError: `examples` are not those of the run; names the first that differs.
            OSError: the file cannot be written.
        """
        write_text(path, report_page(self, examples))

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write a row per outcome; see `write_csv`."""
        write_csv(self, path)

    def to_parquet(self, path: str | PathLike[str]) -> None:
        """Write a row per outcome; needs the extra `data`, see `write_parquet`."""
        write_parquet(self, path)

    def plot(self, *, width: int | None = None, height: int = 12) -> str:
        """Return the distributions of scores and latencies, drawn for a terminal.

        Args:
            width: in columns; None is that of the terminal.
            height: of each drawing, in lines.
        """
        return plot(self, width=width, height=height)

    def table(self, *, width: int | None = None) -> str:
        """Return what `str` returns, in lines of at most `width` characters."""
        return summary(self, width=width)

    def __str__(self) -> str:
        return summary(self)


def _fields(value: Counts | Percentiles) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).__dataclass_fields__}


def _error_dict(group: ErrorGroup) -> dict[str, Any]:
    return {
        "count": group.count,
        "unavailable": group.unavailable,
        "samples": [
            {"index": s.index, "message": s.message, "correlation_id": s.correlation_id}
            for s in group.samples
        ],
    }
