"""`load_dataset`: from a source to examples."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import datasets as hub
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from dspex.errors import DatasetError, EvaluationError
from dspex.evaluation.datasets import TableDataset, load_dataset
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match
from dspex.signatures.example import Example
from dspex.signatures.prediction import Prediction

ROWS = [{"question": f"q{n}", "answer": f"a{n}", "id": n} for n in range(1_200)]


def table(kind: str) -> Any:
    """Make the same table with another library."""
    makers: dict[str, Any] = {
        "pandas": pd.DataFrame,
        "polars": pl.DataFrame,
        "arrow": pa.Table.from_pylist,
        "hub": hub.Dataset.from_list,
    }
    return makers[kind](ROWS)


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    """Write a small file."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"question": "1", "answer": "1"}\n' * 1_700)
    return path


class TestTables:
    @pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "hub"])
    def test_every_library(self, kind: str) -> None:
        """The same examples, by number and one after another, whoever made the table."""
        found = load_dataset(table(kind), inputs="question", fields=("answer",))
        assert isinstance(found, TableDataset)
        assert len(found) == 1_200
        assert found[700] == Example(question="q700", answer="a700").with_inputs("question")
        assert found[-1] == found[1_199]
        assert [example["answer"] for example in found[3:5]] == ["a3", "a4"]
        assert [dict(example) for example in found] == [
            {"question": row["question"], "answer": row["answer"]} for row in ROWS
        ]
        assert len(load_dataset(table(kind), inputs="question", limit=7)) == 7  # type: ignore[arg-type]
        with pytest.raises(IndexError, match="row 1,200 of 1,200"):
            found[1_200]

    def test_missing_values_of_pandas(self) -> None:
        """What is missing is None, and not a number that equals nothing."""
        frame = pd.DataFrame({"question": ["a", None], "score": [0.5, float("nan")]})
        assert dict(list(load_dataset(frame, inputs="question"))[1]) == {
            "question": None,
            "score": None,
        }

    def test_stream(self) -> None:
        """Rows that come one by one are a dataset too, such as a streamed one of the hub."""
        stream = hub.Dataset.from_list(ROWS[:3]).to_iterable_dataset()
        found = load_dataset(stream, inputs="question")
        assert [example["id"] for example in found] == [0, 1, 2]
        assert [example["id"] for example in found] == [0, 1, 2]

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            ({"train": [], "test": []}, r"has \['test', 'train'\]: give one of them"),
            (pl.LazyFrame({"question": ["a"]}), "give its .collect()"),
            (pd.DataFrame([[1, 2]], columns=["question", "question"]), "several columns"),
            (pd.DataFrame([[1, 2]]), r"the columns \[0, 1\] are not named by texts"),
            (pl.DataFrame({"prompt": ["a"]}), "no column 'question'; there is 'prompt'"),
            (7, "7 is not a dataset"),
        ],
    )
    def test_refused(self, source: Any, text: str) -> None:
        """What is no table, or not a fitting one, is refused before it is read."""
        with pytest.raises(DatasetError, match=text):
            load_dataset(source, inputs="question")

    def test_row_that_is_none(self) -> None:
        """Among rows, one that is no mapping is named by its number."""
        with pytest.raises(DatasetError, match=r"row 1: 'x' is no row"):
            list(load_dataset([{"question": 1}, "x"], inputs="question"))


class TestParquet:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Write a Parquet file."""
        path = tmp_path / "x.parquet"
        parquet.write_table(pa.Table.from_pylist([*ROWS, {"question": None}]), path)
        return path

    def test_rows(self, path: Path) -> None:
        """Only what is wanted is read, nulls are None, casts apply."""
        found = load_dataset(
            path, inputs="q", fields={"q": "question", "n": "id"}, casts={"n": str}
        )
        rows = [dict(example) for example in found]
        assert rows[1_100] == {"q": "q1100", "n": "1100"}
        assert rows[-1] == {"q": None, "n": "None"}

    def test_missing_column(self, path: Path) -> None:
        """A column that is not there is named with those that are."""
        with pytest.raises(DatasetError, match="no column 'prompt'; there is 'question'"):
            list(load_dataset(path, inputs="prompt"))

    @pytest.mark.parametrize("content", [b"", b"PAR1 nonsense PAR1"])
    def test_not_parquet(self, tmp_path: Path, content: bytes) -> None:
        """A file of another kind is refused at once."""
        path = tmp_path / "x.parquet"
        path.write_bytes(content)
        with pytest.raises(DatasetError, match="not a Parquet file"):
            load_dataset(path, inputs="question")

    def test_damaged(self, path: Path) -> None:
        """Damage inside is told with the row it begins after."""
        data = bytearray(path.read_bytes())
        data[8:2_000] = bytes(1_992)
        path.write_bytes(data)
        with pytest.raises(DatasetError, match="cannot be read on after row"):
            list(load_dataset(path, inputs="question"))

    def test_missing_library(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without pyarrow the error names the extra."""
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(EvaluationError, match=r"dspex\[data\]"):
            load_dataset(path, inputs="question")


