"""What a benchmark found out, and how it is shown: a table for people, JSON for programs."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal

from benchmarks.measuring import Span

__all__ = ("Aim", "Figure", "machine", "table", "to_json")

_HEADINGS = ("aim", "what", "reference", "dspex", "measured", "spread", "asked", "met")


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound on a figure; `first_step` is the looser one that holds until it is reached."""

    sense: Literal["<=", ">="]
    bound: float
    _: KW_ONLY
    first_step: float | None = None

    def verdict(self, value: float) -> str:
        """Say whether `value` reaches the aim, its first step only, or neither."""
        if self._holds(value, self.bound):
            return "yes"

        if self.first_step is not None and self._holds(value, self.first_step):
            return "first step"

        return "no"

    def _holds(self, value: float, bound: float) -> bool:
        return value <= bound if self.sense == "<=" else value >= bound

    def show(self, unit: str) -> str:
        """Return the bound in words."""
        step = "" if self.first_step is None else f" (first step {self.first_step:g}{unit})"
        return f"{self.sense} {self.bound:g}{unit}{step}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    `value` is what the aim is about, in `unit`. `reference` and `subject` are the two sides behind
    it, in words; `samples` are the raw measurements of either; `notes` what a reader must know.
    """

    label: str
    what: str
    value: Span
    unit: str
    aim: Aim | None
    _: KW_ONLY
    reference: str = "-"
    subject: str = "-"
    samples: Mapping[str, Sequence[float]] | None = None
    notes: tuple[str, ...] = ()

    @property
    def met(self) -> str:
        """Whether the aim is met; "-" where the figure is only reported."""
        return "-" if self.aim is None else self.aim.verdict(self.value.median)

    def row(self) -> tuple[str, ...]:
        """Return the cells of the figure's line."""
        value, unit = self.value, self.unit
        return (
            self.label,
            self.what,
            self.reference,
            self.subject,
            f"{_short(value.median)}{unit}",
            f"{_short(value.low)} to {_short(value.high)}",
            "-" if self.aim is None else self.aim.show(unit),
            self.met,
        )


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table that also reads well as text, notes below it."""
    rows = [_HEADINGS, *(figure.row() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = (_line(row, widths) for row in rows)
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    notes = [f"- {figure.label}: {note}" for figure in figures for note in figure.notes]
    return "\n".join([head, rule, *body, *([""] if notes else []), *notes])


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def machine(server: str) -> dict[str, Any]:
    """Return what the figures depend on, in general words."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "event_loop": "asyncio",
        "aiohttp": version("aiohttp"),
        "load_server": server,
    }


def to_json(figures: Sequence[Figure], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything as plain JSON data, raw samples included."""
    return {"about": dict(about), "figures": [{**asdict(f), "met": f.met} for f in figures]}
