"""A row per example, in files that other tools read."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from dspex.errors import EvaluationError
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match
from dspex.evaluation.report import Report
from dspex.evaluation.reports.tables import COLUMNS
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction

ANSWERS: list[Any] = ["=1+1", "-3", "@x", 'say "hi",\nthen go', {"a": [1]}, None, "\ud800", 7]


async def program(question: str) -> Prediction:
    """Answer something strange."""
    number = int(question)
    if number == len(ANSWERS):
        raise ValueError("+ no\nidea")

    return Prediction(answer=ANSWERS[number])


async def make() -> Report:
    """Evaluate it."""
    examples = [
        Example(question=str(number), answer="-3").with_inputs("question")
        for number in range(len(ANSWERS) + 1)
    ]
    return await evaluate(program, examples, exact_match("answer"))


class TestCsv:
    async def test_rows(self, tmp_path: Path) -> None:
        """Every outcome is a row; formulas are defused, numbers and the rest stay."""
        (await make()).to_csv(tmp_path / "r.csv")
        with (tmp_path / "r.csv").open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))

        assert list(rows[0]) == [*COLUMNS, "prediction.answer"]
        answers = [row["prediction.answer"] for row in rows]
        assert answers[:4] == ["'=1+1", "-3", "'@x", 'say "hi",\nthen go']
        assert answers[4:6] == ['{\n "a": [\n  1\n ]\n}', ""]
        assert rows[1]["score"] == rows[1]["counted"] == "1.0"
        assert (rows[-1]["error"], rows[-1]["message"]) == ("ValueError", "'+ no\nidea")
        assert (rows[-1]["score"], rows[-1]["counted"]) == ("", "0.0")

    async def test_old_file_survives_a_failure(self, tmp_path: Path) -> None:
        """A file is replaced whole or not at all."""
        report = await make()
        path = tmp_path / "folder"
        path.mkdir()
        with pytest.raises(OSError, match="folder"):
            report.to_csv(path)

        with pytest.raises(FileNotFoundError):
            report.to_csv(tmp_path / "none" / "r.csv")

        assert [item.name for item in tmp_path.iterdir()] == ["folder"]

    async def test_too_many_fields(self, tmp_path: Path) -> None:
        """A table has no thousand columns."""

        async def wide(question: str) -> Prediction:
            return Prediction(**{f"f{n}": n for n in range(300)})

        example = Example(question="q", f0=0).with_inputs("question")
        report = await evaluate(wide, [example], exact_match("f0"))
        with pytest.raises(EvaluationError, match="300 fields, beginning with"):
            report.to_csv(tmp_path / "r.csv")

        assert list(tmp_path.iterdir()) == []


class TestParquet:
    async def test_rows(self, tmp_path: Path) -> None:
        """The same rows with their types, texts as they are."""
        (await make()).to_parquet(tmp_path / "r.parquet")
        rows = parquet.read_table(tmp_path / "r.parquet").to_pylist()
        assert len(rows) == len(ANSWERS) + 1
        assert rows[0]["prediction.answer"] == "=1+1"
        assert rows[5]["prediction.answer"] is None
        assert rows[1]["score"] == 1.0
        assert rows[-1]["score"] is None
        assert isinstance(rows[0]["calls"], int)

    async def test_missing_library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without pyarrow the error names the extra, and nothing is written."""
        report = await make()
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(EvaluationError, match=r"dspex\[data\]"):
            report.to_parquet(tmp_path / "r.parquet")

        assert list(tmp_path.iterdir()) == []