class TestFiles:
    def test_can_be_read_again(self, jsonl: Path) -> None:
        """Each iteration begins at the beginning; a limit ends it."""
        found = load_dataset(jsonl, inputs="question", limit=3)
        assert len(list(found)) == len(list(found)) == 3
        assert repr(found).endswith("x.jsonl, the first 3>")

    async def test_is_read_in_a_thread(self, jsonl: Path) -> None:
        """An event loop is not held up; the examples are the same."""
        found = load_dataset(jsonl, inputs="question")
        assert not isinstance(found, TableDataset)
        assert [example async for example in found] == list(found)

    async def test_evaluated(self, jsonl: Path) -> None:
        """It is a dataset of `evaluate`."""

        async def program(question: str) -> Prediction:
            return Prediction(answer=question)

        found = load_dataset(jsonl, inputs="question")
        report = await evaluate(program, found, exact_match("answer"))
        assert (report.counts.total, report.score) == (1_700, 1.0)

    async def test_damage_half_way_keeps_what_was_read(self, jsonl: Path) -> None:
        """What a file gave before its damage is run, and the report says where it ended."""
        with jsonl.open("a") as file:
            file.write("oops\n")

        async def program(question: str) -> Prediction:
            return Prediction(answer=question)

        found = load_dataset(jsonl, inputs="question")
        report = await evaluate(program, found, exact_match("answer"))
        assert report.counts.scored == 1_700
        assert report.stopped_early is not None
        assert "line 1,701" in report.stopped_early

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["jsonl", "csv"])
    def test_memory_is_bounded(self, tmp_path: Path, kind: str) -> None:
        """A file of many rows is never in memory."""
        path = tmp_path / f"x.{kind}"
        with path.open("w") as file:
            if kind == "csv":
                file.write("question,answer\n")

            line = '{"question": "%s", "answer": "x"}\n' if kind == "jsonl" else "%s,x\n"
            for number in range(60_000):
                file.write(line % f"{number:0100d}")

        tracemalloc.start()
        try:
            assert sum(1 for _ in load_dataset(path, inputs="question")) == 60_000
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "options", "text"),
        [
            ("none.csv", {}, "none.csv does not exist; the current folder is"),
            ("folder", {}, "is a folder"),
            ("x.json", {}, "one JSON object per line is .jsonl"),
            ("x.txt", {}, "give format="),
            ("x.txt", {"format": "xml"}, "format is 'xml'"),
            ("x.csv", {"encoding": "utf-99"}, "encoding is 'utf-99'"),
            ("x.csv", {"delimiter": ", "}, "delimiter is ', '"),
            ("x.csv", {"limit": -1}, "limit is -1"),
            ("x.csv", {"inputs": ()}, r"inputs is \(\)"),
            ("x.csv", {"inputs": (1,)}, r"inputs is \(1,\)"),
            ("x.csv", {"fields": {"a": "b"}}, r"inputs names \['question'\].*\['a'\]"),
            ("x.csv", {"fields": ("a",), "casts": {"b": int}}, r"casts names \['b'\]"),
        ],
    )
    def test_arguments(self, tmp_path: Path, name: str, options: Any, text: str) -> None:
        """What cannot work is refused before anything is read."""
        (tmp_path / "folder").mkdir()
        for there in ("x.json", "x.txt", "x.csv"):
            (tmp_path / there).write_text("question\n")

        with pytest.raises(DatasetError, match=text):
            load_dataset(tmp_path / name, **({"inputs": "question"} | options))

    def test_format_of_a_nameless_file(self, tmp_path: Path) -> None:
        """What a file is can be said."""
        (tmp_path / "data").write_text('{"question": 1}')
        assert len(list(load_dataset(tmp_path / "data", inputs="question", format="jsonl"))) == 1
