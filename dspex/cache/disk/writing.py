"""What the writer thread does: one transaction for what has gathered, then a little sweeping."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dspex.cache.disk.table import Table

__all__ = ("Put", "Remove", "Sweep", "Touch", "WriteStep", "Writer")

_STEPS_A_BATCH: Final = 4
"""So many times some rows are deleted for each batch that is written: more than it brought."""


class Put(NamedTuple):
    """Write an entry; `encode` gives its value."""

    key: bytes
    encode: Callable[[], bytes]


class Touch(NamedTuple):
    """Note that an entry was used."""

    key: bytes


class Remove(NamedTuple):
    """Delete a broken entry, unless it was written anew."""

    key: bytes
    checksum: int


class Sweep(NamedTuple):
    """Delete some entries whose time is over; call `go_on` if there may be more."""

    go_on: Callable[[], object]


WriteStep: TypeAlias = Put | Touch | Remove | Sweep


class Writer:
    """Works off write steps; in one thread, but for its counters, which anybody may read.

    Args:
        table: a connection of its own.
        max_bytes: bound of the file.
        ttl_s: how long entries live from when they are written.
        fail: takes what was tried and the error; must not raise.
        wall_clock: seconds since the epoch.
    """

    __slots__ = (
        "_fail",
        "_max_bytes",
        "_table",
        "_ttl_s",
        "_wall_clock",
        "dropped",
        "size_bytes",
        "written",
    )

    def __init__(
        self,
        table: Table,
        max_bytes: int,
        ttl_s: float | None,
        *,
        fail: Callable[[str, Exception], None],
        wall_clock: Callable[[], float],
    ) -> None:
        self._table = table
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._fail = fail
        self._wall_clock = wall_clock
        self.written = 0
        self.dropped = 0
        self.size_bytes = table.size_bytes()

    def work(self, batch: Sequence[WriteStep]) -> None:
        """Do one batch of steps; what fails is counted."""
        self._write(batch)
        try:
            self._sweep(batch)
        except sqlite3.Error as exc:
            self._fail("sweep", exc)

    def retune(self, max_bytes: int, ttl_s: float | None) -> None:
        """Take other bounds, from the next batch on."""
        self._max_bytes, self._ttl_s = max_bytes, ttl_s

    def close(self) -> None:
        """Close the connection."""
        self._table.close()

    def _write(self, batch: Sequence[WriteStep]) -> None:
        entries = self._encoded(batch)
        touched = [step.key for step in batch if isinstance(step, Touch)]
        broken = [(step.key, step.checksum) for step in batch if isinstance(step, Remove)]
        if not (entries or touched or broken):
            return

        now = self._wall_clock()
        try:
            with self._table.transaction():
                self._table.remove(broken)
                self._table.keep(entries, now, self._ttl_s)
                self._table.touch(touched, now)
        except sqlite3.Error as exc:
            self.dropped += len(entries)
            self._fail("write", exc)
        else:
            self.written += len(entries)

    def _encoded(self, batch: Sequence[WriteStep]) -> list[tuple[bytes, bytes]]:
        entries: list[tuple[bytes, bytes]] = []
        for step in batch:
            if isinstance(step, Put):
                value = self._encode(step)
                if value is not None:
                    entries.append((step.key, value))

        return entries

    def _encode(self, step: Put) -> bytes | None:
        try:
            value = step.encode()
        except (TypeError, ValueError) as exc:
            # An answer may quote what it was asked, and that may be no JSON.
            self._fail("encode", exc)
            value = None

        if value is None or len(value) > self._max_bytes // 8:
            self.dropped += 1
            return None

        return value

    def _sweep(self, batch: Sequence[WriteStep]) -> None:
        for step in batch:
            if isinstance(step, Sweep) and self._expire():
                step.go_on()

        self.size_bytes = self._table.size_bytes()
        for _ in range(_STEPS_A_BATCH):
            if self.size_bytes <= self._max_bytes or not self._evict():
                return

            self.size_bytes = self._table.size_bytes()

    def _expire(self) -> bool:
        with self._table.transaction():
            return self._table.expire(self._wall_clock())

    def _evict(self) -> bool:
        with self._table.transaction():
            return self._table.evict()
