"""A report on a screen: a name and a line for each thing there is to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex.evaluation.text import count, duration, excerpt, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dspex.evaluation.report import Report

__all__ = ("summary",)


def summary(report: Report, *, width: int | None = None) -> str:
    """Return the table of a report; lines longer than `width` go on below themselves."""
    sections: tuple[Callable[[Report], Iterator[tuple[str, str]]], ...] = (
        _score_rows,
        _time_rows,
        _usage_rows,
        _error_rows,
    )
    return rows(
        f"{report.program}  by {report.metric}",
        [pair for section in sections for pair in section(report)],
        width=width,
    )


def _score_rows(report: Report) -> Iterator[tuple[str, str]]:
    yield "score", _score_text(report)
    if report.clusters is not None:
        error = "unknown" if report.stderr is None else f"{report.stderr:.4f}"
        yield "error", f"{error}, standard error over {count(report.clusters, 'cluster')}"

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
