"""What a page shows of a run: chosen from the narrow rows first, then read, within bounds.

However many outcomes there are, a page holds a few dozen. Everything left out is counted.
Importing this loads numpy.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dspex.errors import DatasetError
from dspex.evaluation.outcome import Outcome, Status
from dspex.evaluation.reports.charts import Bin
from dspex.evaluation.reports.fields import FieldDifference, Fields
from dspex.evaluation.samples import counted
from dspex.evaluation.source import example_key
from dspex.evaluation.statistics import is_binary
from dspex.signatures.example import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dspex.evaluation.report import Report

__all__ = (
    "MAX_COMPARED",
    "MAX_FAILED",
    "MAX_LOWEST",
    "MAX_SLOWEST",
    "Gathered",
    "Shown",
    "gather",
    "latency_bins",
    "numbered",
    "score_bins",
)

MAX_FAILED: Final = 60
MAX_LOWEST: Final = 30
MAX_SLOWEST: Final = 10
MAX_COMPARED: Final = 20_000
_BINS: Final = 20


@dataclass(frozen=True, slots=True)
class Shown:
    """One outcome on a page, with its example where the dataset was given."""

    outcome: Outcome
    example: Example | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that a page needs besides the report's own figures.

    `lowest` are scored examples below the highest score, `below` of them in all. `fields` is None
    without the dataset; else `compared` of the outcomes were looked at for it.
    """

    score_bins: list[Bin]
    latency_bins: list[Bin]
    failed: list[Shown]
    lowest: list[Shown]
    slowest: list[Shown]
    below: int
    fields: list[FieldDifference] | None = None
    compared: int = 0
    unreadable: int = 0


@dataclass(slots=True)
class _Choice:
    """The indices of what is shown."""

    failed: list[int] = field(default_factory=list[int])
    lowest: list[int] = field(default_factory=list[int])
    slowest: list[int] = field(default_factory=list[int])
    below: int = 0

    @property
    def wanted(self) -> set[int]:
        return {*self.failed, *self.lowest, *self.slowest}


def gather(report: Report, examples: Iterable[Example] | None) -> Gathered:
    """Choose what a page of `report` shows, and read it.

    Args:
        report: of the run.
        examples: the dataset of the run; read once.

    Raises:
        DatasetError: it is another dataset than that of the run.
    """
    choice = _chosen(report)
    outcomes = {
        index: outcome
        for index in sorted(choice.wanted)
        if (outcome := _outcome(report, index)) is not None
    }
    found: dict[int, Example] = {}
    fields: Fields | None = None
    if examples is not None:
        found, fields = _look_through(report, examples, outcomes)

    def shown(indices: list[int]) -> list[Shown]:
        return [Shown(outcomes[i], found.get(i)) for i in indices if i in outcomes]

    return Gathered(
        score_bins(report),
        latency_bins(report),
        shown(choice.failed),
        shown(choice.lowest),
        shown(choice.slowest),
        choice.below,
        None if fields is None else fields.differences(),
        0 if fields is None else fields.compared,
        len(choice.wanted) - len(outcomes),
    )


def numbered(examples: object) -> Iterator[tuple[int, Example]]:
    """Return the examples of a dataset with their indices.

    Raises:
        DatasetError: it is none, or can only be read asynchronously.
    """
    if not isinstance(examples, Iterable):
        hint = ": an async dataset has to be read into a list first"
        raise DatasetError(
            f"examples is {examples!r}, and not an iterable of Examples"
            f"{hint if isinstance(examples, AsyncIterable) else ''}"
        )

    for index, example in enumerate(examples):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # checked below
        if not isinstance(example, Example):
            raise DatasetError(f"item {index} of examples is {example!r}, not an Example")

        yield index, example


