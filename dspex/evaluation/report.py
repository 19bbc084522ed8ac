"""The result of an evaluation: the score, how sure it is, and what it took."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from dspex.evaluation.columns import NOT_STORED
from dspex.evaluation.outcome import Outcome, Status
from dspex.evaluation.text import count, duration, excerpt, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from decimal import Decimal

    from dspex.evaluation.columns import Columns
    from dspex.evaluation.sink import Store
    from dspex.evaluation.statistics import Interval, Percentiles
    from dspex.evaluation.tally import ErrorGroup
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
        }

    def to_json(self) -> str:
        """Return `to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        sections: tuple[Callable[[Report], Iterator[tuple[str, str]]], ...] = (
            _score_rows,
            _time_rows,
            _usage_rows,
            _error_rows,
        )
        return rows(
            f"{self.program}  by {self.metric}",
            [pair for section in sections for pair in section(self)],
        )


def _score_rows(report: Report) -> Iterator[tuple[str, str]]:
    yield "score", _score_text(report)
    counts = report.counts
    worth = (
        " (left out)" if report.failure_score is None else f" (counted {report.failure_score:g})"
    )
    parts = [f"{counts.scored:,} scored"]
    parts += [f"{counts.failed:,} failed{worth}"] if counts.failed else []
    parts += [f"{counts.unavailable:,} unavailable"] if counts.unavailable else []
    parts += [f"{counts.not_run:,} not run"] if counts.not_run else []
    yield "examples", f"{counts.total:,}: {', '.join(parts)}"
    if report.epochs > 1:
        rest = f", {count(report.partial, 'example')} with fewer" if report.partial else ""
        yield "epochs", f"{report.epochs}, reduced by {report.reduce}{rest}"

    if report.resumed:
        yield "resumed", f"{report.resumed:,} from an earlier session of {report.run_id!r}"

    if report.stopped_early is not None:
        yield "stopped", report.stopped_early


def _score_text(report: Report) -> str:
    if report.score != report.score:
        return "none: no example counts"

    text = f"{report.score:.3f}"
    if report.interval is not None:
        low, high = report.interval.low, report.interval.high
        text += f"  95 % [{low:.3f}, {high:.3f}] ({report.interval.method})"

    if report.coverage < 1:
        text += f"  over {report.coverage:.1%} of the examples"

    return text


def _time_rows(report: Report) -> Iterator[tuple[str, str]]:
    ended = (report.counts.total - report.counts.not_run) * report.epochs - report.resumed
    rate = f", {ended / report.duration_s:,.1f} examples/s" if report.duration_s > 0 < ended else ""
    yield "time", f"{duration(report.duration_s)}{rate}"
    if (latency := report.latency) is not None:
        shown = (("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99))
        parts = [f"{name} {duration(value)}" for name, value in (*shown, ("max", latency.max))]
        yield "latency", "  ".join(parts)


def _usage_rows(report: Report) -> Iterator[tuple[str, str]]:
    usage = report.usage
    if not usage.calls and not usage.cache_hits:
        return

    parts = [count(usage.calls, "model call")]
    parts += [f"{usage.cache_hits:,} from the cache"] if usage.cache_hits else []
    parts += [count(usage.failed_attempts, "failed try")] if usage.failed_attempts else []
    parts += [f"{count(report.retried, 'example')} run again"] if report.retried else []
    yield "calls", ", ".join(parts).replace("trys", "tries")
    cost = "unknown price" if usage.cost_usd is None else f"${usage.cost_usd:.4f}"
    yield "tokens", f"{usage.input_tokens:,} in, {usage.output_tokens:,} out, {cost}"


def _error_rows(report: Report) -> Iterator[tuple[str, str]]:
    by_count = sorted(report.errors.items(), key=lambda item: -item[1].count)
    for place, (name, group) in enumerate(by_count[:5]):
        sample = group.samples[0] if group.samples else None
        shown = "" if sample is None else f"  e.g. {sample.index}: {excerpt(sample.message)}"
        yield "" if place else "errors", f"{group.count:,} {name}{shown}"

    if len(by_count) > 5:
        yield "", f"and {len(by_count) - 5} more kinds"


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
