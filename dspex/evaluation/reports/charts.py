"""Pictures of numbers as SVG, drawn in the colours of the page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dspex.evaluation.reports.markup import Html, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dspex.evaluation.statistics import Interval

__all__ = ("Bin", "histogram", "interval_chart")

_WIDTH: Final = 520
_HEIGHT: Final = 200
_FOOT: Final = 34
_HEAD: Final = 32


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a histogram: from where to where, and how many.

    A `name` stands on the axis instead of both ends.
    """

    low: float
    high: float
    count: int
    name: str | None = None


def histogram(
    bins: Sequence[Bin],
    number: Callable[[float], str],
    *,
    describe: str,
    marks: Sequence[tuple[str, float]] = (),
) -> Html:
    """Return bars over an axis.

    Args:
        bins: from left to right.
        number: writes a place on the axis.
        describe: what is shown, for those who cannot see it.
        marks: named places, drawn as dashed lines; positions are interpolated within the bins.
    """
    step = _WIDTH / len(bins)
    peak = max((bin_.count for bin_ in bins), default=0) or 1
    parts = [_bar(place, bin_, step, peak, number) for place, bin_ in enumerate(bins)]
    parts += [_mark(name, _position(bins, value) * step) for name, value in marks]
    parts.append(_axis(bins, step, number))
    return _svg(describe, _HEIGHT, parts)


def _bar(
    place: int, bin_: Bin, step: float, peak: int, number: Callable[[float], str]
) -> list[Html]:
    room = _HEIGHT - _FOOT - _HEAD
    height = max(room * bin_.count / peak, 1.5 if bin_.count else 0)
    gap = min(step * 0.12, 6)
    top = _HEIGHT - _FOOT - height
    where = bin_.name or f"{number(bin_.low)} to {number(bin_.high)}"
    shown = [
        tag(
            "rect",
            x=round(place * step + gap / 2, 2),
            y=round(top, 2),
            width=round(step - gap, 2),
            height=round(height, 2),
            rx=2,
            class_="bar",
        ),
        tag("title", f"{where}: {bin_.count:,}"),
    ]
    label = f"{bin_.count:,}"
    if bin_.count and len(label) * 6.5 < step:
        middle = round(place * step + step / 2, 2)
        shown.append(
            tag("text", label, x=middle, y=round(top - 4, 2), text_anchor="middle", class_="strong")
        )

    return [tag("g", *shown)]


def _axis(bins: Sequence[Bin], step: float, number: Callable[[float], str]) -> list[Html]:
    base = _HEIGHT - _FOOT
    line = tag("line", x1=0, x2=_WIDTH, y1=base + 0.5, y2=base + 0.5, class_="axis")
    if any(bin_.name for bin_ in bins):
        names = [(place + 0.5, bin_.name or "") for place, bin_ in enumerate(bins)]
    else:
        edges = [(place, bin_.low) for place, bin_ in enumerate(bins)]
        edges.append((len(bins), bins[-1].high))
        every = max(1, math.ceil(len(bins) / 8))
        names = [
            (place, number(value))
            for place, value in edges
            if place % every == 0 and (place == len(bins) or len(bins) - place >= every * 0.8)
        ]
        if names[-1][0] != len(bins):
            names.append((len(bins), number(bins[-1].high)))

    return [line, *(_tick(place * step, text) for place, text in names)]


def _tick(x: float, text: str) -> Html:
    anchor = "start" if x <= 1 else "end" if x >= _WIDTH - 1 else "middle"
    return tag("text", text, x=round(x, 2), y=_HEIGHT - _FOOT + 16, text_anchor=anchor)


def _mark(name: str, x: float) -> list[Html]:
    anchor, shift = ("end", -4) if x > _WIDTH * 0.85 else ("start", 4)
    return [
        tag("line", x1=round(x, 2), x2=round(x, 2), y1=4, y2=_HEIGHT - _FOOT, class_="dash"),
        tag("text", name, x=round(x + shift, 2), y=12, text_anchor=anchor),
    ]


def _position(bins: Sequence[Bin], value: float) -> float:
    for place, bin_ in enumerate(bins):
        if value <= bin_.high:
            width = bin_.high - bin_.low
            return place + (max(0.0, value - bin_.low) / width if width else 0.5)

    return float(len(bins))


def interval_chart(
    value: float,
    interval: Interval | None,
    low: float,
    high: float,
    *,
    describe: str,
    mark: float | None = None,
    number: Callable[[float], str] = "{:.3f}".format,
) -> Html:
    """Return a number on a scale from `low` to `high`, with its interval as a band."""
    span = high - low or 1.0

    def at(place: float) -> float:
        return round(min(1.0, max(0.0, (place - low) / span)) * (_WIDTH - 20) + 10, 2)

    parts = [tag("rect", x=10, y=28, width=_WIDTH - 20, height=10, rx=5, class_="ground")]
    if interval is not None:
        left, right = at(interval.low), at(interval.high)
        width = max(right - left, 2)
        parts.append(
            tag("rect", x=left, y=24, width=round(width, 2), height=18, rx=5, class_="faint")
        )
        parts.append(_end(left, number(interval.low), 58, right))
        if right - left > 60 or right < _WIDTH - 60:
            parts.append(_end(right, number(interval.high), 58, left))

    if mark is not None:
        parts.append(tag("line", x1=at(mark), x2=at(mark), y1=16, y2=50, class_="dash"))

    parts.append(
        tag("rect", x=round(at(value) - 2.5, 2), y=18, width=5, height=30, rx=2.5, class_="bar")
    )
    parts.append(tag("text", number(low), x=10, y=14))
    parts.append(tag("text", number(high), x=_WIDTH - 10, y=14, text_anchor="end"))
    return _svg(describe, 66, [parts])


def _end(x: float, text: str, y: int, other: float) -> Html:
    near = abs(x - other) < 60
    anchor = "middle" if not near else ("end" if x <= other else "start")
    if x < 24:
        anchor = "start"
    elif x > _WIDTH - 24:
        anchor = "end"

    return tag("text", text, x=x, y=y, text_anchor=anchor, class_="strong")


def _svg(describe: str, height: int, parts: Sequence[Sequence[Html] | Html]) -> Html:
    return tag(
        "svg",
        tag("title", describe),
        *parts,
        viewBox=f"0 0 {_WIDTH} {height}",
        role="img",
        aria_label=describe,
    )