def _look_through(
    report: Report, examples: Iterable[Example], outcomes: dict[int, Outcome]
) -> tuple[dict[int, Example], Fields]:
    found: dict[int, Example] = {}
    fields = Fields()
    step = max(1, -(-len(report.columns) // MAX_COMPARED))
    last = len(report.columns) - 1
    for index, example in numbered(examples):
        outcome = outcomes.get(index)
        if outcome is not None:
            found[index] = _checked(outcome, example)

        if index % step == 0 and report.columns.status(index) is Status.SCORED:
            outcome = outcome or _outcome(report, index)
            if outcome is not None:
                fields.compare(outcome, _checked(outcome, example))

        if index >= last:
            break

    return found, fields


def _checked(outcome: Outcome, example: Example) -> Example:
    key = example_key(outcome.index, example)
    if key != outcome.key:
        raise DatasetError(
            f"example {outcome.index}, {example!r}, is not the one of the report: its key is "
            f"{key}, and {outcome.key} was evaluated. Give the dataset of the run, in its order"
        )

    return example


def _outcome(report: Report, index: int) -> Outcome | None:
    try:
        (outcome,) = report.outcomes.at(index)
    except LookupError:
        return None

    return outcome


def _chosen(report: Report) -> _Choice:
    columns = report.columns
    of_kinds = [sample.index for group in report.errors.values() for sample in group.samples]
    failed = sorted(set(of_kinds))[:MAX_FAILED]
    known = set(failed)
    for index in columns.indices(Status.FAILED, Status.UNAVAILABLE):
        if len(failed) >= MAX_FAILED:
            break

        if index not in known:
            failed.append(index)

    scored = np.fromiter(columns.indices(Status.SCORED), dtype=np.int64)
    scores = np.frombuffer(columns.scores, dtype="f8")[scored] if len(scored) else np.empty(0)
    low = scores < max(1.0, float(scores.max())) if len(scores) else np.empty(0, dtype=bool)
    lowest = scored[low][np.argsort(scores[low], kind="stable")[:MAX_LOWEST]]
    return _Choice(sorted(failed), lowest.tolist(), _slowest(report), int(low.sum()))


def _slowest(report: Report) -> list[int]:
    latencies = _all_latencies(report)
    rows = np.flatnonzero(~np.isnan(latencies))
    order = np.argsort(-latencies[rows], kind="stable")[:MAX_SLOWEST]
    indices: list[int] = rows[order].tolist()
    return indices


def _all_latencies(report: Report) -> NDArray[np.float32]:
    column = report.columns.latencies
    return np.frombuffer(column, dtype="f4") if column else np.empty(0, dtype="f4")


def _latencies(report: Report) -> NDArray[np.float64]:
    latencies = _all_latencies(report)
    return np.asarray(latencies[~np.isnan(latencies)], dtype=np.float64)


def score_bins(report: Report) -> list[Bin]:
    """Return how many examples count what: a bar each for wrong and right, or twenty."""
    scores = counted(report.columns).scores
    if len(scores) == 0:
        return []

    if is_binary(scores):
        right = int(scores.sum())
        return [Bin(0, 0, len(scores) - right, "0"), Bin(1, 1, right, "1")]

    low, high = min(0.0, float(scores.min())), max(1.0, float(scores.max()))
    return _bins(scores, np.linspace(low, high, _BINS + 1))


def latency_bins(report: Report) -> list[Bin]:
    """Return how many examples took how long; the wider times are spread, the wider the bars."""
    latencies = _latencies(report)
    if len(latencies) == 0:
        return []

    low, high = float(latencies.min()), float(latencies.max())
    if high <= low:
        return [Bin(low, high, len(latencies))]

    if high / max(low, 1e-6) > 20:
        return _bins(latencies, np.geomspace(max(low, 1e-6), high, _BINS + 1))

    return _bins(latencies, np.linspace(low, high, _BINS + 1))


def _bins(values: NDArray[np.float64], edges: NDArray[np.float64]) -> list[Bin]:
    # Rounding may have put the outermost edges inside the values.
    inside = np.clip(values, edges[0], edges[-1])
    counts: list[Any] = np.histogram(inside, edges)[0].tolist()
    return [
        Bin(float(low), float(high), int(count))
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
