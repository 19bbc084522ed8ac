"""How a program of one's own starts: `dspex.run(main)`."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dspex.clients.tls import shrink_tls_buffers
from dspex.effects.draining import Draining, enter_draining
from supervision import run as run_supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ("run", "tune_garbage_collection")

T = TypeVar("T")

_MANY_FILES: Final = 65_536
"""Asked for where the hard limit is infinite: more connections than there are ports."""


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run an async main function with signals handled, and return what it returns.

    The first SIGINT or SIGTERM lets evaluations that are under way bring home what is in flight,
    and then stops everything in order; the second does so at once, the third without patience. The
    process exits with 128 + the signal's number: 130 after Ctrl-C.

    The process's limit of open files is raised as far as it may, since each call in flight holds a
    connection; its garbage collector is tuned, and asyncio's buffers for TLS are made smaller.
    Nothing else in the library does any of it, and nothing else handles signals.
    """
    _raise_open_file_limit()
    tune_garbage_collection()
    shrink_tls_buffers()
    draining = Draining()

    async def drainable() -> T:
        enter_draining(draining)
        return await main()

    return run_supervised(drainable, drain=draining.request)


def _raise_open_file_limit() -> None:
    if sys.platform == "win32":
        return

    import resource  # not there on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else hard
    # Some systems name a hard limit that they do not grant; then the soft one has to do.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def tune_garbage_collection() -> None:
    """Let the collector look less often, and never again at what is there now.

    Tens of thousands of calls in flight allocate without making cycles, and with the default
    thresholds the passes that find nothing cost a third of the CPU of an evaluation. It concerns
    the whole process: `run` does it, because there the process is ours; who embeds the library
    decides for himself.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
