"""One limit of open files for all endpoints together."""

from __future__ import annotations

import pytest

from dspex.clients import open_files as module
from dspex.clients.open_files import OpenFiles, connection_limit
from dspex.errors import ConfigError, PoolExhausted


class TestConnectionLimit:
    def test_what_is_asked_is_given_if_the_process_may(self) -> None:
        """A bound of one's own is kept."""
        assert connection_limit(3) == 3

    def test_more_than_the_process_may_open_names_the_limit(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The way out is in the message."""
        monkeypatch.setattr(module, "open_file_limit", lambda: 1024)

        with pytest.raises(ConfigError, match=r"1024 files.*room for 524.*ulimit"):
            connection_limit(525)

        assert (524, 524) == (connection_limit(None), connection_limit(524))

    def test_a_small_limit_still_leaves_a_few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On some systems a process may open 256 files."""
        monkeypatch.setattr(module, "open_file_limit", lambda: 256)

        assert connection_limit(None) == 16


class Holding:
    """Holds so many connections, some of them idle."""

    def __init__(self, in_use: int, idle: int = 0) -> None:
        self.in_use = in_use
        self.idle = idle

    @property
    def open_connections(self) -> int:
        return self.in_use + self.idle

    def close_idle(self) -> int:
        closed, self.idle = self.idle, 0
        return closed


class TestOpenFiles:
    def test_endpoints_count_together(self) -> None:
        """Two that are each within the limit are not so together; the error names it."""
        files = OpenFiles(lambda: 1_000)
        one, other = Holding(300), Holding(200)
        files.join(one)
        files.join(other)
        files.require_room()

        one.in_use += 1
        with pytest.raises(PoolExhausted, match=r"500 connections.*1000 files.*ulimit") as caught:
            files.require_room()

        assert "connect" == caught.value.data.stage

    def test_what_is_idle_elsewhere_makes_room(self) -> None:
        """A connection that nobody uses is no reason to refuse one that somebody needs."""
        files = OpenFiles(lambda: 1_000)
        quiet, busy = Holding(0, idle=400), Holding(101)
        files.join(quiet)
        files.join(busy)

        files.require_room()

        assert (0, 101) == (quiet.idle, files.in_use)

    def test_who_is_gone_is_not_counted(self) -> None:
        """An endpoint that was restarted leaves nothing behind."""
        files = OpenFiles(lambda: 1_000)
        holder = Holding(700)
        files.join(holder)
        del holder

        assert 0 == files.in_use
