"""Rows of text files, one at a time, with the line each came from."""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final, cast

import orjson

from dspex.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

__all__ = ("csv_rows", "jsonl_rows")

_EXCERPT: Final = 80
_MARKS: Final = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def jsonl_rows(path: Path, encoding: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a file with one in each line; blank lines are passed over.

    Raises:
        DatasetError: the file cannot be read, or a line holds no object; names the line.
    """
    for number, line in _lines(path, encoding):
        if not line or line.isspace():
            continue

        place = f"{path}, line {number:,}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            raise DatasetError(
                f"{place}, character {exc.colno}: not JSON: {exc.msg}: {_shown(line)}. Each line "
                "has to be one JSON object"
            ) from exc

        if not isinstance(row, dict):
            raise DatasetError(
                f"{place}: a {type(row).__name__} and not an object: {_shown(line)}. Each line has "
                'to be one JSON object, as in {"question": "...", "answer": "..."}'
            )

        yield place, cast("dict[str, Any]", row)


def csv_rows(path: Path, encoding: str, delimiter: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a file whose first line names the columns; every value is a text.

    Quoted cells may hold line ends, as RFC 4180 says. Blank lines are passed over.

    Raises:
        DatasetError: the header or a row is not sound; names the line and shows it.
    """
    counter = _Counter(path, encoding)
    rows = csv.reader(counter, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        place = f"{path}, line {counter.number + 1:,}"
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as exc:
            raise _csv_problem(place, exc, counter) from exc

        if not cells:
            continue

        if header is None:
            header = _checked_header(place, cells)
            continue

        if len(cells) != len(header):
            raise _ragged(place, cells, header, delimiter)

        yield place, dict(zip(header, cells, strict=True))


class _Counter:
    """The lines of a file, which remembers the last one and its number."""

    __slots__ = ("_lines", "line", "number")

    def __init__(self, path: Path, encoding: str) -> None:
        self._lines = _lines(path, encoding)
        self.number = 0
        self.line = ""

    def __iter__(self) -> _Counter:
        return self

    def __next__(self) -> str:
        self.number, self.line = next(self._lines)
        return self.line


def _lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    number = 0
    with _opened(path, encoding) as file:
        while True:
            try:
                line = file.readline()
            except UnicodeDecodeError as exc:
                raise _undecodable(path, encoding, number, exc) from exc
            except (EOFError, zlib.error, OSError) as exc:
                raise DatasetError(
                    f"{path}: cannot be read on after line {number:,}: {exc}; is it whole?"
                ) from exc

            if not line:
                return

            number += 1
            if "\0" in line:
                raise DatasetError(
                    f"{path}, line {number:,}: it holds a NUL: {_shown(line)}. Is this a text "
                    f"file, and is its encoding {encoding!r}?"
                )

            yield number, line


@contextmanager
def _opened(path: Path, encoding: str) -> Generator[IO[str]]:
    """Open a text, compressed or not; a byte order mark at its beginning is no part of it."""
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            start = file.read(2)
    except (OSError, EOFError, zlib.error) as exc:
        raise DatasetError(f"{path}: cannot be read: {exc}") from exc

    utf8 = codecs.lookup(encoding).name == "utf-8"
    if utf8 and start in _MARKS:
        raise DatasetError(
            f"{path}: begins like UTF-16 and not like UTF-8: give encoding={_MARKS[start]!r}"
        )

    name = "utf-8-sig" if utf8 else encoding
    # newline="": line ends inside quoted cells stay what they are.
    if packed:
        with gzip.open(path, "rt", encoding=name, newline="") as file:
            yield cast("IO[str]", file)
    else:
        with path.open(encoding=name, newline="") as file:
            yield file


def _undecodable(path: Path, encoding: str, number: int, exc: UnicodeDecodeError) -> DatasetError:
    # Text is decoded by the block: look for the line by itself, which only a failure pays for.
    line, bad = _bad_line(path, encoding, number)
    return DatasetError(
        f"{path}, line {line:,}: {bad!r} is not {encoding}: {exc.reason}. Give the encoding it was "
        "written in, as in encoding='latin-1'"
    )


def _bad_line(path: Path, encoding: str, number: int) -> tuple[int, bytes]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            try:
                raw.decode(encoding)
            except UnicodeDecodeError as exc:
                return line, raw[max(0, exc.start - 20) : exc.end + 20]

    return number + 1, b""


def _checked_header(place: str, names: list[str]) -> list[str]:
    stripped = [name.strip() for name in names]
    if "" in stripped:
        raise DatasetError(
            f"{place}: column {stripped.index('') + 1} of the header has no name: {names!r}. Every "
            "column needs one"
        )

    if len(set(stripped)) < len(stripped):
        twice = next(name for name in stripped if stripped.count(name) > 1)
        raise DatasetError(
            f"{place}: the header has the column {twice!r} {stripped.count(twice)} times: "
            f"{names!r}. Rename all but one"
        )

    return stripped


def _ragged(place: str, cells: list[str], header: list[str], delimiter: str) -> DatasetError:
    return DatasetError(
        f"{place}: {len(cells)} cells, and the header has {len(header)}: {_shown(repr(cells))}. A "
        f"cell that holds {delimiter!r} or a line end has to stand in double quotes"
    )


def _csv_problem(place: str, exc: csv.Error, counter: _Counter) -> DatasetError:
    hint = "A double quote inside a quoted cell is written twice"
    if "field larger" in str(exc):
        hint = (
            "Either a quote is never closed, or cells are that long: then raise it with "
            "csv.field_size_limit(...)"
        )
    elif "unexpected end" in str(exc):
        hint = "A quote that is opened here is never closed"

    return DatasetError(f"{place}: {exc}: {_shown(counter.line)}. {hint}")


def _shown(line: str) -> str:
    return repr(line if len(line) <= _EXCERPT else f"{line[:_EXCERPT]}...")
