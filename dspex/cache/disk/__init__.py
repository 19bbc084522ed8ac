"""The cache's lower level: one SQLite file that any number of processes of a machine share.

`DiskStore` is a key-value table in WAL mode. Reads of small entries run in the event loop, where
they take some ten microseconds; large ones, and all for a while after a slow one, in one reader
thread. Writes go through one writer thread, which commits what has gathered in one transaction.
Both have bounded queues: a full one drops what it is given and counts it, and nobody waits.

A row is checked before it is believed, by a checksum over its key and value. A broken row is
deleted, a broken file moved aside and begun anew. A file of a newer version, or one that is no
cache, is left alone and refused. Nothing here ever raises into a call: what fails is counted, and
announced at most once a minute.

An ordinary table, since `WITHOUT ROWID` keeps rows in the inner pages of its tree: for answers of
2 KB that took five times as long to read and to write, and twice the room.
"""

from __future__ import annotations

from dspex.cache.disk.database import Database, move_aside, open_database
from dspex.cache.disk.faults import Faults
from dspex.cache.disk.store import DiskStatistics, DiskStore
from dspex.cache.disk.table import LARGE_BYTES, Row, Table
from dspex.cache.disk.warmth import Warmth

__all__ = (
    "LARGE_BYTES",
    "Database",
    "DiskStatistics",
    "DiskStore",
    "Faults",
    "Row",
    "Table",
    "Warmth",
    "move_aside",
    "open_database",
)
