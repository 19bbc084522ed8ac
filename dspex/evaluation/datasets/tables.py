"""What other libraries call a table: told apart by what it can do, never imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from dspex.errors import DatasetError
from dspex.evaluation.datasets.sources import RowDataset, TableDataset

if TYPE_CHECKING:
    from dspex.evaluation.datasets.rows import Shape

__all__ = ("dataset_of",)

_Slices: TypeAlias = "Callable[[int, int], Sequence[Mapping[str, Any]]]"


def dataset_of(source: Any, shape: Shape, limit: int | None) -> RowDataset | TableDataset:
    """Return the examples of a table or of an iterable of rows.

    Raises:
        DatasetError: it is neither; says what to do.
    """
    name = f"{type(source).__module__.partition('.')[0]} {type(source).__name__}"
    if isinstance(source, Mapping):
        keys = sorted(map(str, cast("Mapping[object, object]", source)))
        raise DatasetError(f"a {name} is no dataset; it has {keys}: give one of them")

    if hasattr(source, "collect") and hasattr(source, "collect_schema"):
        raise DatasetError(f"a {name} is a query and not a table: give its .collect()")

    found = _columns_and_slices(source)
    if found is None:
        return _rows(source, name, shape, limit)

    columns, length, slices = found
    _check_columns(columns, name)
    shape.check(columns, name)
    return TableDataset(name, length if limit is None else min(length, limit), slices, shape)


def _columns_and_slices(source: Any) -> tuple[list[Any], int, _Slices] | None:
    if hasattr(source, "iloc"):  # pandas
        return list(source.columns), len(source), lambda a, b: _pandas_rows(source, a, b)

    if hasattr(source, "to_dicts"):  # polars
        columns = list(source.columns)
        return columns, len(source), lambda a, b: source.slice(a, b - a).to_dicts()

    if hasattr(source, "to_pylist") and hasattr(source, "column_names"):  # Arrow
        columns = list(source.column_names)
        return columns, source.num_rows, lambda a, b: source.slice(a, b - a).to_pylist()

    sized = hasattr(source, "__len__") and hasattr(source, "__getitem__")
    if sized and getattr(source, "column_names", None):  # a dataset of the Hugging Face hub
        return list(source.column_names), len(source), lambda a, b: _hub_rows(source, a, b)

    return None


def _pandas_rows(frame: Any, start: int, stop: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = frame.iloc[start:stop].to_dict("records")
    # What is missing is a float there, also among texts; NaN alone does not equal itself.
    return [{name: _present(value) for name, value in row.items()} for row in rows]


def _present(value: Any) -> Any:
    if type(value).__name__ in ("NAType", "NaTType"):
        return None

    return None if isinstance(value, float) and value != value else value


def _hub_rows(table: Any, start: int, stop: int) -> list[dict[str, Any]]:
    columns: Mapping[str, Sequence[Any]] = table[start:stop]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows(source: Any, name: str, shape: Shape, limit: int | None) -> RowDataset:
    if not isinstance(source, Iterable):
        raise DatasetError(
            f"{source!r} is not a dataset: give a path, a frame, a table, or an iterable of rows"
        )

    def rows() -> Iterator[tuple[str, Mapping[str, Any]]]:
        for number, row in enumerate(source):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # checked below
            if not isinstance(row, Mapping):
                raise DatasetError(
                    f"{name}, row {number:,}: {row!r} is no row: it has to be a mapping from "
                    "column to value"
                )

            yield f"{name}, row {number:,}", row

    return RowDataset(name, rows, shape, limit)


def _check_columns(columns: list[Any], name: str) -> None:
    odd = [column for column in columns if not isinstance(column, str)]
    if odd:
        raise DatasetError(f"{name}: the columns {odd!r} are not named by texts: rename them")

    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise DatasetError(f"{name}: there are several columns {twice}: rename all but one")
