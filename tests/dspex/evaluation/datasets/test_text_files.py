"""JSONL and CSV: what is sound comes out as it went in, what is not is named with its place."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.errors import DatasetError
from dspex.evaluation.datasets import load_dataset

ROW = '{"question": "q", "answer": "a"}'

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


def put(path: Path, content: str | bytes) -> Path:
    """Write a file."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(path: Path, **options: Any) -> list[dict[str, Any]]:
    """Read all of a file."""
    return [dict(example) for example in load_dataset(path, inputs="question", **options)]


class TestJsonl:
    @given(st.lists(st.tuples(JSON_VALUES, JSON_VALUES), max_size=5), st.booleans())
    def test_round_trip(self, pairs: list[tuple[Any, Any]], escaped: bool) -> None:
        """Whatever JSON holds comes back."""
        data = [{"question": q, "answer": a} for q, a in pairs]
        lines = [json.dumps(row, ensure_ascii=escaped) for row in data]
        with tempfile.TemporaryDirectory() as folder:
            path = put(Path(folder, "x.jsonl"), "\n".join(lines).encode(errors="replace"))
            if all("\ud800" > c or c > "\udfff" for line in lines for c in line):
                assert rows(path) == data

    def test_blank_lines_mark_and_last_line(self, tmp_path: Path) -> None:
        """A byte order mark, empty lines and a missing line end say nothing."""
        path = put(tmp_path / "x.jsonl", f"\ufeff{ROW}\r\n\n  \n{ROW}")
        assert len(rows(path)) == 2

    def test_compressed(self, tmp_path: Path) -> None:
        """A packed file is read as it is."""
        path = put(tmp_path / "x.jsonl.gz", gzip.compress(f"{ROW}\n{ROW}\n".encode()))
        assert len(rows(path)) == 2

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (f"{ROW}\n{{'question': 1}}\n", r"x.jsonl, line 2, character 2: not JSON.*'question'"),
            (f"{ROW}\n\n[1]\n", r"line 3: a list and not an object: '\[1\]"),
            ('"text"', "line 1: a str and not an object"),
            ('{"answer": 1}', r"line 1: there is no column 'question'; there is 'answer'"),
            (b'{"question": "\xff\xfe"}', r"line 1: .* is not utf-8.*encoding='latin-1'"),
            (f"{ROW}\n".encode() * 2000 + b"\xe9\n", "line 2,001: .* is not utf-8"),
            (ROW.encode("utf-16"), "begins like UTF-16.*encoding='utf-16'"),
            ("{\0}", "holds a NUL"),
        ],
    )
    def test_unsound(self, tmp_path: Path, content: str | bytes, text: str) -> None:
        """The error names file and line, shows what is there, and says what to do."""
        with pytest.raises(DatasetError, match=text):
            rows(put(tmp_path / "x.jsonl", content))

    @pytest.mark.parametrize(
        "content",
        [b"no gzip", gzip.compress(ROW.encode() * 900, mtime=0)[:-40]],
        ids=["foreign", "cut off"],
    )
    def test_damaged_archive(self, tmp_path: Path, content: bytes) -> None:
        """A packed file that is none, or is cut off, is named."""
        with pytest.raises(DatasetError, match=r"x\.jsonl\.gz: cannot be read"):
            rows(put(tmp_path / "x.jsonl.gz", content))

    def test_rows_before_the_damage_are_given(self, tmp_path: Path) -> None:
        """Reading stops at the damage and not before."""
        found = iter(load_dataset(put(tmp_path / "x.jsonl", f"{ROW}\n{ROW}\nx"), inputs="question"))
        assert [next(found)["answer"], next(found)["answer"]] == ["a", "a"]
        with pytest.raises(DatasetError, match="line 3"):
            next(found)


class TestCsv:
    @given(st.lists(st.tuples(CELLS, CELLS), max_size=6), st.sampled_from([",", ";", "\t"]))
    def test_round_trip(self, pairs: list[tuple[str, str]], delimiter: str) -> None:
        """Quotes, delimiters and line ends inside cells come back."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerows([("question", "answer"), *pairs])
        with tempfile.TemporaryDirectory() as folder:
            path = put(Path(folder, "x.csv"), text.getvalue())
            expected = [{"question": q, "answer": a} for q, a in pairs]
            assert rows(path, delimiter=delimiter) == expected

    def test_tabs_mark_blank_lines_and_encoding(self, tmp_path: Path) -> None:
        """What spreadsheets write."""
        assert rows(put(tmp_path / "x.tsv", "\ufeffquestion\tanswer\r\n\r\na\tb\r\n")) == [
            {"question": "a", "answer": "b"}
        ]
        path = put(tmp_path / "y.csv", "question,answer\ncaf\u00e9,1\n".encode("cp1252"))
        assert rows(path, encoding="cp1252")[0]["question"] == "caf\u00e9"
        path = put(tmp_path / "z.csv", "question,answer\nq,1\n".encode("utf-16"))
        assert rows(path, encoding="utf-16")[0]["answer"] == "1"

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ("question,answer\na\n", r"line 2: 1 cells, and the header has 2: .*double quotes"),
            ("question,answer\na,b,c\n", "line 2: 3 cells, and the header has 2"),
            ('question,answer\n"a\nb",c\nx\n', "line 4: 1 cells"),
            ("question,question\n", "line 1: the header has the column 'question' 2 times"),
            ("question,\n", "line 1: column 2 of the header has no name"),
            ("answer\nx\n", "line 2: there is no column 'question'; there is 'answer'"),
            ('question\n"a"b\n', "line 2: .*expected after.*written twice"),
            ('question\nx\n"never closed\n\n', "line 3: unexpected end.*never closed"),
            ('question\n"' + "x" * 140_000, "line 2: field larger.*field_size_limit"),
            (b"question\n\xff\n", "line 2: b'.*' is not utf-8"),
        ],
    )
    def test_unsound(self, tmp_path: Path, content: str | bytes, text: str) -> None:
        """The error names file and line, shows what is there, and says what to do."""
        with pytest.raises(DatasetError, match=rf"x\.csv, {text}"):
            rows(put(tmp_path / "x.csv", content))

    def test_empty(self, tmp_path: Path) -> None:
        """A file without a line has no example."""
        assert rows(put(tmp_path / "x.csv", "")) == []


class TestCasts:
    def test_types(self, tmp_path: Path) -> None:
        """A cast makes of a text what it stands for."""
        path = put(tmp_path / "x.csv", 'question,n,ok,tags\nq,7,Yes,"[1, 2]"\n')
        (row,) = rows(path, casts={"n": int, "ok": bool, "tags": json.loads})
        assert row == {"question": "q", "n": 7, "ok": True, "tags": [1, 2]}

    @pytest.mark.parametrize(
        ("casts", "text"),
        [
            ({"n": int}, "line 2, column 'n': int does not take '1,5'"),
            ({"n": bool}, "column 'n': bool does not take '1,5': a truth is written"),
            ({"m": int}, "there is no column 'm'"),
        ],
    )
    def test_refused(self, tmp_path: Path, casts: Any, text: str) -> None:
        """A value that cannot be cast is named with line and column."""
        with pytest.raises(DatasetError, match=text):
            rows(put(tmp_path / "x.csv", 'question,n\nq,"1,5"\n'), casts=casts)
