"""The top of a report's page: the score, how sure it is, and what the run took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex.evaluation.reports.charts import interval_chart
from dspex.evaluation.reports.markup import Html, tag
from dspex.evaluation.text import count, duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex.evaluation.report import Report

__all__ = ("overview", "score_text")


def overview(report: Report) -> Html:
    """Return the section that a page begins with."""
    chart = None
    if report.score == report.score:
        interval = report.interval
        bounds = (0.0, 1.0) if interval is None else (interval.low, interval.high)
        chart = interval_chart(
            report.score,
            interval,
            min(0.0, report.score, bounds[0]),
            max(1.0, report.score, bounds[1]),
            describe=f"Score {score_text(report)}, {_certainty(report)}",
        )

    hero = tag(
        "div",
        tag(
            "div",
            tag("div", score_text(report), class_="score"),
            tag("p", _certainty(report), class_="note"),
        ),
        tag("div", chart, class_="chart"),
        class_="hero",
    )
    card = tag("div", hero, *_ends(report), class_="card")
    return tag("section", card, _facts(report), id="overview", aria_label="Overview")


def score_text(report: Report) -> str:
    """Return the score as it is printed large."""
    return "no score" if report.score != report.score else f"{report.score:.3f}"


def _certainty(report: Report) -> str:
    parts: list[str] = []
    if report.interval is not None:
        low, high = report.interval.low, report.interval.high
        parts.append(f"95 % interval {low:.3f} to {high:.3f} ({report.interval.method})")

    if report.stderr is not None:
        clusters = "" if report.clusters is None else f" over {count(report.clusters, 'cluster')}"
        parts.append(f"standard error {report.stderr:.4f}{clusters}")

    if report.coverage < 1:
        parts.append(f"over {report.coverage:.1%} of the examples")

    return ", ".join(parts) or "nothing is known of its error"


def _ends(report: Report) -> Iterator[Html]:
    counts = report.counts
    worth = "left out" if report.failure_score is None else f"counted {report.failure_score:g}"
    parts = [
        ("g", counts.scored, "scored"),
        ("b", counts.failed, f"failed ({worth})"),
        ("w", counts.unavailable, "unavailable (left out)"),
        ("i", counts.not_run, "not run"),
    ]
    there = [part for part in parts if part[1]]
    yield tag(
        "div",
        *(tag("span", class_=colour, style=f"flex:{number}") for colour, number, _ in there),
        class_="stack",
        aria_hidden="true",
    )
    yield tag(
        "ul",
        *(
            tag("li", tag("i", class_=colour), f"{number:,} {name}")
            for colour, number, name in there
        ),
        tag("li", f"{counts.total:,} in all"),
        class_="legend",
    )


def _facts(report: Report) -> Html:
    return tag("dl", *(_fact(*fact) for fact in _figures(report)), class_="facts")


def _fact(name: str, value: str, more: str = "") -> Html:
    return tag("div", tag("dt", name), tag("dd", value, tag("small", more) if more else None))


def _figures(report: Report) -> Iterator[tuple[str, str] | tuple[str, str, str]]:
    usage, latency = report.usage, report.latency
    yield "Coverage", f"{report.coverage:.1%}"
    ended = (report.counts.total - report.counts.not_run) * report.epochs - report.resumed
    rate = f"{ended / report.duration_s:,.1f} a second" if report.duration_s > 0 < ended else ""
    yield "Time", duration(report.duration_s), rate
    if latency is not None:
        more = f"p90 {duration(latency.p90)} · p99 {duration(latency.p99)}"
        yield "Median latency", duration(latency.p50), more

    cost = "unknown" if usage.cost_usd is None else f"${usage.cost_usd:,.4f}"
    yield "Cost", cost, "" if usage.cost_usd is not None else "a model has no price"
    tokens = f"{usage.input_tokens:,} in · {usage.output_tokens:,} out"
    yield "Tokens", f"{usage.total_tokens:,}", tokens
    yield "Model calls", f"{usage.calls:,}", f"{usage.failed_attempts:,} failed tries"
    asked = usage.calls + usage.cache_hits
    share = f"{usage.cache_hits / asked:.0%} of {asked:,}" if asked else ""
    yield "From the cache", f"{usage.cache_hits:,}", share
    yield "Run again", f"{report.retried:,}", "had been unavailable"
    if report.epochs > 1:
        rest = f"; {report.partial:,} with fewer" if report.partial else ""
        yield "Epochs", f"{report.epochs}", f"reduced by {report.reduce}{rest}"
