"""The cache's file: made, opened, recognised, and moved aside when it is broken. Blocking."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dspex.errors import ConfigError

try:
    import fcntl as _fcntl
except ImportError:  # Windows: two processes that start at once on a broken file may both move it
    _fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

__all__ = ("Database", "is_corrupt", "move_aside", "open_database")

_VERSION: Final = 1
_APPLICATION_ID: Final = 0x64737063
_BUSY_S: Final = 5.0
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_WAL_BYTES: Final = 64 * 1024 * 1024

_SCHEMA: Final = (
    """
    CREATE TABLE entries (
        key BLOB PRIMARY KEY NOT NULL,
        size INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        written REAL NOT NULL,
        expires REAL,
        used REAL NOT NULL,
        value BLOB NOT NULL
    )
    """,
    "CREATE INDEX entries_used ON entries (used)",
    "CREATE INDEX entries_expires ON entries (expires) WHERE expires IS NOT NULL",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)


@dataclass(frozen=True, slots=True)
class Database:
    """An open file. `identity` tells it from another that takes its place later."""

    path: Path
    identity: tuple[int, int]
    moved_to: Path | None
    """Where a broken file in its place was moved to."""

    def connect(self, *, busy_s: float = _BUSY_S) -> sqlite3.Connection:
        """Return another connection, which waits so long for the locks of others."""
        return _connect(self.path, busy_s)


def open_database(path: Path, clock: Callable[[], float] = time.time) -> Database:
    """Open the file, make it if it is missing, and move it aside if it is broken.

    Raises:
        ConfigError: the file is of a newer version, or a database of something else.
        OSError: the file or its folder cannot be made.
        sqlite3.Error: it cannot be opened, or is locked for longer than five seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    moved_to: Path | None = None
    with _alone(path):
        try:
            _prepare(path)
        except sqlite3.DatabaseError as exc:
            if not is_corrupt(exc):
                raise

            moved_to = _move(path, clock)
            _prepare(path)

        return Database(path, _identity(path), moved_to)


def move_aside(broken: Database, clock: Callable[[], float] = time.time) -> Path | None:
    """Rename a file that turned out broken; None if another process has replaced it already."""
    with _alone(broken.path):
        if not broken.path.exists() or _identity(broken.path) != broken.identity:
            return None

        return _move(broken.path, clock)


def is_corrupt(exc: sqlite3.Error) -> bool:
    """Tell a file that is broken from one that is locked, full, or not allowed."""
    # Errors of the module's own, such as a closed connection's, have no code.
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in _CORRUPT


def _prepare(path: Path) -> None:
    # Answers may be private: for the owner alone. The files beside it take its permissions.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = _connect(path, _BUSY_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        _make_or_check(connection, path)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _make_or_check(connection: sqlite3.Connection, path: Path) -> None:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:
        for statement in _SCHEMA:
            connection.execute(statement)

        return

    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID:
        raise _refused(path, "is a database of something else: give the cache a file of its own")

    if version > _VERSION:
        raise _refused(
            path,
            f"was written by a newer version (format {version}, this one knows {_VERSION}): "
            "update, or give this version a file of its own",
        )


def _refused(path: Path, problem: str) -> ConfigError:
    return ConfigError(problem, source="settings", key="cache.path", value=str(path))


def _connect(path: Path, busy_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=busy_s, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    except BaseException:
        connection.close()
        raise

    return connection


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _move(path: Path, clock: Callable[[], float]) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(clock()))
    aside = path.with_name(f"{path.name}.broken-{stamp}-{os.getpid()}")
    # The log first: a new file must never meet the log of the old one.
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))

    return aside


@contextmanager
def _alone(path: Path) -> Generator[None, None, None]:
    """Keep other processes from making or moving the file; the system frees a dead one's lock."""
    if _fcntl is None:
        yield
        return

    with path.with_name(path.name + ".lock").open("ab") as file:
        _lock(file.fileno())
        yield  # closing the file frees it


def _lock(number: int) -> None:
    assert _fcntl is not None
    end = time.monotonic() + _BUSY_S
    while True:
        try:
            _fcntl.flock(number, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise

            threading.Event().wait(0.01)
