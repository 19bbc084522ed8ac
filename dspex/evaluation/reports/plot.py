"""Histograms for a terminal."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

from dspex.errors import EvaluationError
from dspex.evaluation.text import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dspex.evaluation.report import Report
    from dspex.evaluation.reports.charts import Bin

__all__ = ("plot",)

_NARROWEST: Final = 24
_LOWEST: Final = 6
_HEIGHT: Final = 12


def plot(report: Report, *, width: int | None = None, height: int = _HEIGHT) -> str:
    """Return how scores and latencies of `report` are distributed, drawn in plain characters.

    Args:
        report: with its rows.
        width: in columns; None is that of the terminal.
        height: of each drawing, in lines.

    Raises:
        EvaluationError: there is no room to draw in.
    """
    columns = shutil.get_terminal_size().columns if width is None else width
    if columns < _NARROWEST or height < _LOWEST:
        raise EvaluationError(
            f"a plot of {columns} columns and {height} lines is too small: it takes {_NARROWEST} "
            f"and {_LOWEST}"
        )

    # Here and not above: numpy takes its time to load.
    from dspex.evaluation.reports.gathering import latency_bins, score_bins

    scores, latencies = score_bins(report), latency_bins(report)
    drawn = [
        _drawn(bins, title, number, columns, height)
        for bins, title, number in (
            (scores, "examples by score", "{:.2g}".format),
            (latencies, "examples by latency", duration),
        )
        if bins
    ]
    return "\n\n".join(drawn) or "nothing to plot: no example counts"


def _drawn(
    bins: Sequence[Bin], title: str, number: Callable[[float], str], width: int, height: int
) -> str:
    import plotext  # pyright: ignore[reportMissingTypeStubs]  # it has none

    # A terminal of its own: the library's figure is one for all, and may be the user's.
    terminal: Any = type(plotext.terminal)()
    terminal.limit(width=False, height=False)
    figure: Any = type(plotext.figure)(terminal)
    figure.plot_size(width, height)
    figure.title(title)
    names = [bin_.name or number(bin_.low) for bin_ in bins]
    counts = [bin_.count for bin_ in bins]
    few = len(bins) <= 2
    figure.draw(figure.bar(names, counts, width=0.6 if few else 1))
    ticks = sorted({0, max(counts) // 2, max(counts)})
    figure.ruler("y").ticks(ticks, labels=[f"{tick:,}" for tick in ticks])
    text: str = figure.build().string(colorless=True)
    return "\n".join(line.rstrip() for line in text.splitlines())
