"""The file is made, recognised, refused when it is not ours, and moved aside when it is broken."""

from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from dspex.cache.disk.database import is_corrupt, move_aside, open_database
from dspex.errors import ConfigError


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {str(name) for (name,) in found}


class TestOpen:
    def test_makes_the_file_and_its_folder_for_the_owner_alone(self, tmp_path: Path) -> None:
        """Answers may be private."""
        path = tmp_path / "deep" / "down" / "cache.db"

        database = open_database(path)

        assert database.moved_to is None
        assert {"entries"} == tables(path)
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)

    def test_opens_what_is_there(self, tmp_path: Path) -> None:
        """A second process finds the first one's file."""
        first = open_database(tmp_path / "cache.db")

        assert first == open_database(tmp_path / "cache.db")

    def test_many_at_once_make_one_file(self, tmp_path: Path) -> None:
        """A fleet of workers starts together."""
        with ThreadPoolExecutor(8) as pool:
            opened = set(
                pool.map(lambda _: open_database(tmp_path / "cache.db").identity, range(8))
            )

        assert len(opened) == 1

    def test_a_file_of_a_newer_version_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        """Two versions of the program may share a machine."""
        path = tmp_path / "cache.db"
        open_database(path)
        execute(path, "PRAGMA user_version = 7")

        with pytest.raises(ConfigError, match=r"newer version \(format 7.*update"):
            open_database(path)

        assert {"entries"} == tables(path)

    def test_a_database_of_something_else_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        """A wrong path must not cost anybody their data."""
        path = tmp_path / "orders.db"
        execute(path, "CREATE TABLE orders (id)")

        with pytest.raises(ConfigError, match="database of something else"):
            open_database(path)

        assert {"orders"} == tables(path)

    def test_a_file_that_is_no_database_is_moved_aside(self, tmp_path: Path) -> None:
        """A new one is begun in its place; nothing is deleted."""
        path = tmp_path / "cache.db"
        path.write_bytes(b"no database at all" * 100)

        database = open_database(path, lambda: 0.0)

        assert database.moved_to is not None
        assert "cache.db.broken-19700101T000000-" in str(database.moved_to)
        assert database.moved_to.read_bytes().startswith(b"no database")
        assert {"entries"} == tables(path)

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        """The error is the system's own, which says why."""
        (tmp_path / "file").write_text("")

        with pytest.raises(OSError, match="file"):
            open_database(tmp_path / "file" / "cache.db")

    def test_a_folder_in_its_place(self, tmp_path: Path) -> None:
        """It is not touched."""
        (tmp_path / "cache.db").mkdir()

        with pytest.raises(OSError, match=r"cache\.db"):
            open_database(tmp_path / "cache.db")


class TestMoveAside:
    def test_the_log_goes_with_the_file(self, tmp_path: Path) -> None:
        """A new file that met the old one's log would be broken from the start."""
        path = tmp_path / "cache.db"
        database = open_database(path)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).write_bytes(b"old")

        moved_to = move_aside(database)

        assert moved_to is not None
        assert b"old" == moved_to.with_name(moved_to.name + "-wal").read_bytes()
        assert ["cache.db.lock"] == [
            left.name for left in tmp_path.iterdir() if not left.name.startswith(moved_to.name)
        ]

    def test_a_file_that_another_process_has_replaced_stays(self, tmp_path: Path) -> None:
        """Two processes find the same fault: the second must not throw away the new file."""
        path = tmp_path / "cache.db"
        broken = open_database(path)
        assert move_aside(broken) is not None
        fresh = open_database(path)

        assert move_aside(broken) is None
        assert fresh == open_database(path)

    def test_a_file_that_is_gone_is_no_error(self, tmp_path: Path) -> None:
        """Somebody tidied up."""
        database = open_database(tmp_path / "cache.db")
        database.path.unlink()

        assert move_aside(database) is None


class TestIsCorrupt:
    def test_a_lock_is_no_corruption(self, tmp_path: Path) -> None:
        """Moving a file aside because somebody else writes to it would be a loss."""
        path = tmp_path / "cache.db"
        database = open_database(path)
        with closing(database.connect()) as one, closing(database.connect(busy_s=0.0)) as other:
            one.execute("BEGIN IMMEDIATE")
            with pytest.raises(sqlite3.OperationalError) as caught:
                other.execute("BEGIN IMMEDIATE")

        assert not is_corrupt(caught.value)

    def test_an_error_without_a_code_is_no_corruption(self) -> None:
        """The module's own errors have none."""
        assert not is_corrupt(sqlite3.ProgrammingError("closed"))
