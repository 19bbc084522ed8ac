"""Rows of Parquet files, a batch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dspex.errors import DatasetError
from dspex.evaluation.extras import arrow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dspex.evaluation.datasets.rows import Shape

__all__ = ("parquet_length", "parquet_rows")

_BATCH: Final = 1_000


def parquet_length(path: Path) -> int:
    """Return how many rows a file has, which its footer says.

    Raises:
        EvaluationError: pyarrow is missing.
        DatasetError: it is no Parquet file.
    """
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def parquet_rows(path: Path, shape: Shape) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a file; only the columns that are wanted are read.

    Raises:
        EvaluationError: pyarrow is missing.
        DatasetError: it is no Parquet file, is damaged, or lacks a column.
    """
    number = 0
    with _opened(path) as file:
        shape.check(file.schema_arrow.names, str(path))
        columns = None if shape.columns is None else sorted(set(shape.columns.values()))
        batches = file.iter_batches(batch_size=_BATCH, columns=columns)
        while True:
            try:
                rows = next(batches).to_pylist()
            except StopIteration:
                return
            except Exception as exc:  # each kind of damage has a class of its own
                raise DatasetError(
                    f"{path}: cannot be read on after row {number:,}: {exc}"
                ) from exc

            for row in rows:
                number += 1
                yield f"{path}, row {number:,}", row


def _opened(path: Path) -> Any:
    _, parquet = arrow()
    try:
        # Without a buffer for whole row groups: a file may be one group of a million rows.
        return parquet.ParquetFile(path, pre_buffer=False)
    except Exception as exc:  # each kind of damage has a class of its own
        raise DatasetError(f"{path}: not a Parquet file: {exc}") from exc
