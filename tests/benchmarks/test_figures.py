"""Figures, and the table that they make."""

from __future__ import annotations

import json
from typing import Literal

import pytest

from benchmarks.figures import Aim, Figure, machine, table, to_json
from benchmarks.measuring import Span

RATIO = Figure(
    "P1", "a call", Span(1.3, 1.2, 1.4), "x", Aim("<=", 1.25, first_step=1.6), notes=("a note",)
)
REPORTED = Figure("P6", "an import", Span(1234.0, 1.0, 2.0), " ms", None)


class TestAim:
    @pytest.mark.parametrize(
        ("sense", "value", "verdict"),
        [
            ("<=", 1.0, "yes"),
            ("<=", 2.0, "yes"),
            ("<=", 2.5, "first step"),
            ("<=", 3.1, "no"),
            (">=", 2.0, "yes"),
            (">=", 1.9, "no"),
        ],
    )
    def test_verdict(self, sense: Literal["<=", ">="], value: float, verdict: str) -> None:
        """The bound itself counts as met; between bound and first step is neither yes nor no."""
        aim = Aim(sense, 2.0, first_step=3.0 if sense == "<=" else None)
        assert aim.verdict(value) == verdict

    def test_shows_both_bounds(self) -> None:
        """The first step is named where there is one."""
        assert Aim(">=", 8.0).show("x") == ">= 8x"
        assert Aim("<=", 1.25, first_step=1.6).show("x") == "<= 1.25x (first step 1.6x)"


class TestTable:
    def test_holds_a_line_per_figure_and_the_notes_below(self) -> None:
        """All lines are equally wide, so that the table reads well as text."""
        text = table([RATIO, REPORTED])
        lines = text.splitlines()
        assert len({len(line) for line in lines[:4]}) == 1
        assert "| 1.30x " in lines[2]
        assert "| first step |" in lines[2]
        assert "| 1,234 ms " in lines[3]
        assert lines[-1] == "- P1: a note"

    def test_of_nothing_is_its_head(self) -> None:
        """A run in which nothing could be measured still prints."""
        assert len(table([]).splitlines()) == 2


class TestJson:
    def test_is_plain_data(self) -> None:
        """Verdicts and the machine's facts go along, and it survives JSON."""
        data = json.loads(json.dumps(to_json([RATIO, REPORTED], machine("a server"))))
        assert data["about"]["load_server"] == "a server"
        assert [row["met"] for row in data["figures"]] == ["first step", "-"]

    def test_names_no_host(self) -> None:
        """The facts are general: nothing tells which machine it was."""
        assert set(machine("")) == {
            "aiohttp",
            "cores",
            "event_loop",
            "load_average",
            "load_server",
            "python",
            "system",
        }
