"""The table of entries: every statement there is. Blocking; one thread at a time for each."""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterable

__all__ = ("LARGE_BYTES", "Row", "Table")

LARGE_BYTES: Final = 64 * 1024
"""What is larger is not read in the event loop."""

_ROWS_A_STEP: Final = 500

_FIND: Final = """
    SELECT CASE WHEN size <= ? THEN value END, size, checksum, written, expires, used
    FROM entries WHERE key = ?
"""
_KEEP: Final = """
    INSERT OR REPLACE INTO entries (key, size, checksum, written, expires, used, value)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_EXPIRE: Final = """
    DELETE FROM entries WHERE rowid IN
    (SELECT rowid FROM entries WHERE expires <= ? ORDER BY expires LIMIT ?)
"""
_EVICT: Final = """
    DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries ORDER BY used LIMIT ?)
"""


class Row(NamedTuple):
    """An entry as it was found; `value` is None where it is larger than what was asked for.

    Times are seconds since the epoch; `used` is when it was written or last noted as used.
    """

    value: bytes | None
    size: int
    checksum: int
    written: float
    expires: float | None
    used: float

    def is_whole(self, key: bytes) -> bool:
        """Tell whether the value is the one that was written under this key, at a known time."""
        # Only the schema of the table, and not SQLite, says that its times are numbers.
        return (
            isinstance(self.value, bytes)
            and isinstance(self.written, float)
            and isinstance(self.used, float)
            and (self.expires is None or isinstance(self.expires, float))
            and len(self.value) == self.size
            and zlib.crc32(self.value, zlib.crc32(key)) == self.checksum
        )


class Table:
    """The entries of one database, through one connection."""

    __slots__ = ("_connection", "_page_size")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        (self._page_size,) = connection.execute("PRAGMA page_size").fetchone()

    def find(self, key: bytes, up_to_bytes: int) -> Row | None:
        """Return the entry, without its value if that is larger than `up_to_bytes`."""
        found = self._connection.execute(_FIND, (up_to_bytes, key)).fetchone()
        return None if found is None else Row(*found)

    def keep(self, entries: Iterable[tuple[bytes, bytes]], now: float, ttl_s: float | None) -> None:
        """Write keys and values, over older ones."""
        expires = None if ttl_s is None else now + ttl_s
        self._connection.executemany(
            _KEEP,
            [
                (key, len(value), zlib.crc32(value, zlib.crc32(key)), now, expires, now, value)
                for key, value in entries
            ],
        )

    def touch(self, keys: Iterable[bytes], now: float) -> None:
        """Note that entries were used."""
        self._connection.executemany(
            "UPDATE entries SET used = ? WHERE key = ?", [(now, key) for key in keys]
        )

    def remove(self, broken: Iterable[tuple[bytes, int]]) -> None:
        """Delete entries that are still those with the given checksum."""
        self._connection.executemany("DELETE FROM entries WHERE key = ? AND checksum = ?", broken)

    def expire(self, now: float) -> bool:
        """Delete some of the entries whose time is over; tell whether there may be more."""
        return self._connection.execute(_EXPIRE, (now, _ROWS_A_STEP)).rowcount == _ROWS_A_STEP

    def evict(self) -> bool:
        """Delete some of the entries that were not used for longest; tell whether there were."""
        return self._connection.execute(_EVICT, (_ROWS_A_STEP,)).rowcount > 0

    def size_bytes(self) -> int:
        """Return what the entries take in the file; pages that are free again do not count."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return int(pages - free) * int(self._page_size)

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Make what the block writes visible at once, or not at all."""
        # At once a writer's: one that only becomes it later cannot wait for the other's end.
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
