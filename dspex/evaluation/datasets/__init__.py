"""Datasets: examples from files and tables, read as they are needed.

A dataset of `evaluate` is any iterable or async iterable of Examples: a list, a generator, an async
generator. `load_dataset` makes one of JSONL, CSV and Parquet files, of frames and tables of other
libraries, and of any rows.

Invariants. Rows are read when they are asked for, and a few hundred are in memory at most. Reading
again gives the same examples. No library is imported because of the kind of table it has: tables
are known by what they can do.

How it fails. A file that cannot be read, a header or a row that is not sound: a `DatasetError` that
names file, line and column, shows what stands there, and says what to do. The rows before it have
been given out by then.
"""

from __future__ import annotations

from dspex.evaluation.datasets.loading import Format, load_dataset
from dspex.evaluation.datasets.sources import RowDataset, TableDataset

__all__ = ("Format", "RowDataset", "TableDataset", "load_dataset")
