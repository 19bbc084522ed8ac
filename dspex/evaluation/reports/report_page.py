"""A report as one page: what it scored, how sure that is, what went wrong, what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from dspex.evaluation.reports.cards import card, labelled
from dspex.evaluation.reports.charts import histogram
from dspex.evaluation.reports.markup import Html, join, page, tag
from dspex.evaluation.reports.overview import overview, score_text
from dspex.evaluation.reports.style import STYLE
from dspex.evaluation.reports.values import against, shown
from dspex.evaluation.text import count, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dspex.evaluation.report import Report
    from dspex.evaluation.reports.fields import FieldDifference
    from dspex.evaluation.reports.gathering import Gathered, Shown
    from dspex.evaluation.tally import ErrorGroup
    from dspex.signatures.example import Example

__all__ = ("report_page",)

_Section: TypeAlias = tuple[str, str, Html]
"""Where a link leads, what it says, and what is there."""


def report_page(report: Report, examples: Iterable[Example] | None = None) -> Html:
    """Return the page of a report; with `examples`, what was asked and expected is on it."""
    # Here and not above: numpy takes its time to load.
    from dspex.evaluation.reports.gathering import gather

    gathered = gather(report, examples)
    sections = [found for found in _sections(report, gathered) if found is not None]
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, title, _ in sections]
    return page(
        f"{score_text(report)} {report.program}",
        STYLE,
        tag("a", "Skip to the results", href="#overview", class_="skip"),
        tag(
            "header",
            tag("p", "Evaluation", class_="kicker"),
            tag("h1", report.program),
            tag("p", "scored by ", tag("code", report.metric), class_="by"),
            _banner(report),
        ),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        tag("main", *(content for _, _, content in sections)),
        tag("footer", *_origin(report, gathered)),
    )


def _sections(report: Report, gathered: Gathered) -> Iterator[_Section | None]:
    yield "overview", "Overview", overview(report)
    yield _distribution(report, gathered)
    yield _errors(report)
    yield _fields(gathered, examples=len(report.columns))
    ended_badly = report.counts.failed + report.counts.unavailable
    yield _examples(
        "failed",
        "Without a score",
        gathered.failed,
        f"{len(gathered.failed):,} of {ended_badly:,} shown, each kind of error among them.",
    )
    yield _examples(
        "lowest",
        "Lowest scores",
        gathered.lowest,
        f"{len(gathered.lowest):,} of {gathered.below:,} examples below the best score shown, "
        "lowest first.",
    )
    yield _examples(
        "slowest", "Slowest", gathered.slowest, f"The {len(gathered.slowest):,} that took longest."
    )


def _distribution(report: Report, gathered: Gathered) -> _Section | None:
    if not gathered.score_bins and not gathered.latency_bins:
        return None

    parts: list[Html] = []
    if gathered.score_bins:
        chart = histogram(
            gathered.score_bins, "{:.2g}".format, describe="How many examples score what"
        )
        note = tag("p", "How many examples count what.", class_="note")
        parts.append(tag("div", tag("h2", "Scores"), note, chart, class_="card"))

    if gathered.latency_bins and (latency := report.latency) is not None:
        marks = [("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99)]
        chart = histogram(
            gathered.latency_bins, duration, describe="How many examples took how long", marks=marks
        )
        told = f"Mean {duration(latency.mean)}, longest {duration(latency.max)}."
        note = tag("p", told, class_="note")
        parts.append(tag("div", tag("h2", "Latency"), note, chart, class_="card"))

    title = "Distribution"
    return "distribution", title, tag("section", *parts, class_="pair", id="distribution")


def _errors(report: Report) -> _Section | None:
    if not report.errors:
        return None

    by_count = sorted(report.errors.items(), key=lambda item: -item[1].count)
    total = sum(group.count for _, group in by_count)
    note = f"{count(total, 'error')} of {count(len(by_count), 'kind')}. The first of each is shown."
    rows = [_error(name, group, by_count[0][1].count) for name, group in by_count]
    return "errors", "Errors", _section("errors", "Errors by class", note, *rows)


def _error(name: str, group: ErrorGroup, most: int) -> Html:
    outage = group.unavailable == group.count
    head = tag(
        "summary",
        tag("span", name, class_="index mono"),
        tag("span", "outage", class_="pill w") if outage else None,
        tag("span", group.samples[0].message if group.samples else "", class_="what"),
        tag("span", f"{group.count:,}", class_="right"),
    )
    bar = tag(
        "div",
        tag("b", class_="w" if outage else "b", style=f"width:{100 * group.count / most:.4g}%"),
        class_="share",
        aria_hidden="true",
    )
    samples = [
        labelled(
            f"#{sample.index}",
            shown(sample.message, bad=True),
            tag("code", sample.correlation_id, class_="label"),
        )
        for sample in group.samples
    ]
    return tag("details", head, tag("div", bar, *samples, class_="body"))


def _fields(gathered: Gathered, *, examples: int) -> _Section | None:
    if not gathered.fields:
        return None

    note = (
        f"Predicted against expected, as exact_match sees it, in "
        f"{count(gathered.compared, 'scored example')}"
    )
    if gathered.compared < examples:
        note += f" of {examples:,} that ended"

    rows = [_field(found) for found in gathered.fields]
    return "fields", "Fields", _section("fields", "Differences by field", f"{note}.", *rows)


def _field(found: FieldDifference) -> Html:
    share = found.equal / found.compared
    bar = tag("span", tag("b", class_="g", style=f"width:{100 * share:.4g}%"), class_="share")
    head = tag(
        "summary",
        tag("span", found.name, class_="index mono"),
        tag("span", bar, class_="what", aria_hidden="true"),
        tag("span", f"{share:.1%} as expected", class_="right"),
    )
    rows: list[Html] = []
    for mismatch in found.mismatches:
        wanted, given = against(mismatch.expected, mismatch.predicted)
        rows.append(labelled(f"#{mismatch.index} expected", wanted))
        rows.append(labelled("predicted", given))

    different = found.compared - found.equal
    told = f"{different:,} of {found.compared:,} differ."
    if len(found.mismatches) < different:
        told = f"{told} The first {len(found.mismatches)} are shown."

    return tag("details", head, tag("div", tag("p", told, class_="note"), *rows, class_="body"))


def _examples(name: str, title: str, items: list[Shown], note: str) -> _Section | None:
    if not items:
        return None

    return name, title, _section(name, title, note, *map(card, items))


def _section(name: str, title: str, note: str, *content: Html) -> Html:
    heading = tag("h2", title, id=f"{name}-title")
    return tag(
        "section",
        heading,
        tag("p", note, class_="note"),
        *content,
        class_="card",
        id=name,
        aria_labelledby=f"{name}-title",
    )


def _banner(report: Report) -> Html | None:
    if report.stopped_early is None:
        return None

    return tag(
        "p", tag("strong", "Stopped early: "), report.stopped_early, class_="banner", role="note"
    )


def _origin(report: Report, gathered: Gathered) -> Iterator[Html]:
    facts = [f"seed {report.seed}"]
    facts += [f"program {report.program_digest}"] if report.program_digest else []
    facts += [f"run {report.run_id}"] if report.run_id else []
    facts += [f"{report.resumed:,} from an earlier session"] if report.resumed else []
    yield tag("p", tag("span", " · ".join(facts), class_="mono"))
    if gathered.fields is None:
        text = "Made without the dataset: to_html(path, examples=...) also shows what was asked."
        yield tag("p", text)

    if gathered.unreadable:
        text = f"{count(gathered.unreadable, 'outcome')} could not be kept, and cannot be shown."
        yield join(tag("p", text))
