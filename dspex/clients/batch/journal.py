"""Which batches are out, on disk before they are waited for: a restart finds them again.

One JSON object a line, synced to disk as it is written:

    {"nonce": "...", "provider": "openai", "at": 1790000000.0, "lines": ["<id>", ...]}
    {"nonce": "...", "batch": "batch_..."}     it was made
    {"nonce": "...", "void": ["<id>", ...]}    these have ended without an answer: ask again

A line that a crash has cut short is taken off; anything else that is not ours is an error.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

import orjson

from dspex.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ("BatchJournal", "JournaledBatch")

_KEPT_FOR_S: Final = 28 * 86_400.0
"""The providers keep results for 29 days or longer."""


@dataclass(slots=True)
class JournaledBatch:
    """What the journal knows of one batch; `batch` is None if it may not have been made."""

    nonce: str
    provider: str
    at_s: float
    lines: set[str]
    batch: str | None = None
    records: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class BatchJournal:
    """The file of one or more batch clients of one process. Blocks: call it in a thread.

    Args:
        path: of the file; its folder must exist.
    """

    __slots__ = ("_file", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def __repr__(self) -> str:
        return f"<BatchJournal {self._path}>"

    def open(self, provider: str, now_s: float) -> list[JournaledBatch]:
        """Open the file for writing and return what it knows of `provider`.

        Batches whose results are gone by now are left out, and dropped from the file.

        Raises:
            LoadError: it is no journal, or cannot be opened.
        """
        try:
            known = self._read()
            kept = [batch for batch in known if batch.at_s > now_s - _KEPT_FOR_S]
            if len(kept) < len(known):
                self._rewrite(kept)

            self._file = self._path.open("ab")
            _sync(self._path.parent)
        except OSError as exc:
            raise LoadError(f"{self._path}: the journal cannot be opened: {exc}") from exc

        return [batch for batch in kept if batch.provider == provider]

    def begin(self, nonce: str, provider: str, at_s: float, lines: Iterable[str]) -> None:
        """Note that a batch is about to be made."""
        self._append({"nonce": nonce, "provider": provider, "at": at_s, "lines": list(lines)})

    def made(self, nonce: str, batch: str) -> None:
        """Note that it was, and its id."""
        self._append({"nonce": nonce, "batch": batch})

    def void(self, nonce: str, lines: Iterable[str]) -> None:
        """Note which of its lines must be asked again if they are wanted."""
        self._append({"nonce": nonce, "void": list(lines)})

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _append(self, record: dict[str, Any]) -> None:
        file = self._file
        if file is None:
            raise LoadError(f"{self._path}: the journal is not open")

        file.write(orjson.dumps(record) + b"\n")
        file.flush()
        os.fsync(file.fileno())

    def _read(self) -> list[JournaledBatch]:
        if not self._path.exists():
            return []

        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self._path, len(whole))

        batches: dict[str, JournaledBatch] = {}
        for number, text in enumerate(whole.splitlines(), start=1):
            try:
                _apply(batches, orjson.loads(text))
            except (KeyError, TypeError, ValueError) as exc:
                raise LoadError(
                    f"{self._path}, line {number}: not a line of a batch journal: {text[:80]!r}"
                ) from exc

        return list(batches.values())

    def _rewrite(self, batches: list[JournaledBatch]) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        with fresh.open("wb") as file:
            for batch in batches:
                file.writelines(orjson.dumps(record) + b"\n" for record in batch.records)

            file.flush()
            os.fsync(file.fileno())

        fresh.replace(self._path)


def _apply(batches: dict[str, JournaledBatch], record: dict[str, Any]) -> None:
    nonce = record["nonce"]
    if "lines" in record:
        batches[nonce] = JournaledBatch(
            nonce, record["provider"], record["at"], set(record["lines"])
        )

    batch = batches[nonce]
    batch.records.append(record)
    if "batch" in record:
        batch.batch = record["batch"]

    batch.lines.difference_update(record.get("void", ()))


def _sync(folder: Path) -> None:
    """Make a new file's name last, too; Windows has no such thing."""
    if os.name != "nt":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
