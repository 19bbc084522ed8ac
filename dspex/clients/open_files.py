"""The process's limit of open files, which all endpoints of a runtime share."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Final, Protocol

from dspex.errors import ConfigError, ErrorData, ErrorKind, PoolExhausted

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Holder", "OpenFiles", "connection_limit", "open_file_limit")

_HEADROOM_FILES: Final = 500
"""Open files left for everything that is not a connection of ours."""


class Holder(Protocol):
    """Something that holds connections."""

    @property
    def open_connections(self) -> int:
        """How many are open or being opened."""
        ...

    def close_idle(self) -> int:
        """Close those that nobody uses; return how many there were."""
        ...


class OpenFiles:
    """Counts the connections of several endpoints together, against one limit.

    Asked before each new connection, so that the limit is named by us before the system refuses
    whatever comes next, a database or a log file. Connections that are idle elsewhere make room.

    Args:
        limit: returns how many files the process may open.
    """

    __slots__ = ("_holders", "_limit")

    def __init__(self, limit: Callable[[], int] | None = None) -> None:
        self._limit = limit or open_file_limit
        self._holders: weakref.WeakSet[Holder] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"<OpenFiles {self.in_use} connections of {len(self._holders)} holders>"

    @property
    def in_use(self) -> int:
        """How many connections are open in all."""
        return sum(holder.open_connections for holder in self._holders)

    def join(self, holder: Holder) -> None:
        """Count the connections of `holder` too, for as long as it exists."""
        self._holders.add(holder)

    def require_room(self) -> None:
        """Make sure that one more connection may be opened.

        Raises:
            PoolExhausted: all that may be open are in use.
        """
        limit = self._limit()
        allowed = max(limit - _HEADROOM_FILES, _FEWEST)
        # The one that asks is counted already: it is being opened.
        if self.in_use <= allowed:
            return

        if not any(holder.close_idle() for holder in self._holders):
            raise PoolExhausted(
                ErrorData(
                    ErrorKind.POOL,
                    f"not sent: {allowed} connections are open in this process, of the {limit} "
                    f"files it may open (RLIMIT_NOFILE); lower max_connections of an endpoint, or "
                    f"raise the limit (`ulimit -n`)",
                    stage="connect",
                )
            )


_FEWEST: Final = 16


def connection_limit(asked: int | None) -> int:
    """Return how many connections an endpoint may hold.

    Raises:
        ConfigError: `asked` is more than the process's open-file limit allows.
    """
    allowed = open_file_limit() - _HEADROOM_FILES
    if asked is None:
        return max(allowed, _FEWEST)

    if asked > allowed:
        raise ConfigError(
            f"the process may open {allowed + _HEADROOM_FILES} files (RLIMIT_NOFILE), which leaves "
            f"room for {max(allowed, 0)} connections: lower it, or raise the limit (`ulimit -n`)",
            source="settings",
            key="max_connections",
            value=asked,
        )

    return asked


def open_file_limit() -> int:
    """Return how many files this process may have open."""
    if sys.platform == "win32":
        return 8_192

    import resource  # not there on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else soft
