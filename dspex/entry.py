"""How a program of one's own starts: `dspex.run(main)`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from supervision import run as run_supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ("run",)

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run an async main function with signals handled, and return what it returns.

    The first SIGINT or SIGTERM stops everything in order, the second at once. The process's limit
    of open files is raised as far as it may, since each call in flight holds a connection; nothing
    else in the library does that.
    """
    _raise_open_file_limit()
    return run_supervised(main)


def _raise_open_file_limit() -> None:
    if sys.platform == "win32":
        return

    import resource  # not there on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
