"""A comparison as one page: the difference, how sure it is, and which examples flipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dspex.evaluation.reports.charts import interval_chart
from dspex.evaluation.reports.markup import Html, page, tag
from dspex.evaluation.reports.style import STYLE
from dspex.evaluation.text import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex.evaluation.comparison import Comparison, Flip

__all__ = ("comparison_page",)

_MAX_FLIPS: Final = 200
_COLOURS: Final = {"better": "g", "worse": "b"}


def comparison_page(found: Comparison) -> Html:
    """Return the page of a comparison."""
    return page(
        f"{found.difference:+.3f} {found.after}",
        STYLE,
        tag(
            "header",
            tag("p", "Comparison", class_="kicker"),
            tag("h1", f"{found.before} → {found.after}"),
            tag("p", "scored by ", tag("code", found.metric), class_="by"),
        ),
        tag("main", _verdict(found), _figures(found), _flips(found)),
        tag("footer"),
    )


def _verdict(found: Comparison) -> Html:
    interval = found.interval
    reach = max(0.1, *(abs(bound) for bound in (found.difference, *(found.ci95 or ()))))
    reach = min(1.0, reach * 1.25) if reach <= 1 else reach * 1.25
    told = "no interval" if interval is None else f"95 % interval by {interval.method}"
    chart = interval_chart(
        found.difference,
        interval,
        -reach,
        reach,
        mark=0.0,
        number="{:+.3f}".format,
        describe=f"Difference {found.difference:+.3f}, {told}",
    )
    colour = _COLOURS.get(found.verdict, "i")
    return tag(
        "section",
        tag(
            "div",
            tag(
                "div",
                tag("div", f"{found.difference:+.3f}", class_="score"),
                tag("p", tag("span", found.verdict, class_=f"pill {colour}")),
                tag("p", f"p {found.p_text} ({found.test}); {told}", class_="note"),
            ),
            tag("div", chart, class_="chart"),
            class_="hero",
        ),
        class_="card",
    )


def _figures(found: Comparison) -> Html:
    return tag("dl", *(_fact(*fact) for fact in _facts(found)), class_="facts")


def _fact(name: str, value: str, more: str = "") -> Html:
    return tag("div", tag("dt", name), tag("dd", value, tag("small", more) if more else None))


def _facts(found: Comparison) -> Iterator[tuple[str, str, str]]:
    yield "Score before", f"{found.score_before:.3f}", ""
    yield "Score after", f"{found.score_after:.3f}", ""
    clusters = "" if found.clusters is None else f" in {count(found.clusters, 'cluster')}"
    yield "Examples in both", f"{found.pairs:,}", clusters.strip()
    yield "Better", f"{found.improved:,}", ""
    yield "Worse", f"{found.worsened:,}", ""
    if found.missing:
        reach = "the range of scores is not known"
        if found.worst_case is not None:
            reach = f"over all {found.worst_case:+.3f} at worst, {found.best_case:+.3f} at best"

        yield "Missing", f"{found.missing:,}", reach

    if found.minimum_detectable is not None:
        yield "Found in 4 of 5 runs", f"{found.minimum_detectable:.3f}", "and larger differences"


def _flips(found: Comparison) -> Html | None:
    if not found.flipped:
        return None

    shown = found.flipped[:_MAX_FLIPS]
    note = f"{len(shown):,} of {found.improved + found.worsened:,} shown, largest changes first."
    head = tag(
        "tr", tag("th", "Example"), tag("th", "Before"), tag("th", "After"), tag("th", "Change")
    )
    table = tag("table", tag("thead", head), tag("tbody", *map(_flip, shown)))
    return tag(
        "section",
        tag("h2", "Examples that changed"),
        tag("p", note, class_="note"),
        tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="Changes"),
        class_="card",
    )


def _flip(flip: Flip) -> Html:
    change = flip.after - flip.before
    return tag(
        "tr",
        tag("td", f"#{flip.index}"),
        tag("td", f"{flip.before:.3g}"),
        tag("td", f"{flip.after:.3g}"),
        tag("td", tag("span", f"{change:+.3g}", class_=f"pill {'g' if change > 0 else 'b'}")),
    )
