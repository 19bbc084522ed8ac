"""`load_dataset`: examples from whatever holds rows."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from dspex.errors import DatasetError
from dspex.evaluation.datasets.parquet_files import parquet_length, parquet_rows
from dspex.evaluation.datasets.rows import Cast, FieldNames, Shape
from dspex.evaluation.datasets.sources import RowDataset, TableDataset
from dspex.evaluation.datasets.tables import dataset_of
from dspex.evaluation.datasets.text_files import csv_rows, jsonl_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ("Format", "load_dataset")

Format: TypeAlias = Literal["jsonl", "csv", "tsv", "parquet"]
"""What a file is, where its name does not say."""

_SUFFIXES: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_FORMATS: Final = tuple(dict.fromkeys(_SUFFIXES.values()))


def load_dataset(
    source: Any,
    *,
    inputs: Iterable[str] | str,
    fields: FieldNames = None,
    casts: Mapping[str, Cast] | None = None,
    limit: int | None = None,
    format: Format | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
) -> RowDataset | TableDataset:
    """Return the examples of a file or a table, which are read when they are asked for.

        devset = load_dataset("dev.jsonl", inputs="question")
        devset = load_dataset("dev.csv", inputs="question", casts={"year": int})
        devset = load_dataset(frame, inputs="question", fields={"question": "Q", "answer": "A"})

    Never more than a few hundred rows are in memory, and the dataset can be read again and again.
    Tables and frames can also be indexed and shuffled; make a list of a file for that.

    Args:
        source: the path of a `.jsonl`, `.csv`, `.tsv` (all three also `.gz`) or `.parquet` file; a
            frame of pandas or polars; a table of Arrow; a dataset of the Hugging Face hub; or any
            iterable of mappings.
        inputs: the fields that a program is given; all others are labels.
        fields: the columns to take; or the column of each field, as `{"question": "prompt"}`. None
            takes all.
        casts: what makes a value of a field of what the file holds. A CSV file holds texts only.
            `bool` reads true, yes, 1, false, no and 0.
        limit: the first so many rows.
        format: what the file is, if its name does not say.
        encoding: of a text file; a byte order mark is passed over.
        delimiter: between cells; "," for CSV and a tab for TSV.

    Raises:
        DatasetError: the source is none, or the arguments contradict each other. While reading: a
            row is not sound; names file, line and column, and shows the value.
        EvaluationError: Parquet needs pyarrow.
    """
    shape = Shape.of(inputs, fields, casts)
    if limit is not None and (isinstance(limit, bool) or limit < 0):
        raise DatasetError(f"limit is {limit!r}; use a whole number from 0 on, or None")

    if not isinstance(source, (str, os.PathLike)):
        return dataset_of(source, shape, limit)

    path = Path(cast("str", source))
    _check_path(path)
    found = _format_of(path, format)
    if found == "parquet":
        parquet_length(path)
        return RowDataset(str(path), lambda: parquet_rows(path, shape), shape, limit)

    _check_encoding(encoding)
    if found == "jsonl":
        return RowDataset(str(path), lambda: jsonl_rows(path, encoding), shape, limit)

    between = _delimiter(delimiter, found)
    return RowDataset(str(path), lambda: csv_rows(path, encoding, between), shape, limit)


def _check_path(path: Path) -> None:
    if path.is_dir():
        raise DatasetError(f"{path} is a folder: give a file in it")

    if not path.exists():
        raise DatasetError(f"{path} does not exist; the current folder is {Path.cwd()}")


def _format_of(path: Path, given: Format | None) -> Format:
    if given is not None:
        if given not in _FORMATS:
            raise DatasetError(f"format is {given!r}; use one of {', '.join(_FORMATS)}")

        return given

    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    found = _SUFFIXES.get(suffix.lower())
    if found is None:
        hint = ": a file with one JSON object per line is .jsonl" if suffix == ".json" else ""
        raise DatasetError(
            f"{path}: what is it{hint}? Its name should end in one of {', '.join(_SUFFIXES)}; or "
            "give format="
        )

    return found


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
    except LookupError as exc:
        raise DatasetError(f"encoding is {encoding!r}, which Python does not know") from exc


def _delimiter(given: str | None, found: Format) -> str:
    if given is None:
        return "\t" if found == "tsv" else ","

    if len(given) != 1 or given in '\r\n"':
        raise DatasetError(f"delimiter is {given!r}; use one character, no quote and no line end")

    return given
