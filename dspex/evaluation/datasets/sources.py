"""Datasets that are read where they are, as often as one likes, and never held in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias, overload

from anyio import to_thread

from dspex.signatures.example import Example

if TYPE_CHECKING:
    from dspex.evaluation.datasets.rows import Shape

__all__ = ("RowDataset", "Rows", "TableDataset")

Rows: TypeAlias = Callable[[], Iterator[tuple[str, Mapping[str, Any]]]]
"""Begins anew: yields each row with its place."""

_CHUNK: Final = 500


class RowDataset:
    """Examples from rows that are read one after another: a file, a stream of rows.

    Each iteration reads from the start. An async one, which `evaluate` takes, reads in a thread, so
    that a slow disk holds up nobody. In memory are five hundred rows at most.

    Args:
        name: for people.
        rows: begins to read.
        shape: makes examples of rows.
        limit: ends after so many.
    """

    __slots__ = ("_limit", "_name", "_rows", "_shape")

    def __init__(self, name: str, rows: Rows, shape: Shape, limit: int | None) -> None:
        self._name = name
        self._rows = rows
        self._shape = shape
        self._limit = limit

    def __iter__(self) -> Iterator[Example]:
        rows, make = self._rows(), self._shape.example
        return (make(row, place) for place, row in islice(rows, self._limit))

    async def __aiter__(self) -> AsyncIterator[Example]:
        examples = iter(self)
        while chunk := await to_thread.run_sync(_next, examples):
            for item in chunk:
                if isinstance(item, Exception):
                    raise item

                yield item

    def __repr__(self) -> str:
        limit = "" if self._limit is None else f", the first {self._limit:,}"
        return f"<RowDataset {self._name}{limit}>"


class TableDataset(Sequence[Example]):
    """Examples from a table that has its rows by number: a frame, a table, a dataset of a hub.

    Args:
        name: for people.
        length: how many rows there are.
        rows: gives those from one number up to another.
        shape: makes examples of rows.
    """

    __slots__ = ("_length", "_name", "_rows", "_shape")

    def __init__(
        self,
        name: str,
        length: int,
        rows: Callable[[int, int], Sequence[Mapping[str, Any]]],
        shape: Shape,
    ) -> None:
        self._name = name
        self._length = length
        self._rows = rows
        self._shape = shape

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._length))]

        number = index + self._length if index < 0 else index
        if not 0 <= number < self._length:
            raise IndexError(f"row {index:,} of {self._length:,}")

        (example,) = self._examples(number, number + 1)
        return example

    def __iter__(self) -> Iterator[Example]:
        for start in range(0, self._length, _CHUNK):
            yield from self._examples(start, min(start + _CHUNK, self._length))

    def _examples(self, start: int, stop: int) -> list[Example]:
        make = self._shape.example
        rows = self._rows(start, stop)
        return [make(row, f"{self._name}, row {start + n:,}") for n, row in enumerate(rows)]

    def __repr__(self) -> str:
        return f"<TableDataset {self._name}, {self._length:,} rows>"


def _next(examples: Iterator[Example]) -> list[Example | Exception]:
    """Read a chunk; an error comes as its last item, after what was sound."""
    chunk: list[Example | Exception] = []
    try:
        chunk.extend(islice(examples, _CHUNK))
    except Exception as exc:
        chunk.append(exc)

    return chunk
